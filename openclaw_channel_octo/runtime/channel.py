"""The channel as a host sees it: start bots, stop them, ask how they are."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from openclaw_channel_octo.clock import Clock, SystemClock, within
from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import ConfigError, HostError, RequestDenied
from openclaw_channel_octo.host.base import AgentHost, TakesChatTools, Turn
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.observe.logs import BotLog, Secrets, redacted
from openclaw_channel_octo.observe.metrics import Meter
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.rest.attempts import Origin
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.calls import AgentTools
from openclaw_channel_octo.runtime.actions.types import ActionContext, requester_of
from openclaw_channel_octo.runtime.background import uninterrupted
from openclaw_channel_octo.runtime.bot import Bot
from openclaw_channel_octo.runtime.connection.lease import FileLease, lease_folder
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, tokenless
from openclaw_channel_octo.runtime.connection.transport import Tap, TransportFactory, open_websocket
from openclaw_channel_octo.runtime.delivery.attachments import KEPT_S
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.runtime.preload import preload
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.recovery import Repair, SessionRepairs, SessionView
from openclaw_channel_octo.runtime.turn.runs import ActiveRun, Runs
from openclaw_channel_octo.runtime.wiring import ChannelContext
from openclaw_channel_octo.store.journal import Journal

__all__ = ["ChannelStatus", "OctoChannel"]

_log = logging.getLogger(__name__)


class ChannelStatus(Struct, frozen=True, kw_only=True):
    """How the channel's bots are.

    Attributes:
        bots: connection state by account id.
        turns: runs under way, by session key.
        lanes: messages whose run has not begun, by session key.
        failing: background jobs whose last try ended by an unexpected error, by account id and role; each is
            tried again.
        trouble: why the journal waits, empty when it does not.
        unsent: since when the API fails for a message that waits to be sent, Unix milliseconds by session key.
    """

    bots: Mapping[str, ConnectionStatus]
    turns: Mapping[str, ActiveRun]
    lanes: Mapping[str, int]
    failing: Mapping[str, Mapping[str, str]]
    trouble: str
    unsent: Mapping[str, int] = MappingProxyType({})


class OctoChannel:
    """Connects Octo bots to an agent host.

    The host is started and stopped by whoever made it; the channel only uses it.

    Args:
        config: accounts, texts and limits.
        clock: time, the machine's own by default.
        open_transport: opens sockets, WebSockets by default.
        leases: folder in which processes tell each other which bots they run, the user's own by default.
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
        self._meter = meter
        self._config = config
        self._clock = clock or SystemClock()
        self._open_transport = open_transport
        self._leases = leases or lease_folder()
        self._tap = tap
        self._bots: dict[str, Bot] = {}
        self._origins: dict[tuple[str, str], Origin] = {}
        self._shared: ChannelContext | None = None
        self._changing = asyncio.Lock()
        self._hidden = ExitStack()
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
            shared = await self._open(host)
            if account.account_id in self._bots:
                return
            tap = self._tap(account.account_id) if self._tap else None
            metrics = BotMetrics(self._meter, self._clock, account.account_id) if self._meter else None
            api = BotApi(
                base_url=account.api_url,
                token=account.token,
                clock=self._clock,
                origin=self._origins.setdefault(urlsplit(account.api_url)[:2], Origin()),
                tap=tap.call if tap else None,
                on_attempt=metrics.called if metrics else None,
            )
            lease = FileLease(self._leases, f"{account.api_url} {account.token.get_secret_value()}")
            bot = Bot(account, shared, api, lease, BotLog(_log, account.account_id), metrics=metrics, tap=tap)
            self._bots[account.account_id] = bot
            bot.start()

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
                await asyncio.gather(*(bot.disconnect() for bot in self._bots.values()))
                self._shared.lanes.close()
                wait_s = self._config.host.drain_seconds if drain_s is None else drain_s
                return await self._drain(self._shared, wait_s)
        raise AssertionError  # pragma: no cover  # the stack passes every exception on

    async def _close(self, shared: ChannelContext) -> None:
        """End everything, in the order of use; what fails to close does not keep the rest open."""
        self._shared = None
        bots, origins = list(self._bots.values()), list(self._origins.values())
        self._bots.clear()
        self._origins.clear()
        async with AsyncExitStack() as closing:
            closing.callback(self._hidden.close)
            closing.push_async_callback(shared.journal.close)
            for origin in origins:
                closing.push_async_callback(origin.close)
            for bot in bots:
                closing.push_async_callback(bot.close)
            await shared.lanes.cancel()

    def outbound(self, turn: Turn) -> AgentActions:
        """Return what the agent of a turn may do in the chat beside answering, for the person who asked it.

        Bot, person and conversation are those of the turn, whatever an agent writes; it ends with the run.

        Raises:
            ConfigError: the turn's account is none of this configuration.
            HostError: that bot does not run here.
            RequestDenied: the run has ended, or never began.
        """
        shared, bot = self._running(turn.account_id)
        run = shared.runs.open_run(turn.run_id)
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

    def operator_outbound(self, account_id: str = "") -> AgentActions:
        """Return the same for jobs that nobody in the chat asked for, such as those of a timetable.

        It reaches every conversation of the bot: never hand it to an agent.

        Args:
            account_id: the bot, in any case; may be left out where there is only one.

        Raises:
            ConfigError: no such account; the message lists those there are.
            HostError: the bot does not run, or has not reached its server yet.
        """
        _, bot = self._running(account_id)
        return AgentActions(bot, Requester.operator())

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
        return ChannelStatus(
            bots=self._tokenless | {name: bot.connection for name, bot in self._bots.items()},
            turns=self._shared.runs.active if self._shared else {},
            lanes=self._shared.lanes.depths if self._shared else {},
            failing={name: bot.failing for name, bot in self._bots.items() if bot.failing},
            trouble=self._shared.journal.trouble if self._shared else "",
            unsent={
                key: since_ms
                for bot in self._bots.values()
                if bot.outbound is not None
                for key, since_ms in bot.outbound.outbox.sender.unsent.items()
            },
        )

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

    def _running(self, account_id: str) -> tuple[ChannelContext, ActionContext]:
        if not account_id and len(self._config.accounts) > 1:
            raise ConfigError(f"which account? there are {', '.join(self._config.accounts)}")
        (account,) = select_accounts(self._config, [account_id or next(iter(self._config.accounts), "")])
        bot = self._bots.get(account.account_id)
        if self._shared is None or bot is None:
            raise HostError(f"the bot {account.account_id} does not run: start it first")
        if bot.outbound is None:
            raise HostError(f"the bot {account.account_id} has not reached its server yet: try again later")
        return self._shared, bot.outbound

    async def _open(self, host: AgentHost) -> ChannelContext:
        """Open what all bots share, once."""
        if self._shared is not None:
            if self._shared.host is not host:
                raise HostError("this channel already works with another host; make a second channel for it")
            return self._shared
        await preload()
        settings = self._config.host
        await asyncio.to_thread(claim_state_folder, settings.state_dir)
        journal = Journal(settings.state_dir / "octo.sqlite", self._clock)
        await journal.open()
        try:
            device_id = await journal.device_id()
        except BaseException:  # raised again: the journal is closed first
            await journal.close()
            raise
        self._hidden.enter_context(redacted(*self._config.secrets()))
        if isinstance(host, TakesChatTools):
            host.take_tools(AgentTools(self.outbound_with))
        self._shared = ChannelContext(
            host=host,
            routing=settings.routing,
            host_timeout_s=settings.timeout_seconds,
            journal=journal,
            outputs=Outputs(settings.state_dir, self._clock),
            media=MediaFolder(settings.state_dir / "media", self._clock),
            outgoing=MediaFolder(settings.state_dir / "outgoing", self._clock, KEPT_S),
            device_id=device_id,
            lanes=Lanes(),
            runs=Runs(host, self._clock, settings.max_turns),
            hide=Secrets(*self._config.secrets()).hidden,
            clock=self._clock,
            open_transport=self._open_transport,
        )
        return self._shared

    async def _drain(self, shared: ChannelContext, seconds: float) -> bool:
        try:
            await within(self._clock, seconds, shared.lanes.settle())
        except TimeoutError:
            if running := shared.lanes.begun:
                _log.warning("turns still ran after %.0f s of draining: %s", seconds, running)
            return not running
        return True
