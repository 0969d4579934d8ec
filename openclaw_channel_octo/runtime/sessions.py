"""The guard at work: look at the session, announce, recover, wait (design §5)."""

from msgspec import Struct

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ApiError, HostError
from openclaw_channel_octo.host.base import AgentHost, Recovery
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.host_calls import ask_host
from openclaw_channel_octo.runtime.measures import Measures
from openclaw_channel_octo.runtime.outbox import Outbox
from openclaw_channel_octo.runtime.presence import Presence
from openclaw_channel_octo.runtime.runs import Runs
from openclaw_channel_octo.session.guard import THIRD_FAILURE, Action, Plan, Situation, fail_open, plan
from openclaw_channel_octo.session.key import conversation_kind
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["SessionGuard"]

ANNOUNCE_WITHIN_S = 5.0
"""Longest wait for the announcement; the turn runs whatever became of it."""

DESCRIBE_WITHIN_S = 5.0
"""Longest wait for the host's word on a session before the turn runs without it."""

PATIENCE_S = 60.0
"""How much longer than a run's budget a silent run may stand."""

RECOVERY_TRIES = 2
"""Recoveries of a session somebody else keeps changing before the turn runs without one."""


class _Look(Struct, frozen=True):
    snapshot: SessionSnapshot | None
    plan: Plan


class SessionGuard:
    """Makes a session ready for a turn, for one bot.

    Args:
        config: the bot's settings.
        host: knows the sessions.
        runs: knows our own runs.
        journal: remembers announced episodes.
        outbox: sends the announcement.
        presence: shows typing again after it.
        clock: time.
        budget_s: a run's budget in seconds.
        log: the bot's log.
        measures: told of announcements.
    """

    def __init__(  # noqa: PLR0913  # it stands where all these meet; a bag of them would only hide that
        self,
        *,
        config: BotConfig,
        host: AgentHost,
        runs: Runs,
        journal: Journal,
        outbox: Outbox,
        presence: Presence,
        clock: Clock,
        budget_s: float,
        log: BotLog,
        measures: Measures,
    ) -> None:
        self._measures = measures
        self._config = config
        self._host = host
        self._runs = runs
        self._journal = journal
        self._outbox = outbox
        self._presence = presence
        self._clock = clock
        self._patience_ms = int((budget_s + PATIENCE_S) * 1000)
        self._log = log

    async def prepare(self, row: InboundRow) -> None:
        """Return when the message's session may run a turn: recovered, announced, or simply free."""
        since_ms = self._clock.wall_ms()
        told, tries = "", RECOVERY_TRIES
        while True:
            look = await self._look(row, since_ms)
            if look.plan.reason != told:
                told = look.plan.reason
                self._report(look)
            if look.plan.action is Action.WAIT:
                await self._clock.sleep(look.plan.wait_ms / 1000)
                continue
            if look.snapshot is None or not look.plan.forced:
                return
            await self._announce(row, look.plan)
            tries -= 1
            if await self._clear(row, look.snapshot, look.plan) is Recovery.RECOVERED or not tries:
                return

    async def _look(self, row: InboundRow, since_ms: int) -> _Look:
        try:
            asked = self._host.describe(row.session_key)
            snapshot = await ask_host(self._clock, "describe the session", asked, DESCRIBE_WITHIN_S)
        except HostError as error:
            return _Look(None, fail_open(f"the session's status is unknown: {error}"))
        ledger = await self._journal.ledger(row.session_key)
        situation = Situation(
            now_ms=self._clock.wall_ms(),
            kind=conversation_kind(row.channel),
            patience_ms=self._patience_ms,
            waiting_since_ms=since_ms,
            notice=self._config.guard.notice,
            announced=ledger.announced,
            ended_runs=self._runs.ended,
            own_runs=self._runs.own,
            queues_turns=self._host.queues_turns,
        )
        return _Look(snapshot, plan(snapshot, situation))

    def _report(self, look: _Look) -> None:
        status = look.snapshot.status if look.snapshot else None
        runtime = look.snapshot.runtime_ms if look.snapshot else None
        write = self._log.warning if look.plan.warn else self._log.info
        write("session status=%s runtimeMs=%s → %s (%s)", status, runtime, look.plan.action, look.plan.reason)

    async def _clear(self, row: InboundRow, snapshot: SessionSnapshot, todo: Plan) -> Recovery:
        try:
            if todo.abort_run_id:
                stopping = self._host.abort(row.session_key, todo.abort_run_id)
                await ask_host(self._clock, "stop the stuck run", stopping)
            return await ask_host(self._clock, "recover the session", self._host.recover(snapshot))
        except HostError as error:
            self._log.warning("the session could not be recovered, running anyway: %s", error)
            return Recovery.RECOVERED

    async def _announce(self, row: InboundRow, todo: Plan) -> None:
        """Tell of the restart once for each failed run; best effort, the turn runs whatever happens."""
        if not todo.counts:
            return
        first = await self._journal.note_episode(row.session_key, todo.episode)
        if not (todo.announce and first):
            return
        text = await self._announcement(row)
        await self._presence.ready(row.channel)
        try:
            await within(self._clock, ANNOUNCE_WITHIN_S, self._outbox.announce(row.channel, text))
        except ApiError as error:
            self._log.warning("the restart could not be announced: %s", error)
        except TimeoutError:
            self._log.warning("the restart could not be announced within %.0f s", ANNOUNCE_WITHIN_S)
        else:
            self._measures.announced()
        self._presence.again(row.channel)

    async def _announcement(self, row: InboundRow) -> str:
        failures = (await self._journal.ledger(row.session_key)).failures
        if failures >= THIRD_FAILURE:
            return self._config.texts.third_failure % failures
        return self._config.guard.notice_text
