"""Runs on the host: one turn from its start to its terminal event, under the budget and the limits.

Over 350 lines: a run, and those who wait for its host, a slot or its end.
"""

import asyncio
from collections import ChainMap
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from hmac import compare_digest
from types import MappingProxyType
from typing import Any

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock, before, within
from openclaw_channel_octo.errors import ApiError, HostError, RequestDenied
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.base import (
    AgentHost,
    Failed,
    HidesThinking,
    Interrupted,
    Turn,
    TurnEvent,
    Waiting,
)
from openclaw_channel_octo.message.thinking import ThinkingFilter
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.stream import (
    MOST_BYTES,
    Attempt,
    Deliver,
    Parts,
    RunEnd,
    Stream,
    Told,
    conclude,
    last,
    take,
)
from openclaw_channel_octo.session.status import SKIPPED, Status
from openclaw_channel_octo.store.records import NewPost

__all__ = ["ActiveRun", "OpenRun", "Runs"]

REMEMBERED = 1_000
"""Own runs whose end is remembered, to see through rows that still say ``running``."""

ABORT_WITHIN_S = 5.0
"""Longest wait for a host to stop a run."""

HOST_WITHIN_S = 3_600.0
"""Longest wait for a host that cannot be reached; messages of that age are not answered after a start either."""

LOOK_EVERY_S = 1.0
"""Shortest pause between two looks at the budget of a run that stands still."""

GRACE_S = 5.0
"""How much longer than the budget a run may take before we stop it: the host's own stop is the gentler one."""


class ActiveRun(Struct, frozen=True, kw_only=True):
    """A run under way.

    Attributes:
        run_id: its id.
        account_id: the bot it answers for.
        message_id: the message it answers.
        since_ms: when it began, Unix milliseconds.
    """

    run_id: str
    account_id: str
    message_id: str
    since_ms: int


class OpenRun(Struct, eq=False):
    """A run that is under way, for those who speak in its name beside its stream.

    Attributes:
        turn: what is run.
        deliver: posts a part of its answer.
        host: runs it, also when another host takes what begins meanwhile.
        is_open: whether it still goes on; what it has to say after its end is dropped.
    """

    turn: Turn
    deliver: Deliver
    host: AgentHost
    is_open: bool = True
    _turns: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def post(self, said: Told, post: NewPost | None = None) -> Sequence[str]:
        """Post what the run tells, maybe a send with a key; one at a time.

        Raises:
            RequestDenied: the run has ended.
            ApiError: as the outbox.
        """
        async with self._turns:
            if not self.is_open:
                raise RequestDenied("the turn has ended; nothing was sent")
            return await self.deliver(said, post)

    async def close(self) -> None:
        """Take nothing more, and wait for what is on its way: it decides whether people saw an answer."""
        self.is_open = False
        async with self._turns:
            pass


