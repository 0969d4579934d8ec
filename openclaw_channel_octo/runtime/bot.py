"""One bot: its API, its connection, and what its messages set in motion.

Over 350 lines: the life of a bot, from its lease to its end, over parts that are built once it is known who it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from openclaw_channel_octo.clock import Backoff, within
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import Identity
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.background import TaskSet, drained, uninterrupted
from openclaw_channel_octo.runtime.connection.lease import Lease
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState, Supervisor
from openclaw_channel_octo.runtime.connection.transport import Tap
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.attachments import SWEEP_EVERY_S
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.intake.gaps import GapFiller
from openclaw_channel_octo.runtime.intake.history import MissedHistory
from openclaw_channel_octo.runtime.intake.inbox import Inbox
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.runtime.pipeline import Pipeline
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.runtime.turn import downloads
from openclaw_channel_octo.runtime.turn.lanes import Submitter
from openclaw_channel_octo.runtime.wiring import (
    ChannelContext,
    gate_policy,
    make_admission,
    make_attachments,
    make_commands,
    make_directory,
    make_fetcher,
    make_outbound,
    make_outbox,
    make_turns,
)
from openclaw_channel_octo.wire.events import Connected

if TYPE_CHECKING:
    from openclaw_channel_octo.runtime.actions.types import ActionContext

__all__ = ["Bot"]

LEASE_EVERY_S = 2.0
"""Wait between two tries to take the lease of a bot that another process runs."""

FIRST_ROUND_MS = 3_600_000
"""How long it may take until a start has looked at every conversation."""

TURN_WITHIN_S = 30.0
"""How long a bot that can begin lets others begin first."""

SOCKET_WITHIN_S = 15.0
"""How long a bot waits for its socket, and with it for the server's clock, before it takes up old messages."""


