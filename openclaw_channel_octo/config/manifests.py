"""Manifests of a gateway's plugins, ``openclaw.plugin.json``."""

from collections.abc import Mapping
from pathlib import Path

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import UnreadableConfigError, read_json
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["MANIFESTS", "id_for_this_channel"]

MANIFESTS = "extensions/*/openclaw.plugin.json"
"""Pattern of the manifests in a gateway's state folder."""

_LARGEST = 256 * 1024


def id_for_this_channel(manifest: Path) -> str:
    """Return the id of a plugin for this channel; empty for any other, and for one that cannot be read."""
    try:
        content = read_json(manifest, Findings(), _LARGEST)
    except UnreadableConfigError:
        return ""  # the gateway does not load it either
    channels = content.get("channels") if isinstance(content, Mapping) else None
    return str(content.get("id", "")) if isinstance(channels, list) and CHANNEL in channels else ""