class Runs:
    """Runs turns on a host and remembers how they ended.

    Args:
        host: runs the turns that begin, until `use` names another.
        clock: time.
        max_turns: most runs at the same time, of all bots.
    """

    def __init__(self, host: AgentHost, clock: Clock, max_turns: int) -> None:
        self.host = host
        """The host of the runs that begin from now on."""
        self._clock = clock
        self._slots = FairSlots(max_turns)
        self._ended: FIFOCache[str, str] = FIFOCache(REMEMBERED)
        self._active: dict[str, ActiveRun] = {}
        self._open: dict[str, OpenRun] = {}
        self._looking: set[asyncio.Timeout] = set()
        self._run_ended = asyncio.Event()
        self.ended: Mapping[str, str] = MappingProxyType(self._ended)
        """Own runs that ended, run id to status."""
        self.own: Collection[str] = ChainMap[str, Any](self._open, self._ended)
        """Own run ids, running or ended."""

    @property
    def outlive_us(self) -> bool:
        """Whether runs go on in the host when this process dies (`AgentHost.keeps_runs`)."""
        return self.host.keeps_runs

    def use(self, host: AgentHost, max_turns: int) -> None:
        """Have runs that begin from now on done by ``host``, at most so many at the same time.

        Runs under way end where they are. A turn that waits for the host before goes over to the new one.
        """
        self._slots.resize(max_turns)
        if host is self.host:
            return
        self.host = host
        looking, self._looking = self._looking, set()  # one that was told is not told again
        for limit in looking:
            limit.reschedule(0)

    async def released(self, host: AgentHost) -> None:
        """Return once no run under way is one of ``host``'s."""
        while any(run.host is host for run in self._open.values()):
            self._run_ended.clear()
            await self._run_ended.wait()

    async def abort(self, session_key: str, run_id: str) -> bool:
        """Stop a run in the host that has it; see `AgentHost.abort`. Raises `HostError`."""
        return await self.host_of(run_id).abort(session_key, run_id)

    def host_of(self, run_id: str) -> AgentHost:
        """Return the host that has a run; for one that is not under way, the host of those that begin now."""
        run = self._open.get(run_id)
        return self.host if run is None else run.host

    @property
    def active(self) -> Mapping[str, ActiveRun]:
        """Runs under way by session key."""
        return dict(self._active)

    def open_run(self, run_id: str) -> OpenRun | None:
        """Return a run of ours that is under way."""
        return self._open.get(run_id)

    def run_with(self, ticket: str) -> OpenRun | None:
        """Return the run under way whose ticket this is; however wrong it is, the answer takes as long."""
        found = None
        for run in self._open.values():
            if run.turn.ticket and compare_digest(
                run.turn.ticket.encode(), ticket.encode("utf-8", "replace")
            ):
                found = run
        return found

    async def ready(self) -> RunEnd | None:
        """Return when the host takes turns; the end of the turn when it does not for too long."""
        try:
            await within(self._clock, HOST_WITHIN_S, self._ready())
        except TimeoutError:
            return RunEnd(Status.FAILED, f"no agent host for {HOST_WITHIN_S / 60:.0f} minutes")
        except HostError as error:
            return RunEnd(Status.FAILED, str(error))
        return None

    async def _ready(self) -> None:
        while True:
            limit = asyncio.timeout(None)
            try:
                async with limit:
                    self._looking.add(limit)
                    try:
                        return await self.host.ready()
                    finally:
                        self._looking.discard(limit)
            except TimeoutError:
                if not limit.expired():
                    raise

    async def run(self, turn: Turn, budget_s: float, bot_slots: FairSlots, attempt: Attempt) -> RunEnd:
        """Run a turn to its end, posting each finished part as it comes.

        Args:
            turn: what to run.
            budget_s: seconds the host should allow; a little later the run is aborted from here, posting aside.
            bot_slots: the bot's own limit of runs at the same time; bots, direct conversations and groups,
                conversations, and people take turns, and a bot's owner goes first.
            attempt: told how far it is; posts the text of each `Block` and the file of each `Media`.
        """
        async with AsyncExitStack() as slots:
            path, first = _whose(turn), turn.sender.is_owner
            await slots.enter_async_context(bot_slots.slot(path, first=first))
            await slots.enter_async_context(self._slots.slot(path, first=first))
            await attempt.begin()
            self._active[turn.session_key] = ActiveRun(
                run_id=turn.run_id,
                account_id=turn.account_id,
                message_id=turn.message_id,
                since_ms=self._clock.wall_ms(),
            )
            opened = self._open[turn.run_id] = OpenRun(turn, attempt.deliver, self.host)
            try:
                end = await self._posted(turn, budget_s, opened, attempt)
                await opened.close()
            except asyncio.CancelledError:
                self._ended[turn.run_id] = Status.KILLED
                raise
            except BaseException:  # raised again: whatever broke it, the run has failed
                self._ended[turn.run_id] = Status.FAILED
                raise
            finally:
                opened.is_open = False
                del self._active[turn.session_key], self._open[turn.run_id]
                self._run_ended.set()
        self._ended[turn.run_id] = Status.FAILED if end.status == SKIPPED else end.status
        return end

    async def _posted(self, turn: Turn, budget_s: float, opened: OpenRun, attempt: Attempt) -> RunEnd:
        """Run the turn and post its parts beside it, so that a slow server does not use up the run's budget."""
        host = opened.host
        hides = isinstance(host, HidesThinking) and host.hides_thinking
        seen = Stream(None if hides else ThinkingFilter())
        attempt.watch(seen)
        async with _posting(opened) as (parts, posting):

            async def consume() -> None:
                events = host.run(turn)
                try:
                    async for event in events:
                        if isinstance(event, Waiting):
                            seen.waits(self._clock.now(), waits=event.waits)
                            continue
                        if isinstance(event, Interrupted):
                            await attempt.interrupted(is_so=event.is_so)
                            continue
                        await take(event, seen, attempt, parts)
                        if seen.end is not None or seen.too_long:
                            break
                    if seen.end is None and seen.too_long:
                        await self._abort(turn)
                        seen.end = await self._cut_short(events, seen)
                finally:
                    if isinstance(events, AsyncGenerator):
                        await events.aclose()

            # a run that waits for an approval which could not be shown says nothing more: it must not be waited for
            work = before(asyncio.wait({posting}), consume())
            await self._bounded(turn, budget_s, seen, work)
        return conclude(seen)

    async def _cut_short(self, events: AsyncIterator[TurnEvent], seen: Stream) -> Failed:
        """Return the end of a run that was ended because there was no end to its answer.

        What people read of it its host tells with the end. Pieces say less: thinking and drawing on a screen are in
        those of a host that takes them out itself.
        """
        why = f"the answer was longer than {MOST_BYTES} bytes"
        try:
            told = await within(self._clock, ABORT_WITHIN_S, last(events))
        except TimeoutError:
            told = None
        if isinstance(told, Failed) and (told.partial or told.is_all):
            return Failed(Status.FAILED, why, told.partial, is_all=True)
        return Failed(Status.FAILED, why, "", is_all=seen.thinking is None)

    async def _bounded(
        self, turn: Turn, budget_s: float, seen: Stream, consume: Coroutine[Any, Any, None]
    ) -> None:
        try:
            await before(self._spent(seen, budget_s + GRACE_S), consume)
        except TimeoutError:
            await self._abort(turn)
            seen.end = seen.end or Failed(Status.TIMEOUT, f"no end within {budget_s:.0f} s")
        except HostError as error:
            seen.end = seen.end or Failed(Status.FAILED, str(error))

    async def _spent(self, seen: Stream, budget_s: float) -> None:
        """Return when a run has used up its budget, or stood still for too long."""
        began = self._clock.now()
        left_s = budget_s
        while left_s > 0:
            await self._clock.sleep(left_s)
            now = self._clock.now()
            waited_s = seen.waited(now)
            if waited_s >= HOST_WITHIN_S:
                return
            left_s = budget_s - (now - began - waited_s)
            if left_s > 0:  # while it stands still, what is left stays as it is
                left_s = max(left_s, LOOK_EVERY_S)

    async def _abort(self, turn: Turn) -> None:
        stopping = self.abort(turn.session_key, turn.run_id)
        with suppress(HostError):  # the stream is closed either way; the guard sees what the host made of it
            await ask_host(self._clock, "stop the run", stopping, ABORT_WITHIN_S)


