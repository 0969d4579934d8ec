"""One run on a gateway, from its request to its end, whatever happens to the connection (openclaw-host §4.6, §4.7).

Over 350 lines: asking, looking for a lost run and getting over a session that takes none share their state.
"""

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any

from openclaw_channel_octo.clock import Backoff, Clock, before, within
from openclaw_channel_octo.errors import HostRefused, HostUnavailable
from openclaw_channel_octo.host.base import Accepted, Activity, Delta, Failed, Final, Turn
from openclaw_channel_octo.host.fields import mapping, text
from openclaw_channel_octo.host.gateway import outcome
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.events import RunEvents
from openclaw_channel_octo.host.gateway.frames import Response
from openclaw_channel_octo.host.gateway.outcome import End, Hitch
from openclaw_channel_octo.host.gateway.places import Places
from openclaw_channel_octo.host.gateway.prompt import attachments, question_of, request_of, without
from openclaw_channel_octo.host.gateway.sessions import GatewaySessions
from openclaw_channel_octo.session.status import Status

__all__ = ["GatewayRun"]

_log = logging.getLogger(__name__)

RECOVERY_STARTS_WITHIN_S = 30.0
"""How long a restarted gateway gets to take up a session it left running; real ones took 3 to 14 s."""

WAIT_MS = 30_000
"""Longest single ``agent.wait``."""

HISTORY_LIMIT = 50
SETTLE_TRIES, SETTLE_EVERY_S = 10, 0.3
"""Looks at what an ended run left behind: its record follows its last event a moment later."""

ANSWER_WITHIN_S = 3.0
"""How much later than the event of a run's end the answer that tells it may come."""

