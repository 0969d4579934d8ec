"""Calls of agents: what they may do in the chat beside answering, with parameters that a program or a model writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.call import AgentCall, Effect
from openclaw_channel_octo.runtime.actions.call import Group as _Group
from openclaw_channel_octo.runtime.actions.call import Name as _Name
from openclaw_channel_octo.runtime.actions.call import Scope as _Scope
from openclaw_channel_octo.runtime.actions.call import Target as _Target
from openclaw_channel_octo.runtime.actions.call import Text as _Text
from openclaw_channel_octo.runtime.actions.manage_calls import MANAGEMENT_CALLS
from openclaw_channel_octo.runtime.actions.types import ReadPage

__all__ = ["AGENT_CALLS", "AgentCall", "Effect", "wrong_parameter"]

_Seq = Annotated[int, Field(ge=0)]

_SHOWN_OF_A_MESSAGE = ("message_id", "message_seq", "timestamp", "from_uid", "from_name", "text")


class _Send(AgentCall):
    """Send a message, with files or without, to another conversation. To answer where you were asked, just answer."""

    effect = Effect.ADDS

    target: _Target
    text: Annotated[_Text, Field(description="Markdown; @name calls people of that conversation.")] = ""
    files: Annotated[
        list[str],
        Field(
            default_factory=list,
            max_length=20,
            description="http or https addresses of files to send, or whole paths in your output folder.",
        ),
    ]
    rich: Annotated[bool, Field(description="Text and pictures as one message.")] = False
    scope: _Scope = ""

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.send_text` and `AgentActions.send_media`."""
        text = unmarked(self.text, outbound.mark)
        if self.files:
            paths = {source: Path(source) for source in self.files if Path(source).is_absolute()}
            files = [MediaItem(kind="file", url=source, path=paths.get(source)) for source in self.files]
            sent = await outbound.send_media(self.target, files, text=text, rich=self.rich, scope=self.scope)
        else:
            sent = await outbound.send_text(self.target, text, scope=self.scope)
        return {
            "message_ids": list(sent.message_ids),
            "target": str(sent.target),
            "reason": sent.reason.value,
            "rewritten": sent.rewritten,
            "failed_media": [list(failed) for failed in sent.failed_media],
        }


class _Edit(AgentCall):
    """Put another text in the place of one of your own messages."""

    effect = Effect.REPLACES

    target: _Target
    message_id: str
    text: Annotated[_Text, Field(description="The whole new text.")]
    scope: _Scope = ""

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.edit`."""
        text = unmarked(self.text, outbound.mark)
        await outbound.edit(self.target, self.message_id, text, scope=self.scope)
        return {"message_id": self.message_id}


class _OfMessages(AgentCall):
    effect = Effect.READS

    @staticmethod
    def brief(answer: Any) -> Any:
        """Leave out words and names of messages: the block has them, marked as data."""
        rows = [
            {name: text for name, text in row.items() if name not in {"text", "from_name"}}
            for row in answer["messages"]
        ]
        return {**answer, "messages": rows}


class _Read(_OfMessages):
    """Read the newest messages of a conversation, or those before or after a message number."""

    target: _Target
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    before: Annotated[_Seq, Field(description="Only messages with a smaller message_seq.")] = 0
    after: Annotated[_Seq, Field(description="Only messages with a larger message_seq.")] = 0

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.read`."""
        page = await outbound.read(self.target, limit=self.limit, before=self.before, after=self.after)
        return _page(page, outbound.mark)


class _Search(_OfMessages):
    """Find the newest messages of a conversation that contain all words."""

    target: _Target
    words: Annotated[_Name, Field(description="Separated by spaces, in any case.")]
    limit: Annotated[int, Field(ge=1, le=50)] = 20

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.search`."""
        return _page(await outbound.search(self.target, self.words, limit=self.limit), outbound.mark)


class _Groups(AgentCall):
    """List the groups that you and the person who asks are both in."""

    effect = Effect.READS

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.groups`."""
        return [{"group": one.group_no, "name": one.name} for one in await outbound.groups()]


class _Members(AgentCall):
    """List who is in a group."""

    effect = Effect.READS

    group: _Group
    name: Annotated[str, Field(description="Only those whose names contain this.")] = ""

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.group_members` and `AgentActions.search_members`."""
        found = (
            await outbound.search_members(self.group, self.name)
            if self.name
            else await outbound.group_members(self.group)
        )
        return [{"uid": one.uid, "name": one.name, "bot": one.robot} for one in found]


class _Threads(AgentCall):
    """List the threads of a group."""

    effect = Effect.READS

    group: _Group

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.threads`."""
        return [{"thread": one.channel_id, "name": one.name} for one in await outbound.threads(self.group)]


class _Resolve(AgentCall):
    """Find the ids of groups and threads by name."""

    effect = Effect.READS

    name: _Name

    async def answer(self, outbound: AgentActions) -> Any:
        """See `AgentActions.resolve`."""
        found = await outbound.resolve(self.name)
        rows = [{"channel": one.channel_id, "kind": one.kind, "name": one.name} for one in found.candidates]
        return {"candidates": rows, "complete": found.complete}


AGENT_CALLS: Mapping[str, type[AgentCall]] = {
    "send": _Send,
    "edit": _Edit,
    "read": _Read,
    "search": _Search,
    "groups": _Groups,
    "members": _Members,
    "threads": _Threads,
    "resolve": _Resolve,
    **MANAGEMENT_CALLS,
}
"""The calls by name, as in ``openclaw-octo message <name>``."""


def wrong_parameter(error: ValidationError) -> str:
    """Return which parameter of a call is wrong and why, without its value."""
    wrong = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, wrong["loc"])) or "the parameters"
    return f"{place}: {wrong['msg']}"


def _page(page: ReadPage, mark: str) -> Any:
    return {
        "target": str(page.target),
        "block": page.block(mark),
        "has_more": page.has_more,
        "elsewhere": page.elsewhere,
        "messages": [{name: getattr(one, name) for name in _SHOWN_OF_A_MESSAGE} for one in page.messages],
    }
