"""An agent host whose turns are written down beforehand, for tests of plugins and channels."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from enum import Enum
from typing import Final

from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.host.base import Accepted, Failed, Recovery, Skipped, Turn, TurnEvent
from openclaw_channel_octo.host.base import Final as FinalEvent
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["HANG", "ScriptedHost", "Step", "echo"]


class _Marker(Enum):
    HANG = "hang"


HANG: Final = _Marker.HANG
"""A step at which the run stands still until it is aborted, or `ScriptedHost.release` is called."""

Step = TurnEvent | Exception | _Marker
"""One step of a script: an event to yield, an error to raise, or `HANG`."""


def echo(turn: Turn) -> Sequence[Step]:
    """Answer with the text of the turn."""
    return [Accepted(turn.run_id), FinalEvent(f"echo: {turn.text}")]


class _Run:
    """One run: plays its steps, can be woken and aborted."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.aborted = False
        self.seen = False
        self.exhausted = False

    async def play(self, steps: Sequence[Step]) -> AsyncGenerator[TurnEvent]:
        """Yield the events of a script up to its first terminal one, or the end of an aborted run."""
        for step in steps:
            if step is HANG:
                await self.woken.wait()
                self.woken.clear()
            if self.aborted:
                yield Failed(Status.KILLED, "aborted")
                return
            if isinstance(step, Exception):
                raise step
            if not isinstance(step, _Marker):
                self.seen = True
                yield step
            if isinstance(step, FinalEvent | Failed | Skipped):
                return
        self.exhausted = True


