"""The channel as a host sees it: start bots, change them, stop them, ask how they are.

Over 350 lines: one class, what programs call, each method with its errors.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import ConfigError, HostError, RequestDenied
from openclaw_channel_octo.host.base import AgentHost, TakesChatTools, Turn
from openclaw_channel_octo.observe.logs import Secrets, redacted
from openclaw_channel_octo.observe.metrics import Meter
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.policy.gate import Identity
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.tools import AgentTools
from openclaw_channel_octo.runtime.actions.types import ActionContext, requester_of
from openclaw_channel_octo.runtime.background import uninterrupted
from openclaw_channel_octo.runtime.connection.supervisor import tokenless
from openclaw_channel_octo.runtime.connection.transport import Tap, TransportFactory, open_websocket
from openclaw_channel_octo.runtime.fleet.changes import (
    Reload,
    Reloads,
    kept,
    settings_changed,
    told,
    with_tokens,
)
from openclaw_channel_octo.runtime.fleet.fleet import Fleet
from openclaw_channel_octo.runtime.fleet.speakers import running_bot, speaker_in
from openclaw_channel_octo.runtime.fleet.status import ChannelStatus
from openclaw_channel_octo.runtime.preload import preload
from openclaw_channel_octo.runtime.turn.recovery import Repair, SessionRepairs, SessionView
from openclaw_channel_octo.runtime.wiring import ChannelContext, open_shared

__all__ = ["ChannelStatus", "OctoChannel"]


class OctoChannel:
    """Connects Octo bots to an agent host.

    The host is started and stopped by whoever made it; the channel only uses it.

    Args:
        config: accounts, texts and limits.
        clock: time, the machine's own by default.
        open_transport: opens sockets, WebSockets by default.
        leases: folder whose users alone tell each other which bots they run; the whole machine by default.
        tap: gives each bot, by account id, somebody who sees what it sends and receives.
        meter: takes counts and durations, nobody by default.
    """

    id = "octo"
    label = "Octo"

    def __init__(
        self,
        config: OctoConfig,
        *,
        clock: Clock | None = None,
        open_transport: TransportFactory = open_websocket,
        leases: Path | None = None,
        tap: Callable[[str], Tap] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.tools = AgentTools(self.outbound_with)
        """What agents can do in the chat, each for the person of its run."""
        self._meter = meter
        self._config = config
        self._clock = clock or SystemClock()
        self._open_transport = open_transport
        self._leases = leases
        self._tap = tap
        self._shared: ChannelContext | None = None
        self._fleet: Fleet | None = None
        self._changing = asyncio.Lock()
        self._hidden = ExitStack()
        self._secrets = frozenset[SecretStr]()
        self._reloads = Reloads()
        self._tokenless = tokenless(config.accounts.values(), self._clock.wall_ms())

    @staticmethod
    def config_schema() -> dict[str, Any]:
        """Return the JSON schema of the configuration the channel takes."""
        return OctoConfig.model_json_schema()

    async def start(self, account_id: str, host: AgentHost) -> None:
        """Connect one bot and let ``host`` answer for it; returns as soon as the bot is on its way.

        A bot whose server cannot be reached keeps trying; `status` tells. Starting a started bot does nothing.

        Args:
            account_id: an account of the configuration.
            host: runs the turns; the same for all bots of this channel.

        Raises:
            ConfigError: no such account, it is switched off, or its token could not be read.
            HostError: another host is in use already, or the state folder is another user's or cannot be made.
            StoreError: the journal cannot be opened.
        """
        (account,) = select_accounts(self._config, [account_id])
        if account.token_problem:
            raise ConfigError(account.token_problem)
        async with self._changing:
            await self._open(host)
            self._running_fleet().start(account)

    @property
    def config(self) -> OctoConfig:
        """The configuration it goes by now."""
        return self._config

    async def reload(
        self, config: OctoConfig, host: AgentHost | None = None, *, accounts: Sequence[str] = ()
    ) -> Reload:
        """Go by another configuration without touching bots whose settings are the same.

        Returns at once: a bot that ends, or that connects with another token, does so in the background. Settings of a
        bot count from its next message on; runs under way end on the host on which they began, and `released` tells
        when. ``host.kind``, ``host.stateDir``, ``host.agentId`` and ``metrics`` stay as they are until a restart.

        Args:
            config: all of it.
            host: runs the turns that begin from now on; the same as before by default.
            accounts: the only accounts to run, in any case; all that are on by default.

        Returns:
            What has changed.

        Raises:
            ConfigError: ``accounts`` names one that is not there or off; nothing has changed.
            HostError: no bot was started.
        """
        chosen = select_accounts(config, accounts)
        async with self._changing:
            shared, fleet = self._opened(), self._running_fleet()
            before, running = self._config, dict(fleet.wanted)
            config, restart = kept(before, config)
            self._hide(config)
            self._config = config
            self._tokenless = tokenless(chosen, self._clock.wall_ms())
            self._use(shared, host or shared.runs.host)
            wanted = {bot.account_id: bot for bot in with_tokens(chosen, running)}
            fleet.follow(wanted.values(), config.host.drain_seconds)
            self._note_reload(done=self._reloads.done + 1)
            return told(running, wanted, chosen, settings_changed(before.host, config.host), restart)

    def reload_refused(self, problems: Sequence[str]) -> None:
        """Have `status` say that a configuration was read again and is wrong, so that nothing has changed."""
        self._note_reload(refused=self._reloads.refused + 1, problems=problems)

    def _note_reload(self, *, problems: Sequence[str] = (), **counts: int) -> None:
        now_ms = self._clock.wall_ms()
        self._reloads = replace(self._reloads, last_ms=now_ms, problems=problems, **counts)

    async def released(self, host: AgentHost) -> None:
        """Return once no run of a host that `reload` has replaced is under way, so that it can be stopped."""
        if self._shared is not None:
            await self._shared.runs.released(host)

    async def stop(self, drain_s: float | None = None) -> bool:
        """Stop receiving, let running turns end, then close everything.

        Messages that wait in a lane stay in the journal and are answered after the next start.

        Args:
            drain_s: seconds running turns get, the configured time by default.

        Returns:
            Whether every running turn came to its own end.
        """
        async with self._changing:
            if self._shared is None:
                return True
            async with AsyncExitStack() as closing:
                # a caller who is cancelled meanwhile must not leave a task, a socket or a lease behind
                closing.push_async_callback(uninterrupted, self._close(self._shared), "close")
                fleet = self._running_fleet()
                await fleet.disconnect()
                self._shared.lanes.close()
                wait_s = self._config.host.drain_seconds if drain_s is None else drain_s
                return await self._shared.lanes.drain(self._clock, wait_s, fleet.show_pause, fleet.show_ends)
        raise AssertionError  # pragma: no cover  # the stack passes every exception on

    async def _close(self, shared: ChannelContext) -> None:
        """End everything, in the order of use; what fails to close does not keep the rest open."""
        fleet = self._running_fleet()
        self._shared = self._fleet = None
        self._secrets = frozenset()
        async with AsyncExitStack() as closing:
            closing.callback(self._hidden.close)
            closing.push_async_callback(shared.journal.close)
            closing.push_async_callback(fleet.close)
            await shared.lanes.cancel()

    def outbound(self, turn: Turn) -> AgentActions:
        """Return what the agent of a turn may do in the chat beside answering, for the person who asked it.

        Bot, person and conversation are those of the turn, whatever an agent writes; it ends with the run.

        Raises:
            ConfigError: the turn's account is none of this configuration.
            HostError: that bot does not run here.
            RequestDenied: the run has ended, or never began.
        """
        bot = self._running(turn.account_id)
        run = self._opened().runs.open_run(turn.run_id)
        if run is None:
            raise RequestDenied("the turn has ended, and with it what its agent may do in the chat")
        return AgentActions(bot, requester_of(turn), run)

    def outbound_with(self, ticket: str) -> AgentActions:
        """Return what the holder of a run's ticket (`Turn.ticket`) may do in the chat; see `outbound`.

        Raises:
            RequestDenied: no run under way has this ticket.
        """
        run = self._shared.runs.run_with(ticket) if self._shared else None
        if run is None:
            raise RequestDenied("the turn has ended, and with it what its agent may do in the chat")
        return self.outbound(run.turn)

    def operator_outbound(self, account_id: str = "", *, by_host: bool = False) -> AgentActions:
        """Return the same for jobs that nobody in the chat asked for, such as those of a timetable.

        It reaches every conversation of the bot: never hand it to an agent.

        Args:
            account_id: the bot, in any case; may be left out where there is only one.
            by_host: whether the host speaks; see `AgentActions`.

        Raises:
            ConfigError: no such account; the message lists those there are.
            HostError: the bot does not run, or has not reached its server yet.
        """
        host = self._opened().runs.host if by_host else None
        return AgentActions(self._running(account_id), Requester.operator(), host=host)

    async def outbound_in(self, session: str, account_id: str = "") -> AgentActions:
        """Return what an agent of the host may do in a session of it, whoever's message or job it works on.

        Args:
            session: the session key as the host writes it; see `speaker_in` for whom an agent acts there.
            account_id: as in `operator_outbound`; that of the session's conversation, where it has one.

        Raises:
            ConfigError, HostError: as `operator_outbound`.
            RequestDenied: an agent may do nothing in that session, or not through that bot.
        """
        found = await speaker_in(self._opened(), self._running_fleet(), session)
        if found.account and account_id.lower() not in {"", found.account}:
            raise RequestDenied(f"the session belongs to a conversation of the bot {found.account}")
        return AgentActions(self._running(found.account or account_id), found.requester, found.run)

    def _running(self, account_id: str) -> ActionContext:
        return running_bot(self._config, self._fleet, account_id)

    async def tell_paired(self, account_id: str, uid: str) -> None:
        """Tell somebody in their direct messages that they were let in by a code.

        Args:
            account_id: the bot.
            uid: the person.

        Raises:
            ConfigError: no such account.
            HostError: the bot does not run, or has not reached its server yet.
            RequestDenied: nobody has let this person in.
            ApiError: the server does not take the message.
        """
        outbound = self.operator_outbound(account_id)
        (account,) = select_accounts(self._config, [account_id])
        if uid not in await self._opened().journal.pairings.people(account.account_id):
            raise RequestDenied("nobody has let this person in")
        await outbound.send_text(f"user:{uid}", account.texts.paired)

    def status(self) -> ChannelStatus:
        """Return how the bots are at this moment."""
        bots = self._fleet.bots if self._fleet else {}
        return ChannelStatus(
            bots=self._tokenless | (self._fleet.connections if self._fleet else {}),
            turns=self._shared.runs.active if self._shared else {},
            lanes=self._shared.lanes.depths if self._shared else {},
            failing={name: bot.failing for name, bot in bots.items() if bot.failing},
            trouble=self._shared.journal.trouble if self._shared else "",
            unsent={
                key: since_ms
                for bot in bots.values()
                if bot.outbound is not None
                for key, since_ms in bot.outbound.outbox.sender.unsent.items()
            },
            reloads=self._reloads,
        )

    async def take_up(self, account_id: str, rows: Collection[int]) -> Collection[int]:
        """Have a bot take up messages that `store.admin.JournalAdmin.retry` has opened again.

        Args:
            account_id: the bot.
            rows: numbers of their rows.

        Returns:
            The rows that come to an end now; the others do so after the next start.

        Raises:
            HostError: the bot does not run.
            StoreError: the journal cannot be read.
        """
        bot = self._fleet.bots.get(account_id) if self._fleet else None
        if bot is None:
            raise HostError(f"the bot {account_id} does not run")
        return await bot.take_up(rows)

    def identities(self) -> Mapping[str, Identity]:
        """Return who the bots are that have reached their server, by account id."""
        bots = self._fleet.bots if self._fleet else {}
        return {name: bot.outbound.context.identity for name, bot in bots.items() if bot.outbound}

    def group_names(self, account_id: str) -> Mapping[str, str]:
        """Return the names of a bot's groups by their id, as far as they are known; none of a bot that does not run."""
        bot = self._fleet.bots.get(account_id) if self._fleet else None
        return bot.outbound.directory.groups.names if bot and bot.outbound else {}

    async def look(self, session_key: str) -> SessionView:
        """Return what the next message of a session will meet. Raises `HostError`, also where no bot was started."""
        return await self._repairs().look(session_key)

    async def repair(self, session_key: str, *, dry_run: bool = False) -> Repair:
        """Do now for a failed or stuck session what its next message would do first: recover it.

        Args:
            session_key: the session.
            dry_run: only tell what would be done.

        Raises:
            HostError: the host cannot do it, or no bot was started.
        """
        return await self._repairs().repair(session_key, dry_run=dry_run)

    def _repairs(self) -> SessionRepairs:
        shared = self._opened()
        return SessionRepairs(
            sessions=shared.sessions,
            lanes=shared.lanes,
            bots=[bot for bot in self._config.accounts.values() if bot.enabled],
            host_timeout_s=shared.host_timeout_s,
        )

    def _opened(self) -> ChannelContext:
        if self._shared is None:
            raise HostError("no bot was started here")
        return self._shared

    def _running_fleet(self) -> Fleet:
        if self._fleet is None:
            raise HostError("no bot was started here")
        return self._fleet

    async def _open(self, host: AgentHost) -> ChannelContext:
        """Open what all bots share, once."""
        if self._shared is not None:
            if self._shared.runs.host is not host:
                raise HostError("this channel already works with another host; make a second channel for it")
            return self._shared
        await preload()
        self._shared = await open_shared(
            self._config.host, host, self._hidden_in, self._clock, self._open_transport
        )
        self._hide(self._config)
        self._use(self._shared, host)
        self._fleet = Fleet(self._shared, self._leases, self._tap, self._meter)
        return self._shared

    def _hide(self, config: OctoConfig) -> None:
        """Keep a configuration's secrets out of logs as well; those of earlier ones may still be on their way there."""
        fresh = frozenset(config.secrets()) - self._secrets
        if fresh:
            self._secrets |= fresh
            self._hidden.enter_context(redacted(*fresh))

    def _hidden_in(self, text: str) -> str:
        """Return a text without the secrets of any configuration so far."""
        return Secrets(*self._secrets).hidden(text)

    def _use(self, shared: ChannelContext, host: AgentHost) -> None:
        """Have the host, and what the configuration says of it, run the turns that begin from now on."""
        settings = self._config.host
        shared.routing, shared.host_timeout_s = settings.routing, settings.timeout_seconds
        shared.runs.use(host, settings.max_turns)
        if isinstance(host, TakesChatTools):
            host.take_tools(self.tools)
