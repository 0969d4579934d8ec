"""The embedded host: agent turns in this process, sessions in ``sessions.json`` (design §6).

Over 350 lines: the ten methods of one contract and the run they share.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from cachetools import FIFOCache
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import (
    Accepted,
    ChatTools,
    Failed,
    Final,
    MediaItem,
    Recovery,
    Skipped,
    Turn,
    TurnEvent,
)
from openclaw_channel_octo.host.embedded import memory, rows
from openclaw_channel_octo.host.embedded.agents import (
    Agent,
    AnswerCut,
    Prompt,
    fit_to_show,
    said_by,
)
from openclaw_channel_octo.host.embedded.media import named_in
from openclaw_channel_octo.host.embedded.memory import Said
from openclaw_channel_octo.host.embedded.run import Run
from openclaw_channel_octo.host.embedded.seat import Seat, end_answer, own_end
from openclaw_channel_octo.host.embedded.store import SessionStore
from openclaw_channel_octo.host.embedded.transcript import Message, Transcript, is_safe_id
from openclaw_channel_octo.host.fields import snapshot_of, text
from openclaw_channel_octo.host.files import claim_state_folder, private_folder
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot, Status

__all__ = ["EmbeddedHost"]

logger = logging.getLogger(__name__)

OUTCOMES_KEPT = 256
"""Ended runs whose outcome is replayed when their id comes again."""

STOPPED = {
    Status.TIMEOUT: "the run took longer than its budget of {:g} s",
    Status.KILLED: "the run was aborted",
    Status.INTERRUPTED: "the host was stopped during the run",
}


class EmbeddedHost:
    """Runs one agent and keeps its sessions under ``<state_dir>/agents/<agent_id>/sessions/``.

    One process owns a state folder. A run ends ``done``, ``failed``, ``timeout`` (over the budget),
    ``killed`` (aborted, or its stream closed) or ``interrupted`` (the host was stopped, or its process died).

    Args:
        state_dir: made where missing, mode 0700; closed to other users where it is not.
        agent_id: names the folder of the sessions; letters, digits, ``.``, ``_``, ``-``.
        agent: answers the prompts.
        clock: time.
        timeout_s: the budget in seconds of ``clock`` of a run whose turn sets none.
        strict: behave as old gateways do: a session whose last run ended badly skips every turn until it
            is recovered.
        secrets: values no error may show, whatever the agent says.

    Raises:
        HostError: the agent id cannot name a folder.
    """

    queues_turns = False
    keeps_runs = False
    hides_thinking = True

    def __init__(  # noqa: PLR0913  # settings, each with a name at every call
        self,
        *,
        state_dir: Path,
        agent_id: str,
        agent: Agent,
        clock: Clock,
        timeout_s: float = 600.0,
        strict: bool = False,
        secrets: Iterable[SecretStr] = (),
    ) -> None:
        if not is_safe_id(agent_id):
            raise HostError("the agent id cannot name a folder: use letters, digits, '.', '_' and '-'")
        self._state_dir = state_dir
        self._folder = state_dir / "agents" / agent_id / "sessions"
        self._owner = owner_lock(state_dir)
        self._store = SessionStore(self._folder / "sessions.json", clock=clock)
        self._seat = Seat(agent)
        self._tools: ChatTools | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._timeout_s = timeout_s
        self._strict = strict
        self._secrets = tuple(secrets)
        self._started = False
        self._active: dict[str, Run] = {}
        self._outcomes: FIFOCache[str, Final | Failed] = FIFOCache(OUTCOMES_KEPT)

    def _left(self, leaving: asyncio.Task[None]) -> None:
        self._leaving.discard(leaving)
        if not leaving.cancelled() and (error := leaving.exception()) is not None:
            logger.error("the agent before could not be stopped: %s", error, exc_info=error)

    async def start(self) -> None:
        """Make the folders, take the state folder, mark runs of a dead process as interrupted.

        Raises:
            HostError: another process owns the state folder, it is another user's, or it cannot be used.
        """
        await self._owner.acquire_after(self._make_folder)
        with ExitStack() as undo:
            undo.callback(self._owner.release)
            await self._store.open()
            await self._store.sweep(partial(rows.mark_orphan, now_ms=self._clock.wall_ms()))
            await self._seat.start()
            undo.pop_all()
        self._started = True

    async def stop(self) -> None:
        """End what runs, leaving it ``interrupted``; write what is unwritten; give the state folder back."""
        self._started = False
        runs = list(self._active.values())
        for run in runs:
            run.stop(Status.INTERRUPTED)
        if runs:
            await asyncio.wait({run.task for run in runs})
        try:
            if self._leaving:
                await asyncio.wait(self._leaving)
            await self._seat.stop()
        finally:
            await self._store.close()
            self._owner.release()

    def take_tools(self, tools: ChatTools) -> None:
        """Pass on what the agent can do in the chat, to one that can do anything."""
        self._tools = tools
        self._seat.take_tools(tools)

    async def use(
        self,
        agent: Agent | None,
        *,
        timeout_s: float,
        strict: bool = False,
        secrets: Iterable[SecretStr] = (),
    ) -> None:
        """Have runs that begin from now on done by another agent; those under way end with the one before.

        That one is stopped when the last of them has ended. Where the new one cannot be started nothing has changed.

        Args:
            agent: answers the prompts, ``None`` for the same as before.
            timeout_s: as the host was made with.
            strict: likewise.
            secrets: values no error may show, besides those known.
        """
        seat = self._seat if agent is None else Seat(agent)
        if seat is not self._seat:
            await seat.start()
        self._timeout_s, self._strict = timeout_s, strict
        self._secrets = tuple({*self._secrets, *secrets})
        if seat is self._seat:
            return
        seat.take_tools(self._tools)
        before, self._seat = self._seat, seat
        leaving = asyncio.create_task(self._leave(before), name="octo:agent:leave")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._left)

    async def _leave(self, seat: Seat) -> None:
        while runs := [run.task for run in self._active.values() if run.seat is seat]:
            await asyncio.wait(runs)
        await seat.stop()

    async def ready(self) -> None:
        """Return at once: this host is ready whenever it is started."""

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        """Return the session's state, ``None`` when there is no such session. Raises `HostError`."""
        entry = await self._store.get(session_key)
        if entry is None:
            return None
        run = self._active.get(session_key.casefold())
        return snapshot_of(session_key, entry, None if run is None else run.last_progress_at)

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        """Clear the lifecycle fields if session id and last run id still are the snapshot's (design §5).

        A run under way in this process is never touched: that is a conflict. Raises `HostError`.
        """
        if snapshot.session_key.casefold() in self._active:
            return Recovery.CONFLICT
        edit = partial(rows.recover, seen=snapshot, session_id=self._clock.new_id())
        return await self._store.update(snapshot.session_key, edit)

    async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent, None]:
        """Run a turn; a run id that ended before gets the same end again, without a run.

        A second turn of a session with a run under way is skipped. Closing the stream kills the run.

        Raises:
            HostError: the host is not started.
        """
        if not self._started:
            raise HostError("the embedded host is not running: start it before its first turn")
        known = self._outcomes.get(turn.run_id)
        if known is not None:
            yield Accepted(turn.run_id)
            yield known
            return
        key = turn.session_key.casefold()
        if key in self._active:
            yield Skipped(f"busy with run {self._active[key].turn.run_id}")
            return
        run = self._active[key] = Run(turn, self._clock.wall_ms(), self._seat)
        run.task = asyncio.create_task(self._drive(run, key))
        try:
            while (event := await run.events.get()) is not None:
                yield event
            await run.task
        finally:
            run.stop(Status.KILLED)
            await asyncio.wait({run.task})

    async def abort(self, session_key: str, run_id: str) -> bool:
        """Kill the run and wait for its end; return whether it was under way."""
        run = self._active.get(session_key.casefold())
        if run is None or run.turn.run_id != run_id:
            return False
        run.stop(Status.KILLED)
        await asyncio.wait({run.task})
        return True

    async def reset(self, session_key: str) -> SessionSnapshot:
        """Kill what runs and give the conversation a new, empty memory; the old transcript stays on disk.

        Raises:
            HostError: the host is not started.
        """
        if (run := self._active.get(session_key.casefold())) is not None:
            await self.abort(session_key, run.turn.run_id)
        session_id, now_ms = self._clock.new_id(), self._clock.wall_ms()
        await self._store.update(session_key, partial(rows.renew, session_id=session_id, now_ms=now_ms))
        return SessionSnapshot(session_key=session_key, session_id=session_id, updated_at=now_ms)

    def _make_folder(self) -> None:
        claim_state_folder(self._state_dir)
        try:
            private_folder(self._folder)
        except OSError as error:
            why = f"{error.filename} cannot be made ({error.strerror}): choose another host.stateDir"
            raise HostError(why) from error

    async def _drive(self, run: Run, key: str) -> None:
        try:
            entry = await self._store.get(run.turn.session_key) if self._strict else None
            if entry and (status := text(entry.get("status"))) in RECOVERABLE:
                run.events.put_nowait(Skipped(f"session {status}"))
                return
            outcome = await self._play(run)
            self._outcomes[run.turn.run_id] = outcome
            run.events.put_nowait(outcome)
        finally:
            del self._active[key]
            run.events.put_nowait(None)

    async def _play(self, run: Run) -> Final | Failed:
        turn = run.turn
        session_id = self._clock.new_id()
        start = partial(rows.start_run, run_id=turn.run_id, session_id=session_id, now_ms=run.started_at)
        asked = partial(self._asked, run)
        transcript, before = await self._store.record(turn.session_key, start, asked)
        # Unless the agent gets to an end of its own, the loop is being torn down around us.
        status, error = Status.INTERRUPTED, STOPPED[Status.INTERRUPTED]
        try:
            asked_again = turn.message_id if turn.attempt > 1 else ""
            remember = partial(memory.history, transcript, before, asked=asked_again)
            messages = run.seat.history_messages
            history = await asyncio.to_thread(remember, messages=messages) if messages else ()
            run.events.put_nowait(Accepted(turn.run_id))
            prompt = _prompt(turn, transcript.session_id, history)
            status, error = await self._answer(run, prompt, remember)
        finally:
            run.close()
            said = await said_by(run.seat.agent, run.written)
            await self._conclude(run, transcript, status, error, said)
        named = await named_in(said, turn.output)
        if status == Status.DONE:
            files = {source: MediaItem(kind="file", url=source) for source in named.sources}
            parts = tuple(part if isinstance(part, str) else files[part.address] for part in named.parts)
            shown = parts if files else ()
            return Final(named.text, tuple(files.values()), shown, run.is_cut, run.is_filtered)
        as_seen = Status.KILLED if status == Status.INTERRUPTED else status
        return Failed(as_seen.value, error, named.text, is_all=not named.text and bool(run.written))

    def _asked(self, run: Run, session_id: str) -> Said:
        turn = run.turn
        request = Message(
            role="user",
            text=turn.text,
            sender=turn.sender.name,
            context=turn.context,
            mark=turn.mark,
            message_id=turn.message_id,
        )
        # not synced: should it be lost in a power cut, the journal has the message, and the turn runs again
        return Said(
            transcript=Transcript(self._folder, session_id),
            message=request,
            row_id=self._clock.new_id(),
            now_ms=run.started_at,
            sync=False,
            again=turn.attempt > 1,
        )

    async def _answer(
        self, run: Run, prompt: Prompt, remember: Callable[[], Iterable[Message]]
    ) -> tuple[Status, str]:
        """Let the agent answer until it ends, the budget is used up, or the run is stopped."""
        agent = asyncio.create_task(self._pump(run, prompt))
        budget_s = run.turn.budget_s or self._timeout_s
        ends: set[asyncio.Future[Any]] = {agent, run.stopped}
        try:
            with suppress(TimeoutError):
                first = asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                await within(self._clock, budget_s, first)
            if agent.done():
                status, error = own_end(agent, run.turn.run_id)
                if error:
                    error = await asyncio.to_thread(self._fit_to_show, error, prompt, remember)
                return status, error
            run.stop(Status.TIMEOUT)
        finally:
            await end_answer(agent, run.turn.run_id)
        status = run.stopped.result()
        return status, STOPPED[status].format(budget_s)

    def _fit_to_show(self, error: str, prompt: Prompt, remember: Callable[[], Iterable[Message]]) -> str:
        return fit_to_show(error, prompt, remember(), self._secrets)

    async def _pump(self, run: Run, prompt: Prompt) -> None:
        try:
            async for piece in run.seat.agent.reply(prompt):
                run.take(piece, self._clock.wall_ms())
        except AnswerCut as end:
            run.is_cut, run.is_filtered = not end.filtered, end.filtered

    async def _conclude(
        self, run: Run, transcript: Transcript, status: Status, error: str, said: str
    ) -> None:
        answer = Message(
            role="assistant",
            text=said,
            error=error,
            aborted=status in {Status.KILLED, Status.INTERRUPTED},
            cut=run.is_cut or run.is_filtered,
        )
        now_ms = self._clock.wall_ms()
        row = Said(
            transcript=transcript, message=answer, row_id=self._clock.new_id(), now_ms=now_ms, sync=True
        )
        end = partial(rows.end_run, run_id=run.turn.run_id, status=status, error=error, now_ms=now_ms)
        await self._store.record(run.turn.session_key, end, lambda _: row)


def _prompt(turn: Turn, session_id: str, history: tuple[Message, ...]) -> Prompt:
    return Prompt(
        text=turn.text,
        sender_name=turn.sender.name,
        notes=turn.notes,
        context=turn.context,
        mark=turn.mark,
        history=history,
        media=turn.media,
        output=turn.output,
        ticket=turn.ticket,
        conversation=turn.conversation,
        session_key=turn.session_key,
        session_id=session_id,
        run_id=turn.run_id,
    )
