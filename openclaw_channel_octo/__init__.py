"""Octo (WuKongIM) channel plugin for OpenClaw-style agent hosts.

Importing the package costs nothing: public names are resolved on first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openclaw_channel_octo.config.model import OctoConfig
    from openclaw_channel_octo.errors import OctoError
    from openclaw_channel_octo.host.base import AgentHost, Turn, TurnEvent
    from openclaw_channel_octo.runtime.channel import OctoChannel

__version__ = "1.0.0"

_HOMES = {
    "AgentHost": "openclaw_channel_octo.host.base",
    "OctoChannel": "openclaw_channel_octo.runtime.channel",
    "OctoConfig": "openclaw_channel_octo.config.model",
    "OctoError": "openclaw_channel_octo.errors",
    "Turn": "openclaw_channel_octo.host.base",
    "TurnEvent": "openclaw_channel_octo.host.base",
}

__all__ = ["AgentHost", "OctoChannel", "OctoConfig", "OctoError", "Turn", "TurnEvent", "__version__"]


def __getattr__(name: str) -> Any:
    """Return the public object ``name``, importing its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
