"""One bot: its API, its connection, and what its messages set in motion."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from openclaw_channel_octo.clock import Backoff
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.observe.logs import BotLog, trace_scope
from openclaw_channel_octo.policy.gate import DecisionKind, Identity, command_of
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.media import MediaFetcher
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.assembly import (
    Basics,
    make_admission,
    make_commands,
    make_outbound,
    make_outbox,
    make_surroundings,
    make_turns,
)
from openclaw_channel_octo.runtime.attachments import attachments_of
from openclaw_channel_octo.runtime.history import History
from openclaw_channel_octo.runtime.inbox import Inbox, Incoming, Outcome, trace_of
from openclaw_channel_octo.runtime.measures import Measures
from openclaw_channel_octo.runtime.media import Intake
from openclaw_channel_octo.runtime.presence import Presence
from openclaw_channel_octo.runtime.sequence import MessageSequence
from openclaw_channel_octo.runtime.shared import Shared
from openclaw_channel_octo.runtime.supervisor import ConnectionStatus, LinkState, Supervisor
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.runtime.transport import Tap
from openclaw_channel_octo.store.leases import Lease
from openclaw_channel_octo.store.records import InboundRow, RowState

if TYPE_CHECKING:
    from openclaw_channel_octo.runtime.requests import OutboundBot

__all__ = ["Bot"]

LEASE_EVERY_S = 2.0
"""Wait between two tries to take the lease of a bot that another process runs."""


def _fetcher(config: BotConfig, shared: Shared) -> MediaFetcher:
    return MediaFetcher(
        folder=shared.media,
        api_url=config.api_url,
        token=config.token,
        max_bytes=config.media_max_mb * 1024 * 1024,
        cdn_url=config.cdn_url or "",
    )


class Bot:
    """Runs one bot until it is stopped.

    Args:
        config: its settings.
        shared: what it uses together with other bots.
        api: its API.
        lease: the right to connect it.
        log: its log.
        tap: sees what it sends and receives, ``None`` where nobody looks.
    """

    def __init__(  # its parts and what it is told
        self,
        config: BotConfig,
        shared: Shared,
        api: BotApi,
        lease: Lease,
        log: BotLog,
        tap: Tap | None = None,
    ) -> None:
        self._config = config
        self._shared = shared
        self._log = log
        self._api = api
        self._lease = lease
        self._tap = tap
        self._elsewhere: ConnectionStatus | None = None
        self._tasks = TaskSet(log)
        self._measures = Measures(shared.meter, shared.clock, config.account_id)
        self._resumed = False
        self.outbound: OutboundBot | None = None
        """What others can have the bot do; ``None`` before it first knew who it is."""
        self._fetcher = _fetcher(config, shared) if config.media_max_mb else None
        self._files = attachments_of(config, api, shared, log)
        self._supervisor = Supervisor(
            api=api,
            clock=shared.clock,
            open_transport=shared.open_transport,
            device_id=shared.device_id,
            ws_url=config.ws_url,
            prepare=self._prepare,
            connected=self._connected,
            log=log,
            tap=tap,
        )
        self._running: asyncio.Task[None] | None = None

    @property
    def connection(self) -> ConnectionStatus:
        """The state of the bot's connection."""
        return self._elsewhere or self._supervisor.status

    def start(self) -> None:
        """Connect and begin to answer, once no other process on this machine runs the bot."""
        self._running = self._tasks.start(self._run(), "supervisor")

    async def disconnect(self) -> None:
        """Stop receiving; what was received stays in the lanes."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def close(self) -> None:
        """End everything that still runs."""
        await self.disconnect()
        await self._tasks.cancel()
        await self._api.close()
        if self._fetcher is not None:
            await self._fetcher.close()
        await self._files.close()
        if self._tap is not None:
            await self._tap.close()
        await self._lease.release()

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        """Judge and record received packets; see `Inbox.accept`."""
        outcomes = await self._inbox.accept(events)
        self._measures.received(events, outcomes)
        return outcomes

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        """Show that recorded messages were read, and put them into their lanes in the order of their conversations."""
        outcomes = self._admission.admit(outcomes)
        self._begin(outcomes)
        self._sequence.take(outcomes)
        queued = [outcome.row.id for outcome in outcomes if outcome.row is not None]
        if queued:
            self._tasks.start(self._shared.journal.queued(queued), "queued")

    async def _run(self) -> None:
        await self._take_lease()
        backoff = Backoff(self._shared.clock, 1.0, 60.0)
        while True:
            try:
                await self._supervisor.run()
            except Exception:  # noqa: BLE001  # the bot boundary: what nobody foresaw must not leave a bot dead
                self._log.exception("the bot broke; it begins again")
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

    def _note(self, outcome: Outcome) -> None:
        """Log what sets nothing in motion: chatter as people expect to find it, the rest for those who look closer."""
        message, decision = outcome.message, outcome.decision
        with trace_scope(trace_of(message.message_id)):
            if decision.kind is DecisionKind.UNDECODABLE:
                self._log.warning("undecodable message: %s", decision.reason)
            elif decision.kind is DecisionKind.CONTEXT and outcome.payload is not None:
                self._log.info(
                    "recv message from=%s channel=%s type=%s",
                    message.from_uid,
                    message.channel_id,
                    outcome.payload.type,
                )
            else:
                self._log.debug("%s from=%s (%s)", decision.kind, message.from_uid, decision.reason)

    async def _prepare(self, registration: Registration) -> "Bot":
        """Build what needs the bot's identity, and take up the messages an earlier process left open, once."""
        if self._resumed:
            return self
        self._identity = Identity(
            uid=registration.robot_id,
            name=registration.name or self._config.name,
            owner_uid=registration.owner_uid,
        )
        self._build()
        self._log.info("registered as %s (%s)", self._identity.uid, self._identity.name or "no name")
        self._sequence.restore(await self._shared.journal.cursors(self._config.account_id))
        await self._around.look_around()
        await self._catch_up()
        await self._resume()
        self._tasks.start(self._sequence.keep_up(self._online), "keep-up")
        self._tasks.start(self._media.keep_swept(), "sweep")
        self._tasks.start(self._files.keep_swept(), "sweep")
        return self

    def _build(self) -> None:
        shared = self._shared
        basics = Basics(
            config=self._config,
            identity=self._identity,
            shared=shared,
            api=self._api,
            tasks=self._tasks,
            measures=self._measures,
            log=self._log,
        )
        self._around = around = make_surroundings(basics)
        self._inbox = Inbox(
            self._config.account_id,
            self._identity,
            shared.routing,
            around.policy,
            shared.journal,
            around.heed,
        )
        self._outbox = make_outbox(basics, around, self._files)
        self._presence = Presence(self._api, shared.clock, self._tasks, self._log, self._measures)
        self._media = Intake(self._fetcher, self._tasks, shared.clock)
        self._commands = make_commands(basics)
        self._admission = make_admission(basics, around, self._outbox)
        self._turns = make_turns(
            basics, around, self._outbox, self._presence, self._media, self._files.outputs
        )
        self.outbound = make_outbound(basics, around, self._outbox)
        self._sequence = self._make_sequence()

    def _make_sequence(self) -> MessageSequence:
        return MessageSequence(
            history=History(self._api, self._identity),
            accept=self._fetched,
            release=self._release,
            save=partial(self._shared.journal.save_cursors, self._config.account_id),
            tasks=self._tasks,
            max_age_s=self._look_back_s,
            clock=self._shared.clock,
            log=self._log,
        )

    def _look_back_s(self, channel: ChannelRef) -> int:
        """Return how far back a conversation is looked at that nobody here has heard of.

        Not at all where nobody has to mention the bot: all the talk from before it came would be for it.
        """
        return self._config.cold_start_max_age_seconds if self._around.needs_mention(channel) else 0

    def _connected(self) -> None:
        """Fetch what was said while nobody listened; servers push nothing of it (protocol §4.8)."""
        self._tasks.start(self._around.look_around(), "surroundings")
        self._tasks.start(self._catch_up(), "catch-up")

    async def _catch_up(self) -> None:
        await asyncio.gather(self._sequence.catch_up(), self._sequence.meet())

    def _online(self) -> bool:
        return self._supervisor.status.state is LinkState.ONLINE

    async def _resume(self) -> None:
        """Take up what an earlier process left open, each conversation in its order."""
        await self._shared.journal.lose_audits(self._config.account_id)
        for row in await self._shared.journal.unfinished(self._config.account_id):
            begun = row.ending or row.state is RowState.RUNNING
            if row.decision == DecisionKind.REFUSED:
                self._admission.refuse(row)
                continue
            self._show(row)
            if row.decision == DecisionKind.COMMAND and not begun:
                self._submit(row, limit=None)
            else:
                work = self._turns.resume if begun else self._turns.handle
                self._shared.lanes.submit(row.session_key, partial(work, row))
        self._resumed = True

    def _show(self, row: InboundRow) -> None:
        """Show at once that a message was read, before its turn comes."""
        with trace_scope(row.trace):
            payload = parse_payload(row.payload)
            self._log.info(
                "recv message from=%s channel=%s type=%s", row.from_uid, row.channel.id, payload.type
            )
            if row.decision == DecisionKind.TURN:
                self._log.info("[MENTION] 收到@消息 id=%s", row.message_id)
                self._media.begin(row.id, render(payload).files)
                self._around.roster.warm(row.channel, row.from_uid)
            self._presence.begin(row.channel, row.message_id)

    def _release(self, outcome: Outcome) -> None:
        """Start what a message asks for, now that everything before it in its conversation is known."""
        if outcome.row is None:
            self._note(outcome)
        elif self._resumed:  # until then the journal holds it, and `_resume` takes it up
            self._submit(outcome.row, self._config.lane_length)

    def _submit(self, row: InboundRow, limit: int | None) -> None:
        with trace_scope(row.trace):
            if row.decision == DecisionKind.REFUSED:
                self._admission.refuse(row)
            elif row.decision == DecisionKind.COMMAND:
                self._tasks.start(self._run_command(row), "command")
            elif self._shared.lanes.submit(row.session_key, partial(self._turns.handle, row), limit):
                self._admission.room(row)
            else:
                self._presence.end(row.channel)
                self._media.drop(row.id)
                self._measures.forget(row.id)
                self._admission.busy(row)

    async def _fetched(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        """Record messages of the history; before the first connection old ones are not answered any more."""
        now_s = self._shared.clock.wall_ms() // 1000
        since_s = 0 if self._resumed else now_s - self._config.cold_start_max_age_seconds
        outcomes: Sequence[Outcome] = await self._inbox.accept(events, answer_since=since_s)
        self._measures.received(events, outcomes)
        if self._resumed:  # until then `_resume` takes every row up
            outcomes = self._admission.admit(outcomes)
        self._begin(outcomes)
        if too_old := sum(outcome.session_key != "" and outcome.row is None for outcome in outcomes):
            self._log.warning(
                "%d messages to the bot are older than %d s and are not answered: openclaw-octo journal dead",
                too_old,
                self._config.cold_start_max_age_seconds,
            )
        return outcomes

    def _begin(self, outcomes: Sequence[Outcome]) -> None:
        """Show signs for new messages and take note of our own that came back."""
        for outcome in outcomes:
            if outcome.decision.kind is DecisionKind.ECHO:
                self._outbox.heard(outcome.payload, outcome.message.message_id)
            elif (
                outcome.decision.kind is not DecisionKind.REFUSED
                and outcome.row is not None
                and self._resumed
            ):
                self._show(outcome.row)

    async def _run_command(self, row: InboundRow) -> None:
        with trace_scope(row.trace):
            try:
                await self._turns.to_its_end(row, self._obey(row))
            finally:
                self._measures.forget(row.id)
                self._presence.end(row.channel)

    async def _obey(self, row: InboundRow) -> None:
        direct = row.channel.type == ChannelType.PERSON
        command = command_of(parse_payload(row.payload), self._identity, direct=direct)
        text = await self._commands.answer(row, command)
        await self._outbox.conclude(row, "", text, RowState.ANSWERED)
