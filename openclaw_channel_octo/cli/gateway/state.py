"""What a gateway's file and folder say about the plugin: whether it is there, is loaded, and speaks to these bots."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo import __version__
from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import read_json, with_includes
from openclaw_channel_octo.config.manifests import MANIFESTS, id_for_this_channel
from openclaw_channel_octo.config.model import GatewayHostConfig
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.plugin.files import PLUGIN, installed_version
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["PluginState", "gateway_folder", "plugin_notes", "plugin_problems", "read_state"]

INSTALL = "openclaw-octo gateway install --write"
_OTHERS = ("octo", "openclaw-channel-octo")
"""Ids of the TypeScript plugin; where it was installed from a registry, its folder is somewhere else."""
_SWITCHES = ("plugins.enabled is false", f"channels.{CHANNEL}.enabled is false")
"""What keeps the plugin off that `install` leaves to whoever runs the gateway."""


class PluginState(Struct, frozen=True, kw_only=True):
    """What a gateway has.

    Attributes:
        version: of our plugin, ``None`` where it is not installed.
        off: why the gateway does not load it, or does not use it; empty where it does.
        socket: the control socket it is told of, empty where it is told of none.
        others: ids of other plugins for this channel that the gateway loads.
    """

    version: str | None
    off: str
    socket: str
    others: tuple[str, ...]


def gateway_folder(file: Path, env: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder of the gateway with this file: ``OPENCLAW_STATE_DIR``, else the file's folder."""
    named = env.get("OPENCLAW_STATE_DIR", "").strip()
    return Path(named).expanduser().absolute() if named else file.absolute().parent


def read_state(file: Path, env: Mapping[str, str] = os.environ) -> PluginState:
    """Return what a gateway has. Raises `ConfigError` where its file cannot be read."""
    raw = with_includes(
        read_json(file, Findings()), file.absolute(), env, Findings(), only=("plugins", "channels")
    )
    plugins = _block(raw, "plugins")
    folder = gateway_folder(file, env)
    entry = _block(plugins, "entries", PLUGIN)
    found = (id_for_this_channel(manifest) for manifest in _manifests(plugins, folder))
    named = (other for other in _OTHERS if other in _block(plugins, "entries"))
    others = {other for other in (*found, *named) if other and other != PLUGIN}
    return PluginState(
        version=installed_version(folder),
        off=_why_off(plugins, PLUGIN) or _why_unused(_block(raw, "channels", CHANNEL)),
        socket=str(_block(entry, "config").get("socket", "")),
        others=tuple(sorted(other for other in others if not _why_off(plugins, other))),
    )


def plugin_problems(settings: GatewayHostConfig, env: Mapping[str, str] = os.environ) -> list[str]:
    """Return what is wrong with the plugin in the gateway whose file the configuration names, one sentence each."""
    state = _seen(settings, env)
    if state is None:
        return []
    problems = [_two_at_once(other) for other in state.others]
    if state.version is None:
        return problems
    if state.version != __version__:
        problems.append(
            f"the plugin in the gateway has version {state.version}, these bots {__version__}: {INSTALL}"
        )
    if state.off:
        mend = "set it to true" if state.off in _SWITCHES else INSTALL
        return [*problems, f"the gateway does not use the plugin {PLUGIN}: {state.off}; {mend}"]
    own = settings.state_dir.absolute() / "control.sock"
    if not state.socket:
        problems.append(f"plugins.entries.{PLUGIN}.config.socket is not set in the gateway's file: {INSTALL}")
    elif "${" not in state.socket and Path(state.socket).expanduser() != own:
        problems.append(
            f"the gateway's plugin speaks to {state.socket}, these bots listen at {own}: {INSTALL}"
        )
    return problems


def plugin_notes(settings: GatewayHostConfig, env: Mapping[str, str] = os.environ) -> list[str]:
    """Return what to know about the plugin in the gateway whose file the configuration names."""
    state = _seen(settings, env)
    if state is None:
        unseen = "whether the gateway has the plugin was not looked at: name its file, --openclaw FILE"
        return [unseen] if settings.openclaw_config is None else []
    if state.version is None:
        words = "answers arrive, what its agents say by themselves does not"
        return [f"the gateway has no plugin for Octo: {words}; openclaw-octo gateway install"]
    return [f"the gateway has the plugin {PLUGIN}, version {state.version}"]


def _two_at_once(other: str) -> str:
    return (
        f"the gateway also loads the plugin {other} for channel {CHANNEL}: two connections of one bot kick each "
        f"other; openclaw plugins disable {other}"
    )


def _seen(settings: GatewayHostConfig, env: Mapping[str, str]) -> PluginState | None:
    if settings.openclaw_config is None:
        return None
    try:
        return read_state(settings.openclaw_config, env)
    except ConfigError:
        return None  # told by whoever reads the file for its settings


def _manifests(plugins: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Yield the manifests of plugins in the gateway's extensions folder and in the paths that its file names."""
    yield from folder.glob(MANIFESTS)
    paths = _block(plugins, "load").get("paths")
    for path in paths if isinstance(paths, list) else ():
        yield folder / Path(str(path)).expanduser() / "openclaw.plugin.json"


def _why_off(plugins: Mapping[str, Any], plugin: str) -> str:
    """Return why a gateway with this ``plugins`` block does not load a plugin; empty where it does."""
    allow, deny = plugins.get("allow"), plugins.get("deny")
    if plugins.get("enabled") is False:
        return _SWITCHES[0]
    if isinstance(deny, list) and plugin in deny:
        return "plugins.deny names it"
    if isinstance(allow, list) and allow and plugin not in allow:
        return "plugins.allow does not name it"
    if _block(plugins, "entries", plugin).get("enabled") is False:
        return f"plugins.entries.{plugin}.enabled is false"
    if plugin == PLUGIN and plugin not in _block(plugins, "entries"):
        return f"plugins.entries has no {plugin}"
    return ""


def _why_unused(channel: Mapping[str, Any]) -> str:
    return _SWITCHES[1] if channel.get("enabled") is False else ""


def _block(value: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
