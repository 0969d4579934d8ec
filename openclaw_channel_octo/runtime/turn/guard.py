"""The guard at work: look at the session, announce, recover, wait (design §5)."""

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ApiError, HostError
from openclaw_channel_octo.host.base import AgentHost, Recovery, Turn
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.turn.host_calls import HOST_ANSWERS_S, ask_host
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.session.guard import (
    THIRD_FAILURE,
    Action,
    Plan,
    Situation,
    fail_open,
    patience_ms,
    plan,
)
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.store.journal import Journal

__all__ = ["Look", "SessionGuard", "Sessions"]

ANNOUNCE_WITHIN_S = 5.0
"""Longest wait for the announcement; the turn runs whatever became of it."""

DESCRIBE_WITHIN_S = 5.0
"""Longest wait for the host's word on a session before the turn runs without it."""

RECOVERY_TRIES = 2
"""Recoveries of a session somebody else keeps changing before the turn runs without one."""


class Look(Struct, frozen=True):
    """One look at a session.

    Attributes:
        snapshot: the session as its host describes it, ``None`` where the host has none or could not be asked.
        plan: what the guard does with the next message.
        at_ms: when it was, Unix milliseconds; 0 where the host could not be asked.
    """

    snapshot: SessionSnapshot | None
    plan: Plan
    at_ms: int = 0


class Sessions(Struct, frozen=True, kw_only=True):
    """The host's sessions as the guard sees them; the one place that builds the guard's input.

    Attributes:
        runs: knows our own runs, and the host that has the sessions.
        journal: remembers announced episodes.
        clock: time.
    """

    runs: Runs
    journal: Journal
    clock: Clock

    @property
    def host(self) -> AgentHost:
        """Who knows the sessions now."""
        return self.runs.host

    async def look(  # one argument for each thing that the caller knows about the turn
        self,
        session_key: str,
        kind: str,
        patience_ms: int,
        notice: str,
        *,
        since_ms: int = 0,
        within_s: float = HOST_ANSWERS_S,
    ) -> Look:
        """Describe a session and plan its next turn.

        Args:
            session_key: the session.
            kind: ``group``, ``thread`` or ``direct``.
            patience_ms: milliseconds without progress after which a run there is stuck.
            notice: who is told of a restart: ``groups``, ``all`` or ``never``.
            since_ms: Unix milliseconds since when the turn has waited, 0 where it has not.
            within_s: longest wait for the host.

        Raises:
            HostError: the host cannot describe it in time.
        """
        snapshot = await ask_host(
            self.clock, "describe the session", self.host.describe(session_key), within_s
        )
        now_ms = self.clock.wall_ms()
        situation = Situation(
            now_ms=now_ms,
            kind=kind,
            patience_ms=patience_ms,
            waiting_since_ms=since_ms or now_ms,
            notice=notice,
            ended_runs=self.runs.ended,
            own_runs=self.runs.own,
            queues_turns=self.host.queues_turns,
        )
        todo = plan(snapshot, situation)
        if todo.announce:
            ledger = await self.journal.episodes.ledger(session_key)
            todo = plan(snapshot, replace(situation, announced=ledger.announced))
        return Look(snapshot, todo, now_ms)

    async def clear(self, snapshot: SessionSnapshot, todo: Plan) -> Recovery:
        """Stop a session's stuck run where the plan says so, and recover it. Raises `HostError`."""
        if todo.abort_run_id:
            stopping = self.runs.abort(snapshot.session_key, todo.abort_run_id)
            await ask_host(self.clock, "stop the stuck run", stopping)
        return await ask_host(self.clock, "recover the session", self.host.recover(snapshot))


class SessionGuard(Struct, frozen=True, kw_only=True):
    """Makes a session ready for a turn, for one bot.

    Attributes:
        context: what every part of the bot is made from.
        sessions: the host's sessions.
        outbox: sends the announcement.
        presence: shows typing again after it.
    """

    context: BotContext
    sessions: Sessions
    outbox: Outbox
    presence: Presence

    async def prepare(self, turn: Turn, channel: ChannelRef) -> int:
        """Return when a turn's session may run it: recovered, announced, or simply free.

        Returns:
            How many runs have failed in a row, where that is announced together with this one's end or right before
            its answer; 0 where nothing is left to be announced.
        """
        since_ms, told, tries, failures = 0, "", RECOVERY_TRIES, 0
        while True:
            look = await self._look(turn, since_ms)
            since_ms = since_ms or look.at_ms
            if look.plan.reason != told:
                told = look.plan.reason
                self._report(look)
            if look.plan.action is Action.WAIT:
                await self.context.clock.sleep(look.plan.wait_ms / 1000)
                continue
            if look.snapshot is None or look.plan.action is not Action.RECOVER:
                return failures
            failures = max(failures, await self._note(turn.session_key, channel, look.plan))
            tries -= 1
            if await self._clear(look.snapshot, look.plan) is Recovery.RECOVERED or not tries:
                return failures

    async def _look(self, turn: Turn, since_ms: int) -> Look:
        try:
            return await self.sessions.look(
                turn.session_key,
                turn.conversation,
                patience_ms(self.context.budget_s),
                self.context.config.guard.notice,
                since_ms=since_ms,
                within_s=DESCRIBE_WITHIN_S,
            )
        except HostError as error:
            return Look(None, fail_open(f"the session's status is unknown: {error}"))

    def _report(self, look: Look) -> None:
        status = look.snapshot.status if look.snapshot else None
        runtime = look.snapshot.runtime_ms if look.snapshot else None
        write = self.context.log.warning if look.plan.warn else self.context.log.info
        write("session status=%s runtimeMs=%s → %s (%s)", status, runtime, look.plan.action, look.plan.reason)

    async def _clear(self, snapshot: SessionSnapshot, todo: Plan) -> Recovery:
        try:
            return await self.sessions.clear(snapshot, todo)
        except HostError as error:
            self.context.log.warning("the session could not be recovered, running anyway: %s", error)
            return Recovery.RECOVERED

    async def _note(self, session_key: str, channel: ChannelRef, todo: Plan) -> int:
        """Count a failed run once, and announce the restart or return what `prepare` does."""
        if not todo.counts:
            return 0
        first = await self.context.journal.episodes.note(session_key, todo.episode)
        if not (todo.announce and first):
            return 0
        failures = (await self.context.journal.episodes.ledger(session_key)).failures
        if failures + 1 >= THIRD_FAILURE:  # with this run, should it fail too
            return failures
        await self.announce(channel)
        return 0

    async def announce(self, channel: ChannelRef) -> None:
        """Tell of the restart; best effort, the turn goes on whatever happens."""
        text = self.context.config.restart_notice
        await self.presence.ready(channel)
        await self.outbox.progress.passed_in(channel)
        try:
            await within(self.context.clock, ANNOUNCE_WITHIN_S, self.outbox.announce(channel, text))
        except ApiError as error:
            self.context.log.warning("the restart could not be announced: %s", error)
        except TimeoutError:
            self.context.log.warning("the restart could not be announced within %.0f s", ANNOUNCE_WITHIN_S)
        else:
            if self.context.metrics is not None:
                self.context.metrics.announced()
        self.presence.again(channel)

    def failed_again(self, notice: str, failures: int) -> str:
        """Return the notice of a failed run as one message with the announcement that was left to its end.

        Args:
            notice: of this run.
            failures: what `prepare` returned before it.
        """
        if not failures:
            return notice
        texts = self.context.config.texts
        counted = texts.third_failure % (failures + 1)
        return counted if notice == texts.failed else f"{notice}\n{counted}"
