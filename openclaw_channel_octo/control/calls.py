"""What the control socket can ask of a running channel (docs/control.md)."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import to_builtins

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.message_calls import register_message_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.runtime.channel import OctoChannel

__all__ = ["register_calls"]


def register_calls(server: ControlServer, channel: OctoChannel, host_kind: str) -> None:
    """Let ``server`` answer for a channel.

    Args:
        server: the socket.
        channel: the bots.
        host_kind: who runs the turns, such as ``embedded``.
    """
    server.register("status", partial(_status, channel, host_kind))
    server.register("session.show", partial(_show, channel))
    server.register("session.repair", partial(_repair, channel))
    server.register("pairing.tell", partial(_tell_paired, channel))
    register_message_calls(server, channel)


async def _status(channel: OctoChannel, host_kind: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"pid": os.getpid(), "version": __version__, "host": host_kind, **to_builtins(channel.status())}


async def _show(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, Any]:
    shown: dict[str, Any] = to_builtins(await channel.look(_text(params, "session")))
    return shown


async def _repair(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, Any]:
    dry_run = params.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise ControlError("bad-params", "dry_run must be true or false")
    shown: dict[str, Any] = to_builtins(await channel.repair(_text(params, "session"), dry_run=dry_run))
    return shown


async def _tell_paired(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, Any]:
    await channel.tell_paired(_text(params, "account"), _text(params, "uid"))
    return {}


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise ControlError("bad-params", f"{name} must be a text that is not empty")
    return value