class Bot:
    """Runs one bot until it is stopped.

    Args:
        config: its settings.
        shared: what it uses together with other bots.
        api: its API.
        lease: the right to connect it.
        log: its log.
        metrics: counts what happens, ``None`` where nobody collects that.
        tap: sees what it sends and receives, ``None`` where nobody looks.
    """

    _identity: Identity
    _pipeline: Pipeline

    def __init__(  # noqa: PLR0913  # its parts and what it is told
        self,
        config: BotConfig,
        shared: ChannelContext,
        api: BotApi,
        lease: Lease,
        log: BotLog,
        *,
        metrics: BotMetrics | None = None,
        tap: Tap | None = None,
    ) -> None:
        self._config = config
        self._shared, self._log, self._api = shared, log, api
        self._lease, self._tap = lease, tap
        self._elsewhere: ConnectionStatus | None = None
        self._tasks, self._intake = TaskSet(log, shared.clock), TaskSet(log, shared.clock)
        self._metrics, self._work = metrics, Submitter()
        self._begun, self._begun_ms, self._server_ahead_ms = False, 0, 0
        self.outbound: ActionContext | None = None
        """What others can have the bot do; ``None`` before it first knew who it is."""
        most = config.media_max_mb * 1024 * 1024
        self._fetcher = make_fetcher(config, shared.media, config.token, most) if most else None
        self._files = make_attachments(config, api, shared, log)
        self._supervisor = Supervisor(
            api=api,
            clock=shared.clock,
            open_transport=shared.open_transport,
            device_id=shared.device_id,
            ws_url=config.ws_url,
            pace=shared.pace(config.api_url),
            prepare=self._prepare,
            connected=self._connected,
            log=log,
            tap=tap,
        )
        self._running: asyncio.Task[None] | None = None

    @property
    def config(self) -> BotConfig:
        """The settings it goes by."""
        return self._config

    @property
    def connection(self) -> ConnectionStatus:
        """The state of the bot's connection."""
        return self._elsewhere or self._supervisor.status

    def start(self) -> None:
        """Connect and begin to answer, once no other process on this machine runs the bot."""
        self._running = self._tasks.start(self._run(), "supervisor")

    @property
    def failing(self) -> Mapping[str, str]:
        """Background jobs whose last try ended by an unexpected error, role to error."""
        return {**self._tasks.failing, **self._intake.failing}

    def apply(self, config: BotConfig) -> None:
        """Go by other settings, and by what all bots share, from the next message on; see `changes.SETTINGS`."""
        before, self._config = self._config, config
        self._files.roots = config.media_roots
        if self.outbound is None:
            return
        context = self.outbound.context
        context.config, context.routing = config, self._shared.routing
        context.budget_s = config.turn_budget_s(self._shared.host_timeout_s)
        self._directory.settings = gate_policy(config)
        self._pipeline.apply(before)

    async def take_up(self, row_ids: Collection[int]) -> Collection[int]:
        """Take up rows of the journal that were opened again; see `Pipeline.take_up`. Raises `StoreError`."""
        if self.outbound is None:
            return row_ids  # with all that it finds there, as soon as it is known who it is
        return await self._pipeline.take_up(row_ids)

    async def use_token(self, lease: Lease) -> None:
        """Show the token of the settings from now on; to be called between `disconnect` and `start`.

        Args:
            lease: the right to connect with that token.
        """
        await self._lease.release()
        self._lease = lease
        self._api.use_token(self._config.token)
        if self._fetcher is not None:
            self._fetcher.token = self._config.token

    async def drain(self, seconds: float) -> None:
        """Give up what waits, which stays in the journal, and let running turns end; after ``seconds`` end them."""
        lanes = self._shared.lanes
        lanes.leave(self._work)
        try:
            await drained(self._shared.clock, seconds, self._work.settle, self.show_pause, self.show_ends)
        except TimeoutError:
            self._log.warning("turns still ran after %.0f s: %s", seconds, lanes.begun_of(self._work))
        finally:
            await uninterrupted(lanes.cancel_of(self._work), "cancel")

    async def show_pause(self) -> None:
        """Have what people see of turns under way say that they go on later."""
        if self.outbound is not None:
            await self.outbound.outbox.progress.pause()

    async def show_ends(self) -> None:
        """Return once what people saw of turns that have ended says so."""
        if self.outbound is not None:
            await self.outbound.outbox.progress.settle()

    async def disconnect(self) -> None:
        """Stop receiving and fetching; what was received stays in the lanes."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._intake.close()

    async def close(self) -> None:
        """End everything that still runs."""
        async with AsyncExitStack() as closing:  # in the other order; what fails does not keep the rest open
            closing.push_async_callback(self._lease.release)
            if self._tap is not None:
                closing.push_async_callback(self._tap.close)
            closing.push_async_callback(self._files.close)
            if self._fetcher is not None:
                closing.push_async_callback(self._fetcher.close)
            closing.push_async_callback(self._api.close)
            closing.push_async_callback(self._tasks.close)
            await self.disconnect()

    async def _run(self) -> None:
        await self._take_lease()
        backoff = Backoff(self._shared.clock, 1.0, 60.0)
        while True:
            try:
                await self._supervisor.run()
            except Exception:  # noqa: BLE001  # the bot boundary: an unexpected error must not leave a bot dead
                self._log.exception("the bot broke; it begins again")
            await self._intake.close()
            await self._shared.clock.sleep(backoff.next())

    async def _take_lease(self) -> None:
        """Wait until no other process on this machine runs the bot; where there can be no leases, go without."""
        while True:
            try:
                if await self._lease.acquire():
                    break
                self._wait(f"{self._lease.holder()} on this machine runs this bot; waiting until it ends")
            except StoreError as error:
                if not error.retryable:
                    self._log.warning("%s; two processes with this bot would kick each other", error)
                    break
                self._wait(f"{error}; trying again")
            await self._shared.clock.sleep(LEASE_EVERY_S)
        self._elsewhere = None

    def _wait(self, why: str) -> None:
        if self._elsewhere is None or self._elsewhere.why != why:
            self._log.warning("%s", why)
            now_ms = self._shared.clock.wall_ms()
            self._elsewhere = ConnectionStatus(state=LinkState.PAUSED, since_ms=now_ms, why=why)

    async def _prepare(self, registration: Registration) -> Pipeline:
        """Build what needs the bot's identity, once, and what follows the messages of its conversations, anew."""
        if self.outbound is not None and registration.robot_id != self._identity.uid:
            self._log.warning("the token is another bot's now: %s", registration.robot_id)
            work, self._work, self.outbound = self._work, Submitter(), None
            await self._shared.lanes.cancel_of(work)  # the journal has what they were about
        if self.outbound is None:
            self._identity = Identity(
                uid=registration.robot_id,
                name=registration.name or self._config.name,
                owner_uid=registration.owner_uid,
            )
            account = self._config.account_id
            await self._shared.journal.audit.lose(account)
            if lost := await self._shared.journal.messages.claim(account, self._identity.uid):
                self._log.error(
                    "%d messages to the bot that had this account before are dead letters; openclaw-octo journal dead"
                    " shows them, journal retry has this bot answer",
                    lost,
                )
            self._build()
            self._log.info("registered as %s (%s)", self._identity.uid, self._identity.name or "no name")
        self._intake = TaskSet(self._log, self._shared.clock)
        self._gaps = self._make_gap_filler()
        self._pipeline.suspend(self._gaps)
        self._begun = False
        self._intake.start(self._begin_without_socket(), "begin")
        return self._pipeline

    def _build(self) -> None:
        shared, config = self._shared, self._config
        context = BotContext(
            config=config,
            identity=self._identity,
            api=self._api,
            routing=shared.routing,
            budget_s=config.turn_budget_s(shared.host_timeout_s),
            journal=shared.journal,
            clock=shared.clock,
            tasks=self._tasks,
            metrics=self._metrics,
            log=self._log,
        )
        self._directory = directory = make_directory(context, shared)
        outbox = make_outbox(context, shared, directory, self._files)
        presence = Presence(context)
        self._media = files = downloads.MediaDownloads(self._fetcher, self._tasks, shared.clock)
        self._pipeline = Pipeline(
            context=context,
            lanes=shared.lanes,
            submitter=self._work,
            inbox=Inbox(
                config.account_id,
                self._identity,
                shared.routing,
                directory.policy,
                shared.journal,
                directory.observe,
            ),
            admission=make_admission(context, outbox),
            outbox=outbox,
            presence=presence,
            media=files,
            roster=directory.roster,
            commands=make_commands(context, shared),
            turns=make_turns(context, shared, directory, outbox, presence, files),
        )
        self.outbound = make_outbound(context, directory, outbox)

    def _make_gap_filler(self) -> GapFiller:
        return GapFiller(
            history=MissedHistory(self._api, self._directory.groups, self._identity, self._log),
            accept=self._fetched,
            release=self._pipeline.release,
            cursors=self._shared.journal.cursors(self._config.account_id),
            tasks=self._intake,
            look_back_to=self._look_back_to,
            clock=self._shared.clock,
            log=self._log,
        )

    async def _fetched(self, events: Sequence[Incoming], complete: bool) -> Sequence[Outcome]:
        since_s = self._server_s(self._begun_ms) - self._config.cold_start_max_age_seconds
        return await self._pipeline.fetched(events, answer_since=0 if complete else since_s)

    def _server_s(self, wall_ms: int) -> int:
        """Return Unix seconds by the server's clock, which stamps the messages; this machine's may be wrong."""
        return (wall_ms + self._server_ahead_ms) // 1000

    def _look_back_to(self, channel: ChannelRef) -> int:
        """Return from when on a conversation is looked at that nobody here has heard of.

        Not at all where nobody has to mention the bot: all the talk from before it came would be for it. Elsewhere what
        was in time when the bot started is so when the conversation's turn has come, too.
        """
        now_ms = self._shared.clock.wall_ms()
        if not self._directory.needs_mention(channel):
            return self._server_s(now_ms)
        from_ms = max(self._begun_ms, now_ms - FIRST_ROUND_MS)
        return self._server_s(from_ms) - self._config.cold_start_max_age_seconds

    async def _begin_without_socket(self) -> None:
        """Begin although the socket cannot be opened: the API may be there, and messages wait for an answer."""
        await self._shared.clock.sleep(SOCKET_WITHIN_S)
        self._begin()

    def _connected(self, connected: Connected) -> None:
        """Fetch what was said while nobody listened; servers push nothing of it (protocol §4.8)."""
        self._server_ahead_ms = connected.time_diff_ms
        if self._begun:
            self._intake.start(self._directory.refresh(self._gaps.rounds.latest()), "surroundings")
            self._intake.start(self._gaps.catch_up(), "catch-up")
        else:
            self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._begun, self._begun_ms = True, self._shared.clock.wall_ms()
            self._intake.until_done(self._take_turn, "begin")

    async def _take_turn(self) -> None:
        """Take up when it is the bot's turn: some bots are ready soon instead of all of them late."""
        async with AsyncExitStack() as turn:
            try:
                await within(
                    self._shared.clock, TURN_WITHIN_S, turn.enter_async_context(self._shared.starting)
                )
            except TimeoutError:
                self._log.debug("other bots take long to begin; not waiting for them")
            await self._take_up()

    async def _take_up(self) -> None:
        """Get to know the conversations, fetch what was missed, and take up what an earlier process left open."""
        journal, account = self._shared.journal, self._config.account_id
        self._gaps.restore(await journal.cursors(account).latest())
        await self._directory.refresh(self._gaps.rounds.latest())
        await self._gaps.catch_up(await self._pipeline.open())
        await self._pipeline.outbox.progress.load()
        self._pipeline.resume()
        check = partial(self._gaps.check, self._online)
        self._intake.repeat(check, "keep-up", self._gaps.rounds.next_pass_s, wait_first=True)
        if self._fetcher is not None:
            self._for_all(self._media.sweep, "sweep of received files", downloads.SWEEP_EVERY_S)
        self._for_all(self._files.sweep, "sweep of sent files", SWEEP_EVERY_S)

    def _for_all(self, job: Callable[[], Awaitable[None]], role: str, every_s: float) -> None:
        """Do a job for all bots again and again: whichever comes first when it is due does it."""
        clock, shared = self._shared.clock, self._shared

        async def unless_done() -> None:
            async with shared.sweeping:
                if clock.now() >= shared.due.get(role, float("-inf")):
                    await job()
                    shared.due[role] = clock.now() + every_s / 2

        self._intake.repeat(unless_done, role, every_s)

    def _online(self) -> bool:
        return self._supervisor.status.state is LinkState.ONLINE
