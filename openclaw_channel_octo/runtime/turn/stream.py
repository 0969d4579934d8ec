"""What a run tells, from its first event to what its turn makes of its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal, Protocol

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.host.approvals import ApprovalsChanged
from openclaw_channel_octo.host.base import (
    Accepted,
    Activity,
    Block,
    Delta,
    Failed,
    Final,
    Media,
    MediaItem,
    Skipped,
    TurnEvent,
)
from openclaw_channel_octo.message.thinking import ThinkingFilter
from openclaw_channel_octo.runtime.delivery.parts import Said
from openclaw_channel_octo.session.status import SKIPPED, Status
from openclaw_channel_octo.store.records import NewPost

__all__ = [
    "MOST_BYTES",
    "Attempt",
    "Deliver",
    "Parts",
    "RunEnd",
    "Stream",
    "Told",
    "conclude",
    "last",
    "take",
]

MOST_BYTES = 4_000_000
"""Most UTF-8 bytes of one answer: a run that writes more is stopped. A little less than what an agent may write."""

TOOLS_KNOWN = 20
"""Tools of one run that are remembered."""

_Cut = Literal["", "length limit", "content filter"]

Told = Said | ApprovalsChanged
"""What a run has to tell people: a part of its answer, or what it asks leave for."""

Deliver = Callable[[Told, NewPost | None], Awaitable[Sequence[str]]]
"""Posts what a run tells, maybe a send with a key; returns the ids of the messages a part of its answer became."""

Parts = asyncio.Queue[Told | None]
"""What is to be posted, in order; ``None`` behind the last."""


class Attempt(Protocol):
    """An attempt at a turn, as its run reports it."""

    async def begin(self) -> None:
        """The run has its slot and is about to be handed to the host: a stop waits for its end from here on."""
        ...

    def watch(self, seen: "Stream") -> None:
        """Look at what the run tells while it goes on."""
        ...

    async def taken(self) -> None:
        """The host runs it: an agent has seen the message."""
        ...

    async def interrupted(self, *, is_so: bool) -> None:
        """The run may have ended with its host, or goes on after all."""
        ...

    async def deliver(self, said: Told, post: NewPost | None = None) -> Sequence[str]:
        """Post what the run tells, maybe a send with a key; return the ids of the messages a part became."""
        ...


class RunEnd(Struct):
    """How a run ended.

    Attributes:
        status: ``done``, ``failed``, ``timeout``, ``killed`` or ``skipped``.
        detail: words for the operator.
        text: text not delivered yet: the final answer, or what a failed run had written.
        media: files of the final answer.
        too_long: whether it was stopped because there was no end to its answer.
        parts: its texts and files in order, see `Final.parts`.
        cut: what of its model ended the answer too early, ``length limit`` or ``content filter``; else empty.
    """

    status: str
    detail: str = ""
    text: str = ""
    media: tuple[MediaItem, ...] = ()
    too_long: bool = False
    parts: tuple[str | MediaItem, ...] = ()
    cut: _Cut = ""


class Stream(Struct):
    """What a run has told so far.

    Attributes:
        thinking: takes thinking out of it; ``None`` where the host does.
        waits_since: since when the run stands still, monotonic seconds; ``None`` while it goes on.
        waited_s: how long it has stood still before.
        is_clean: whether thinking is left out of what is not posted yet.
        tools: names of the tools the agent has used last, each once.
    """

    thinking: ThinkingFilter | None
    waits_since: float | None = None
    waited_s: float = 0.0
    accepted: bool = False
    taken: bool = False
    unposted: list[str] = field(default_factory=list)
    end: Final | Failed | Skipped | None = None
    posted_bytes: int = 0
    unposted_bytes: int = 0
    is_clean: bool = False
    tools: FIFOCache[str, None] = field(default_factory=lambda: FIFOCache(TOOLS_KNOWN))

    @property
    def too_long(self) -> bool:
        """Whether the answer is longer than anybody reads, and would fill the memory if it went on."""
        return self.posted_bytes + self.unposted_bytes > MOST_BYTES

    def uses(self, tool: str) -> None:
        """Note that the agent uses a tool."""
        self.tools.pop(tool, None)
        self.tools[tool] = None

    def waits(self, now: float, *, waits: bool) -> None:
        """Note that the run stands still from ``now`` on, or goes on."""
        if self.waits_since is not None:
            self.waited_s += now - self.waits_since
        self.waits_since = now if waits else None

    def waited(self, now: float) -> float:
        """Return how many seconds the run has stood still by ``now``."""
        return self.waited_s + (now - self.waits_since if self.waits_since is not None else 0.0)

    def visible(self, text: str) -> str:
        """Return what of a part of the answer is for people; thinking may go on in the next part."""
        return self.thinking.feed(text) + self.thinking.end() if self.thinking else text


async def take(event: TurnEvent, seen: Stream, attempt: Attempt, parts: Parts) -> None:
    """Take an event of a run: note what it tells, hand on what is to be posted."""
    if not (seen.taken or isinstance(event, Failed | Skipped)):
        await attempt.taken()
        seen.taken = True
    match event:
        case Accepted():
            seen.accepted = True
        case Delta(text=text, is_clean=is_clean):
            seen.is_clean = is_clean
            seen.unposted.append(text)
            seen.unposted_bytes += len(text.encode(errors="replace"))
        case Activity(tool=tool):
            seen.uses(tool)
        case Block(text=text):
            seen.unposted.clear()
            seen.unposted_bytes = 0
            seen.posted_bytes += len(text.encode(errors="replace"))
            parts.put_nowait(seen.visible(text))
        case Media() | ApprovalsChanged():
            parts.put_nowait(event.source if isinstance(event, Media) else event)
        case Final() | Failed() | Skipped():
            seen.end = event


async def last(events: AsyncIterator[TurnEvent]) -> Final | Failed | Skipped | None:
    """Return the terminal event of a run, ``None`` where its stream ends without; what comes before is dropped."""
    async for event in events:
        if isinstance(event, Final | Failed | Skipped):
            return event
    return None


def conclude(seen: Stream) -> RunEnd:
    """Return the run's end; a stream that says nothing at all counts as skipped."""
    match seen.end:
        case Final(text=text, media=media, parts=parts) as end:
            shown = tuple(seen.visible(part) if isinstance(part, str) else part for part in parts)
            cut: _Cut = "content filter" if end.filtered else "length limit" if end.cut else ""
            return RunEnd(Status.DONE, text=seen.visible(text), media=media, parts=shown, cut=cut)
        case Failed(status=status, message=message, partial=partial, is_all=is_all):
            text = seen.visible(partial if is_all else partial or "".join(seen.unposted))
            return RunEnd(status, message, text, too_long=seen.too_long)
        case Skipped(reason=reason):
            return RunEnd(SKIPPED, reason)
        case None if seen.accepted:
            lost = "the host's stream ended without a result"
            return RunEnd(Status.FAILED, lost, seen.visible("".join(seen.unposted)))
        case None:
            return RunEnd(SKIPPED, "the host's stream was empty")