PATIENCE_S = 60.0
"""How many seconds longer than its budget a run waits for a session that takes no run yet."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0
"""Between two requests to such a session."""

MOST_SPOILED, SPOILED_PAUSE_S = 3, 2.0
"""Runs that may break over the end of the one before them, and how much longer each next one is held back."""

SILENT_S = 20.0
"""How long a run behind one that ended badly may show no sign of life; on busy machines they began after 12 s."""

MOST_LEFT = 2
"""Sessions that one run gives up."""

_BUSY = frozenset({"running", "queued"})
_TERMINAL = frozenset({"final", "error", "aborted"})


class GatewayRun:
    """Asks a gateway for one run and finds out how it ended.

    A run whose connection was lost is looked for: under its own id where the gateway still is the same, by session
    key and history where it was started again and may have taken the run up under another id. Only a run that left no
    trace, or ended without an answer while the gateway died, is asked for again. A session that takes no run now is
    waited for, and one that takes none any more is left (decision 0038).

    Args:
        turn: what to run.
        connection: to the gateway.
        sessions: where conversations go on.
        places: what the gateway is told of a conversation.
        clock: time and ids.
        suspect: whether a run that ended badly may still hold the session, as in releases before 2026.7.
    """

    def __init__(
        self,
        turn: Turn,
        connection: GatewayConnection,
        sessions: GatewaySessions,
        places: Places,
        clock: Clock,
        *,
        suspect: bool = False,
    ) -> None:
        self.turn = turn
        self.key = turn.run_id
        self.session_key = sessions.key(turn.session_key)
        """The session in the gateway that the run belongs to."""
        self.events = RunEvents()
        self.aborted = False
        self._connection = connection
        self._sessions = sessions
        self._places = places
        self._clock = clock
        self._suspect = suspect
        self._stopped = asyncio.Event()
        self._alive = asyncio.Event()
        self._asked_at = 0.0
        self._pauses = Backoff(clock, FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._gives_up_at: float | None = None
        self._spoiled = 0
        self.left = 0
        """How many sessions the run gave up."""
        self._question = question_of(turn)
        self._sent_ms = turn.lost_since_ms
        self._lost_ms = 0
        self._told: asyncio.Queue[Mapping[str, Any]]
        self._over: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._listen()
        self._accepted = False
        self._text = ""

    def stop(self) -> None:
        """Let a run that is told to end wait for nothing more: a gateway that is away cannot tell its end."""
        self.aborted = True
        self._stopped.set()

    async def drive(self) -> None:
        """Run to the end; everything that happens goes to ``events``, ``None`` last."""
        try:
            self.events.put_nowait(await before(self._overdue(), self._end()))
        except TimeoutError:
            self.events.put_nowait(Failed(Status.KILLED, "the run was aborted", self._text))
        finally:
            self.events.put_nowait(None)

    async def _overdue(self) -> None:
        await self._stopped.wait()
        await self._clock.sleep(ANSWER_WITHIN_S)

    def on_event(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take an event of this run, or one of its session while the run is looked for there."""
        if text(payload.get("runId")) != self.key:
            if self._elsewhere:
                self._told.put_nowait(payload if name == "chat" else {})
            return
        self._alive.set()
        state = text(payload.get("state")) if name == "chat" else ""
        if state == "delta":
            self._accept()
            so_far = outcome.message_text(mapping(payload.get("message")))
            if so_far.startswith(self._text):  # a part of it that changed later shows only in the end
                more = so_far[len(self._text) :]
                self.events.put_nowait(Delta(more, is_clean=True))  # what a gateway shows in its own channels
            self._text = so_far
        elif name == "agent" and (tool := outcome.tool_of(payload)):
            self._accept()
            self.events.put_nowait(Activity(tool))
        elif state == "aborted":
            self.aborted = True  # 2026.5.22 calls it a timeout in its answer
        if state in _TERMINAL and not self._over.done() and outcome.end_of_event(payload) != Final():
            # An empty final says little: 2026.5.22 sends one before it tells that the model failed.
            self._over.set_result(payload)

    def _accept(self) -> None:
        self.events.wait(waits=False)
        if not self._accepted:
            self._accepted = True
            self.events.put_nowait(Accepted(self.turn.run_id))

    async def _end(self) -> End:
        self.events.interrupt(is_so=self._sent_ms > 0)
        while True:
            try:
                await self._connection.ready()
                if self._sent_ms > 0 and (end := await self._reconcile()) is not None:
                    return end
                if (end := await self._ask()) is not None:
                    return end
            except HostRefused as error:
                return Failed(Status.FAILED, str(error), self._text)
            except HostUnavailable as error:
                _log.warning("run %s: %s; looking for it when the gateway is back", self.turn.run_id, error)
                self._listen()
                self.events.interrupt(is_so=self._sent_ms > 0)
                self.events.wait(waits=True)
                await self._clock.sleep(SETTLE_EVERY_S)

    async def _ask(self) -> End | None:
        """Request the run, or its outcome where the gateway knows its key; ``None`` when it takes no runs now."""
        asked_before, self._sent_ms = self._sent_ms, self._sent_ms or self._clock.wall_ms()
        pictures = await asyncio.to_thread(attachments, self.turn.media)
        extras: Mapping[str, Any] = await self._places.of(self.turn, self.session_key)
        extras = {**extras, "attachments": pictures} if pictures else extras
        for _ in range(SETTLE_TRIES):
            answer = await self._request(extras)
            if answer is None:
                return self._with_text(outcome.end_of_event(self._over.result()))
            if isinstance(answer, Hitch):
                return await self._get_over(answer, "no sign of life of a run behind one that ended badly")
            if answer.fault is not None and len(less := without(extras, answer.fault.message)) < len(extras):
                extras = less
                continue
            if not outcome.started(answer):
                hitch = None if self.aborted else outcome.hitch_of(answer)
                if hitch is None or (hitch is Hitch.SPOILED and self._is_late()):
                    return self._with_text(outcome.end_of(answer, aborted=self.aborted))
                self._sent_ms = asked_before  # a run that did not begin was not asked for at all
                after_ms = answer.fault.retry_after_ms if answer.fault else 0
                return await self._get_over(hitch, outcome.words_of(answer), after_ms / 1000)
            if (end := await self._follow()) is not None:
                return self._with_text(end)
            await self._clock.sleep(SETTLE_EVERY_S)
        lost = Failed(Status.FAILED, "the gateway ended the run and tells no outcome")
        return await self._from_history() or lost

    async def _get_over(self, hitch: Hitch, words: str, pause_s: float = 0.0) -> End | None:
        """Make ready for another request, or return the end of a run that has to give up."""
        now = self._clock.now()
        match hitch:
            case Hitch.NOT_YET:
                self.events.wait(waits=True)
                self._gives_up_at = self._gives_up_at or now + (self.turn.budget_s or 0.0) + PATIENCE_S
                if now >= self._gives_up_at:
                    return Failed(Status.FAILED, words)
                if self._lost_ms:  # it may be the lost run that the gateway takes up now, late
                    self._sent_ms, self._lost_ms = self._lost_ms, 0
                    self._listen()
                pause_s = pause_s or self._pauses.next()
            case Hitch.SPOILED if self._spoiled < MOST_SPOILED:
                self._spoiled += 1
                pause_s = SPOILED_PAUSE_S * self._spoiled
                _log.warning("run %s broke over the end of the one before it; once more", self.turn.run_id)
            case _:
                if self.left >= MOST_LEFT:
                    return Failed(Status.FAILED, words)
                self.left += 1
                await self._sessions.leave(self.turn.session_key, words)
                self.session_key = self._sessions.key(self.turn.session_key)
        if self._accepted:  # the gateway would tell the end of a run it has accepted again
            self._renew()
        try:
            await within(self._clock, pause_s, self._stopped.wait())
        except TimeoutError:
            return None
        return Failed(Status.KILLED, "the run was aborted")

    def _renew(self) -> None:
        """Go on as another run; its id tells whose it is."""
        self.key = f"{self.turn.run_id}.{self._clock.new_id()[:8]}"
        self._over = asyncio.get_running_loop().create_future()
        self._alive = asyncio.Event()
        self._suspect = self._accepted = False
        self._text = ""

    def _is_late(self) -> bool:
        """Return whether a run had so much of its budget that it did not break at its beginning."""
        return self._clock.now() - self._asked_at > (self.turn.budget_s or math.inf) / 2

    async def _request(self, extras: Mapping[str, Any]) -> Response | Hitch | None:
        """Send the request and return the answer that tells the run's end, or why it did not begin.

        ``None`` when the end's event came and the answer does not follow: 2026.5.22 gives some aborted runs none.
        """
        self._asked_at = self._clock.now()
        memory = await self._sessions.memory(self.turn.session_key)
        request = request_of(self.turn, self._question, memory, session_key=self.session_key, key=self.key)
        async with self._connection.exchange("agent", {**request, **extras}) as exchange:
            answer = await exchange.next()
            if outcome.started(answer):
                self._accept()
            if text(answer.payload.get("status")) != "accepted":
                return answer
            last = asyncio.ensure_future(exchange.next())
            first: set[asyncio.Future[Any]] = {last, self._over}
            try:
                if self._suspect and await self._is_silent(first):
                    return Hitch.DEAD
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                if last.done():
                    return last.result()
                last.cancel()
                return await within(self._clock, ANSWER_WITHIN_S, exchange.next())
            except TimeoutError:
                return None
            finally:
                last.cancel()

    async def _is_silent(self, ends: set[asyncio.Future[Any]]) -> bool:
        """Return whether the run shows no sign of life in time; one that does not is told to end."""
        self.events.wait(waits=True)
        alive = asyncio.ensure_future(self._alive.wait())
        signs = asyncio.wait({*ends, alive}, return_when=asyncio.FIRST_COMPLETED)
        try:
            await within(self._clock, SILENT_S, signs)
        except TimeoutError:
            abort = {"key": self.session_key, "runId": self.key}
            self._renew()  # the end of the other one is not this one's
            await self._connection.call("sessions.abort", abort)
            return True
        finally:
            alive.cancel()
        self.events.wait(waits=False)
        return False

    async def _follow(self) -> End | None:
        """Wait for a run that is under way; ``None`` when it has ended and its text has to be asked for."""
        while True:
            params = {"runId": self.key, "timeoutMs": WAIT_MS}
            payload = await self._connection.call("agent.wait", params, within_s=WAIT_MS / 1000 + 15)
            if self.aborted and text(payload.get("status")) != "pending":
                return Failed(Status.KILLED, "the run was aborted")
            if (end := outcome.end_of_wait(payload)) is not None:
                return end
            if text(payload.get("status")) == "ok":
                return None
            await self._clock.sleep(SETTLE_EVERY_S)  # some answer at once that nothing is known yet

    def _listen(self) -> None:
        """Keep from now on what is told of the session: a restarted gateway tells at once that it took up the run."""
        self._told = asyncio.Queue()
        self._elsewhere = self._sent_ms > 0

    async def _reconcile(self) -> End | None:
        """Find out what became of a run whose connection was lost; ``None`` when it has to be asked for."""
        if self._connection.booted_ms < self._sent_ms:
            # The same gateway knows the run by its key, for a while; its history knows it for good.
            self._elsewhere = False
            self.events.interrupt(is_so=False)
            self.key = await self._under_way() or self.key
            return await self._from_history()
        end = await self._taken_up() or await self._from_history()
        self._elsewhere = False
        if end is None:
            self._renew()
            self._lost_ms, self._sent_ms = self._sent_ms, 0
        return end

    async def _taken_up(self) -> End | None:
        """Wait for what a restarted gateway does about the session; ``None`` when that is nothing (any more)."""
        patience_s: float | None = RECOVERY_STARTS_WITHIN_S
        while await self._busy():
            told = await self._next_told(patience_s)
            if told is None:
                return None  # the row is left over; nobody takes it up
            patience_s = None
            self.events.wait(waits=False)
            if text(told.get("state")) in _TERMINAL:
                return await self._settled(told)
        while not self._told.empty():  # the row changes once the end was told
            if text((told := self._told.get_nowait()).get("state")) in _TERMINAL:
                return await self._settled(told)
        return None

    async def _next_told(self, patience_s: float | None) -> Mapping[str, Any] | None:
        """Return the session's next event, ``None`` when none came in time; without patience, look again at times."""
        try:
            return await within(self._clock, patience_s or WAIT_MS / 1000, self._told.get())
        except TimeoutError:
            return {} if patience_s is None else None

    async def _busy(self) -> bool:
        return text((await self._row()).get("status")) in _BUSY

    async def _under_way(self) -> str:
        """Return the id under which the run was asked for again and still goes on, empty where there is none."""
        active = (await self._row()).get("activeRunIds")
        again = f"{self.turn.run_id}."
        return next(
            (one for one in map(text, active if isinstance(active, list) else ()) if one.startswith(again)),
            "",
        )

    async def _row(self) -> Mapping[str, Any]:
        row = await self._connection.call("sessions.describe", {"key": self.session_key})
        return mapping(row.get("session"))

    async def _settled(self, told: Mapping[str, Any]) -> End:
        """Return what a run under a foreign id came to, from the event that ended it or the history behind it."""
        end = outcome.end_of_event(told)
        tries = SETTLE_TRIES if isinstance(end, Final) else 1
        for _ in range(tries):
            if (answer := await self._from_history()) is not None:
                return answer
            await self._clock.sleep(SETTLE_EVERY_S)
        return end

    async def _from_history(self) -> End | None:
        """Return the answer that stands behind the question in the session's history."""
        params = {"sessionKey": self.session_key, "limit": HISTORY_LIMIT}
        payload = await self._connection.call("chat.history", params)
        messages = payload.get("messages")
        answer = outcome.judge(
            messages if isinstance(messages, list) else (),
            run_id=self.turn.run_id,
            question=self._question,
            since_ms=self._sent_ms,
        )
        return Final(answer) if answer else None

    def _with_text(self, end: End) -> End:
        """Give a failed run what it had written by then."""
        return Failed(end.status, end.message, self._text) if isinstance(end, Failed) else end
