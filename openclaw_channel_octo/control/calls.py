"""What operators and agents can ask of a running channel over the control socket (docs/control.md)."""

import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.server import ControlServer, Handler
from openclaw_channel_octo.errors import ControlError
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.types import ReadPage
from openclaw_channel_octo.runtime.channel import OctoChannel

__all__ = ["register_calls"]

_Text = Annotated[str, Field(max_length=500_000)]
_Target = Annotated[str, Field(min_length=1, max_length=2_000)]
_SHOWN_OF_A_MESSAGE = ("message_id", "message_seq", "timestamp", "from_uid", "from_name", "text")

_Seq = Annotated[int, Field(ge=0)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    turn: Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class _Send(_Asked):
    target: _Target
    text: _Text = ""
    files: Annotated[list[str], Field(max_length=20)] = []
    scope: str = ""


class _Edit(_Asked):
    target: _Target
    message_id: str
    text: _Text
    scope: str = ""


class _Read(_Asked):
    target: _Target
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    before: _Seq = 0
    after: _Seq = 0


class _Search(_Asked):
    target: _Target
    words: _Target
    limit: Annotated[int, Field(ge=1, le=50)] = 20


class _Group(_Asked):
    group: _Target


class _Members(_Group):
    name: str = ""


class _Name(_Asked):
    name: _Target


def register_calls(server: ControlServer, channel: OctoChannel, host_kind: str) -> None:
    """Let ``server`` answer for a channel; each call of an agent brings the ticket of a run under way.

    Args:
        server: the socket.
        channel: the bots.
        host_kind: who runs the turns, such as ``embedded``.
    """
    server.register("status", partial(_status, channel, host_kind))
    server.register("session.show", partial(_show, channel))
    server.register("session.repair", partial(_repair, channel))
    server.register("pairing.tell", partial(_tell_paired, channel))
    for name, asked, answer in (
        ("message.send", _Send, _send),
        ("message.edit", _Edit, _edit),
        ("message.read", _Read, _read),
        ("message.search", _Search, _search),
        ("message.groups", _Asked, _groups),
        ("message.members", _Members, _members),
        ("message.threads", _Group, _threads),
        ("message.resolve", _Name, _resolve),
    ):
        server.register(name, _for_agents(channel, asked, answer))


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


def _for_agents(
    channel: OctoChannel, asked: type[_Asked], answer: Callable[[AgentActions, Any], Coroutine[Any, Any, Any]]
) -> Handler:
    async def handle(params: Mapping[str, Any]) -> Any:
        try:
            request = asked.model_validate(dict(params))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"])) or "the parameters"
            raise ControlError("bad-params", f"{place}: {wrong['msg']}") from None
        return await answer(channel.outbound_with(request.turn), request)

    return handle


async def _send(outbound: AgentActions, asked: _Send) -> Any:
    text = unmarked(asked.text, outbound.mark)
    if asked.files:
        files = [_file(source) for source in asked.files]
        sent = await outbound.send_media(asked.target, files, text=text, scope=asked.scope)
    else:
        sent = await outbound.send_text(asked.target, text, scope=asked.scope)
    return {
        "message_ids": list(sent.message_ids),
        "target": str(sent.target),
        "reason": sent.reason.value,
        "rewritten": sent.rewritten,
        "failed_media": [list(failed) for failed in sent.failed_media],
    }


async def _edit(outbound: AgentActions, asked: _Edit) -> Any:
    text = unmarked(asked.text, outbound.mark)
    await outbound.edit(asked.target, asked.message_id, text, scope=asked.scope)
    return {"message_id": asked.message_id}


async def _read(outbound: AgentActions, asked: _Read) -> Any:
    page = await outbound.read(asked.target, limit=asked.limit, before=asked.before, after=asked.after)
    return _page(page, outbound.mark)


async def _search(outbound: AgentActions, asked: _Search) -> Any:
    return _page(await outbound.search(asked.target, asked.words, limit=asked.limit), outbound.mark)


def _page(page: ReadPage, mark: str) -> Any:
    return {
        "target": str(page.target),
        "block": page.block(mark),
        "has_more": page.has_more,
        "elsewhere": page.elsewhere,
        "messages": [{name: getattr(one, name) for name in _SHOWN_OF_A_MESSAGE} for one in page.messages],
    }


async def _groups(outbound: AgentActions, _: _Asked) -> Any:
    return [{"group": one.group_no, "name": one.name} for one in await outbound.groups()]


async def _members(outbound: AgentActions, asked: _Members) -> Any:
    found = (
        await outbound.search_members(asked.group, asked.name)
        if asked.name
        else await outbound.group_members(asked.group)
    )
    return [{"uid": one.uid, "name": one.name, "bot": one.robot} for one in found]


async def _threads(outbound: AgentActions, asked: _Group) -> Any:
    return [{"thread": one.channel_id, "name": one.name} for one in await outbound.threads(asked.group)]


async def _resolve(outbound: AgentActions, asked: _Name) -> Any:
    found = await outbound.resolve(asked.name)
    rows = [{"channel": one.channel_id, "kind": one.kind, "name": one.name} for one in found.candidates]
    return {"candidates": rows, "complete": found.complete}


def _file(source: str) -> MediaItem:
    path = Path(source)
    return MediaItem(kind="file", url=source, path=path if path.is_absolute() else None)
