"""What operators and agents can ask of a running channel over the control socket (docs/control.md)."""

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec import to_builtins
from pydantic import ValidationError

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.operator import register_operator_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.runtime.actions.calls import AGENT_CALLS, AgentCall, wrong_parameter
from openclaw_channel_octo.runtime.channel import OctoChannel

__all__ = ["register_calls"]

TICKET_CHARS = 200
"""More than any ticket has."""


def register_calls(
    server: ControlServer,
    channel: OctoChannel,
    host_kind: str,
    reload: Callable[[], Awaitable[Mapping[str, Any]]] | None = None,
) -> None:
    """Let ``server`` answer for a channel, the calls ``operator.…`` included.

    Each call ``message.…``, of an agent, brings the ticket of a run under way.

    Args:
        server: the socket.
        channel: the bots.
        host_kind: who runs the turns, such as ``embedded``.
        reload: reads the configuration again, ``None`` where there is none to read; returns what came of it.
    """
    server.register("status", partial(_status, channel, host_kind))
    server.register("session.show", partial(_show, channel))
    server.register("session.repair", partial(_repair, channel))
    server.register("group.names", partial(_group_names, channel))
    server.register("pairing.tell", partial(_tell_paired, channel))
    server.register("journal.take_up", partial(_take_up, channel))
    if reload is not None:
        server.register("reload", partial(_reload, reload))
    register_operator_calls(server, channel)
    for name, call in AGENT_CALLS.items():
        server.register(f"message.{name}", partial(_for_agent, channel, call))


async def _status(channel: OctoChannel, host_kind: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"pid": os.getpid(), "version": __version__, "host": host_kind, **to_builtins(channel.status())}


async def _reload(reload: Callable[[], Awaitable[Mapping[str, Any]]], _: Mapping[str, Any]) -> Any:
    return await reload()


async def _group_names(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, str]:
    return channel.group_names(_text(params, "account"))


async def _take_up(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = params.get("rows")
    if not isinstance(rows, list) or not all(type(row) is int for row in rows):
        raise ControlError("bad-params", "rows must be a list of numbers")
    return {"rows": sorted(await channel.take_up(_text(params, "account"), rows))}


async def _show(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    return to_builtins(await channel.look(_text(params, "session")))


async def _repair(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    dry_run = params.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise ControlError("bad-params", "dry_run must be true or false")
    return to_builtins(await channel.repair(_text(params, "session"), dry_run=dry_run))


async def _tell_paired(channel: OctoChannel, params: Mapping[str, Any]) -> Mapping[str, Any]:
    await channel.tell_paired(_text(params, "account"), _text(params, "uid"))
    return {}


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise ControlError("bad-params", f"{name} must be a text that is not empty")
    return value


async def _for_agent(channel: OctoChannel, call: type[AgentCall], params: Mapping[str, Any]) -> Any:
    ticket = _text(params, "turn")
    if len(ticket) > TICKET_CHARS:
        raise ControlError("bad-params", f"turn must have at most {TICKET_CHARS} characters")
    try:
        asked = call.model_validate({name: value for name, value in params.items() if name != "turn"})
    except ValidationError as error:
        raise ControlError("bad-params", wrong_parameter(error)) from None
    return await asked.answer(channel.outbound_with(ticket))