class ScriptedHost:
    """An `AgentHost` that plays scripts and remembers what it was asked.

    Each turn takes the next script of the queue, and ``default`` once the queue is empty. The session's status
    follows the script as a real host's does: ``running``, then ``done``, or what `Failed` says; a raised error
    makes it ``failed``; a script without a terminal event leaves ``running`` behind if it was `Accepted`.

    Example::

        host = ScriptedHost([Final("hello")], [Accepted("r"), HANG], [HostError("no agent")])

    Args:
        scripts: for the first turns, in order.
        default: makes the script of every later turn.
        clock: the times in session snapshots.
        strict: answer `Skipped` for every turn of a session that ended badly, as old gateways do.
    """

    queues_turns = False
    keeps_runs = False

    def __init__(
        self,
        *scripts: Sequence[Step],
        default: Callable[[Turn], Sequence[Step]] = echo,
        clock: Clock | None = None,
        strict: bool = False,
    ) -> None:
        self.default = default
        self.strict = strict
        self.running = False
        """Whether `start` was called, and `stop` was not."""
        self.turns: list[Turn] = []
        """Every turn it was asked to run, skipped ones included."""
        self.aborts: list[tuple[str, str]] = []
        """Session key and run id of every `abort`."""
        self.recoveries: list[SessionSnapshot] = []
        """The snapshot of every `recover`."""
        self.sessions: dict[str, SessionSnapshot] = {}
        """What `describe` answers; change it at will."""
        self.describe_error: Exception | None = None
        """Raised by `describe` as long as it is set."""
        self.conflicts = 0
        """How many of the next recoveries answer that the session has changed."""
        self.ignores_abort = False
        """Whether an aborted run goes on all the same."""
        self.reachable = asyncio.Event()
        """Cleared while the host takes no turns; `ready` waits for it."""
        self.reachable.set()
        self.ready_error: Exception | None = None
        """Raised by `ready` as long as it is set."""
        self._scripts = deque(scripts)
        self._clock = clock or SystemClock()
        self._runs: dict[str, _Run] = {}
        self._asked = asyncio.Condition()

    def script(self, *steps: Step) -> None:
        """Put a script at the end of the queue."""
        self._scripts.append(steps)

    def set_status(self, session_key: str, status: str | None, *, run_id: str = "an-earlier-run") -> None:
        """Let a session be in some status, as after a run of ``run_id``; its other fields stay."""
        now = self._clock.wall_ms()
        known = self.sessions.get(session_key) or SessionSnapshot(
            session_key=session_key, session_id="session-1"
        )
        self.sessions[session_key] = replace(
            known, status=status, last_run_id=run_id, updated_at=now, last_progress_at=now
        )

    def release(self) -> None:
        """Let every run go on that stands at `HANG`."""
        for run in self._runs.values():
            run.woken.set()

    async def wait_for_turns(self, count: int, *, timeout: float = 10.0) -> Turn:  # noqa: ASYNC109  # a test's limit
        """Return the ``count``-th turn as soon as it was asked for; raise `TimeoutError` after real seconds."""
        async with asyncio.timeout(timeout), self._asked:
            await self._asked.wait_for(lambda: len(self.turns) >= count)
        return self.turns[count - 1]

    async def ready(self) -> None:
        """Return when `reachable` is set."""
        if self.ready_error is not None:
            raise self.ready_error
        await self.reachable.wait()

    async def start(self) -> None:
        """Note that the channel has started its host."""
        self.running = True

    async def stop(self) -> None:
        """Abort what runs."""
        self.running = False
        for run in self._runs.values():
            run.aborted = True
            run.woken.set()

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        """Return the session's snapshot, or raise `describe_error`."""
        if self.describe_error is not None:
            raise self.describe_error
        return self.sessions.get(session_key)

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        """Clear a session's lifecycle, unless it is no longer what ``snapshot`` says."""
        self.recoveries.append(snapshot)
        current = self.sessions.get(snapshot.session_key)
        known = current and (current.session_id, current.last_run_id)
        if self.conflicts or known != (snapshot.session_id, snapshot.last_run_id):
            self.conflicts = max(0, self.conflicts - 1)
            return Recovery.CONFLICT
        self.sessions[snapshot.session_key] = SessionSnapshot(
            session_key=snapshot.session_key,
            session_id=snapshot.session_id or self._clock.new_id(),
            updated_at=self._clock.wall_ms(),
        )
        return Recovery.RECOVERED

    async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent]:
        """Play the next script, and let the session's status follow it."""
        async with self._asked:
            self.turns.append(turn)
            self._asked.notify_all()
        before = self.sessions.get(turn.session_key)
        if self.strict and before is not None and before.status in RECOVERABLE:
            yield Skipped(f"the session is {before.status}")
            return
        self._set(turn, Status.RUNNING)
        run = self._runs[turn.run_id] = _Run()
        try:
            async with aclosing(run.play(self._next_script(turn))) as events:
                async for event in events:
                    self._follow(turn, event, before)
                    yield event
        except Exception:  # whatever the script raises
            self._set(turn, Status.FAILED)
            raise
        finally:
            del self._runs[turn.run_id]
            self._settle(turn, run, before)

    async def abort(self, session_key: str, run_id: str) -> bool:
        """Note it and let the run end as killed; return whether there is such a run."""
        self.aborts.append((session_key, run_id))
        run = self._runs.get(run_id)
        if run is None:
            return False
        if not self.ignores_abort:
            run.aborted = True
            run.woken.set()
        return True

    async def reset(self, session_key: str) -> SessionSnapshot:
        """Give the session a new id."""
        fresh = SessionSnapshot(
            session_key=session_key, session_id=self._clock.new_id(), updated_at=self._clock.wall_ms()
        )
        self.sessions[session_key] = fresh
        return fresh

    def _next_script(self, turn: Turn) -> Sequence[Step]:
        return self._scripts.popleft() if self._scripts else self.default(turn)

    def _follow(self, turn: Turn, event: TurnEvent, before: SessionSnapshot | None) -> None:
        match event:
            case FinalEvent():
                self._set(turn, Status.DONE)
            case Failed(status=status):
                self._set(turn, status)
            case Skipped():
                self._restore(turn, before)
            case _:
                self._set(turn, Status.RUNNING)

    def _settle(self, turn: Turn, run: _Run, before: SessionSnapshot | None) -> None:
        """Give a run its status that ended without a terminal event."""
        current = self.sessions.get(turn.session_key)
        if current is None or current.status != Status.RUNNING or current.last_run_id != turn.run_id:
            return
        if not run.exhausted:
            self._set(turn, Status.KILLED)
        elif not run.seen:
            self._restore(turn, before)

    def _restore(self, turn: Turn, before: SessionSnapshot | None) -> None:
        if before is None:
            self.sessions.pop(turn.session_key, None)
        else:
            self.sessions[turn.session_key] = before

    def _set(self, turn: Turn, status: str) -> None:
        """Note where a run stands; a new run begins a new lifecycle."""
        now = self._clock.wall_ms()
        known = self.sessions.get(turn.session_key)
        same = known is not None and known.last_run_id == turn.run_id
        started = known.started_at if known is not None and same and known.started_at is not None else now
        ended = None if status == Status.RUNNING else now
        self.sessions[turn.session_key] = SessionSnapshot(
            session_key=turn.session_key,
            session_id=(known.session_id if known else None) or self._clock.new_id(),
            status=status,
            last_run_id=turn.run_id,
            started_at=started,
            ended_at=ended,
            runtime_ms=None if ended is None else ended - started,
            last_progress_at=now,
            updated_at=now,
        )
