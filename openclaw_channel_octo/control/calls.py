"""What operators and agents can ask of a running channel over the control socket (docs/control.md)."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openclaw_channel_octo import __version__
from openclaw_channel_octo.control.server import ControlServer
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


class _Asked(BaseModel, ABC):
    """Parameters of a call that an agent makes, and what answers it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    turn: Annotated[str, Field(min_length=1, max_length=200, repr=False)]

    @abstractmethod
    async def answer(self, outbound: AgentActions) -> Any: ...


class _Send(_Asked):
    target: _Target
    text: _Text = ""
    files: Annotated[list[str], Field(max_length=20)] = []
    scope: str = ""

    async def answer(self, outbound: AgentActions) -> Any:
        text = unmarked(self.text, outbound.mark)
        if self.files:
            paths = {source: Path(source) for source in self.files if Path(source).is_absolute()}
            files = [MediaItem(kind="file", url=source, path=paths.get(source)) for source in self.files]
            sent = await outbound.send_media(self.target, files, text=text, scope=self.scope)
        else:
            sent = await outbound.send_text(self.target, text, scope=self.scope)
        return {
            "message_ids": list(sent.message_ids),
            "target": str(sent.target),
            "reason": sent.reason.value,
            "rewritten": sent.rewritten,
            "failed_media": [list(failed) for failed in sent.failed_media],
        }


class _Edit(_Asked):
    target: _Target
    message_id: str
    text: _Text
    scope: str = ""

    async def answer(self, outbound: AgentActions) -> Any:
        text = unmarked(self.text, outbound.mark)
        await outbound.edit(self.target, self.message_id, text, scope=self.scope)
        return {"message_id": self.message_id}


class _Read(_Asked):
    target: _Target
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    before: _Seq = 0
    after: _Seq = 0

    async def answer(self, outbound: AgentActions) -> Any:
        page = await outbound.read(self.target, limit=self.limit, before=self.before, after=self.after)
        return _page(page, outbound.mark)


class _Search(_Asked):
    target: _Target
    words: _Target
    limit: Annotated[int, Field(ge=1, le=50)] = 20

    async def answer(self, outbound: AgentActions) -> Any:
        return _page(await outbound.search(self.target, self.words, limit=self.limit), outbound.mark)


class _Groups(_Asked):
    async def answer(self, outbound: AgentActions) -> Any:
        return [{"group": one.group_no, "name": one.name} for one in await outbound.groups()]


class _Members(_Asked):
    group: _Target
    name: str = ""

    async def answer(self, outbound: AgentActions) -> Any:
        found = (
            await outbound.search_members(self.group, self.name)
            if self.name
            else await outbound.group_members(self.group)
        )
        return [{"uid": one.uid, "name": one.name, "bot": one.robot} for one in found]


class _Threads(_Asked):
    group: _Target

    async def answer(self, outbound: AgentActions) -> Any:
        return [{"thread": one.channel_id, "name": one.name} for one in await outbound.threads(self.group)]


class _Resolve(_Asked):
    name: _Target

    async def answer(self, outbound: AgentActions) -> Any:
        found = await outbound.resolve(self.name)
        rows = [{"channel": one.channel_id, "kind": one.kind, "name": one.name} for one in found.candidates]
        return {"candidates": rows, "complete": found.complete}


_FOR_AGENTS: Mapping[str, type[_Asked]] = {
    "message.send": _Send,
    "message.edit": _Edit,
    "message.read": _Read,
    "message.search": _Search,
    "message.groups": _Groups,
    "message.members": _Members,
    "message.threads": _Threads,
    "message.resolve": _Resolve,
}


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
    for name, asked in _FOR_AGENTS.items():
        server.register(name, partial(_for_agent, channel, asked))


async def _status(channel: OctoChannel, host_kind: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"pid": os.getpid(), "version": __version__, "host": host_kind, **to_builtins(channel.status())}


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


async def _for_agent(channel: OctoChannel, asked: type[_Asked], params: Mapping[str, Any]) -> Any:
    try:
        request = asked.model_validate(dict(params))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "the parameters"
        raise ControlError("bad-params", f"{place}: {wrong['msg']}") from None
    return await request.answer(channel.outbound_with(request.turn))


def _page(page: ReadPage, mark: str) -> Any:
    return {
        "target": str(page.target),
        "block": page.block(mark),
        "has_more": page.has_more,
        "elsewhere": page.elsewhere,
        "messages": [{name: getattr(one, name) for name in _SHOWN_OF_A_MESSAGE} for one in page.messages],
    }