def _whose(turn: Turn) -> tuple[str, ...]:
    """Return what takes turns at a slot, from the widest to the narrowest."""
    kind = "direct" if turn.conversation == "direct" else "group"
    return turn.account_id, kind, turn.channel_id, turn.sender.uid


@asynccontextmanager
async def _posting(opened: OpenRun) -> AsyncIterator[tuple[Parts, asyncio.Task[None]]]:
    """Post what is put into the queue, in order; return once all of it is posted, at once only where cancelled.

    Raises what posting raised; its task has ended by then.
    """
    parts = Parts()

    async def post_all() -> None:
        while (part := await parts.get()) is not None:
            await _post(opened, part)

    task = asyncio.create_task(post_all(), name=f"octo:post:{opened.turn.run_id}")
    try:
        yield parts, task
    except Exception:  # raised again: what was said before it broke is posted first
        parts.put_nowait(None)
        await asyncio.wait({task})
        raise
    else:
        parts.put_nowait(None)
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _post(opened: OpenRun, part: Told) -> None:
    """Post a part; one that the chat does not take for what it is ends no run, people are told at the end.

    Nor does one that was refused because somebody has stopped the run, which is about to end.
    """
    try:
        with suppress(RequestDenied):
            await opened.post(part)
    except ApiError as error:
        if not error.about_content:
            raise
