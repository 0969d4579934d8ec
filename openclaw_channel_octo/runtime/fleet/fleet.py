"""The bots of a channel: which of them run, and their way from the settings they have to the settings they should have.

Each account has at most one bot at a time: another one begins when the one before has given everything back.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.observe.metrics import Meter
from openclaw_channel_octo.rest.attempts import Origin
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.background import together, uninterrupted
from openclaw_channel_octo.runtime.bot import Bot
from openclaw_channel_octo.runtime.connection.lease import Lease, bot_lease
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState
from openclaw_channel_octo.runtime.connection.transport import Tap
from openclaw_channel_octo.runtime.fleet.changes import Change, change_of
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.runtime.wiring import ChannelContext

__all__ = ["Fleet"]

_log = logging.getLogger(__name__)

_Step = Callable[[], Coroutine[Any, Any, None]]


class Fleet:
    """Runs bots until it is closed.

    Args:
        shared: what they use together.
        leases: folder whose users alone tell each other which bots they run; ``None`` for the whole machine.
        tap: gives each bot, by account id, somebody who sees what it sends and receives.
        meter: takes counts and durations.
    """

    def __init__(
        self,
        shared: ChannelContext,
        leases: Path | None,
        tap: Callable[[str], Tap] | None,
        meter: Meter | None,
    ) -> None:
        self._shared = shared
        self._leases = leases
        self._tap = tap
        self._meter = meter
        self._bots: dict[str, Bot] = {}
        self._wanted: dict[str, BotConfig] = {}
        self._moves: dict[str, asyncio.Task[None]] = {}
        self._origins: dict[tuple[str, str], Origin] = {}
        self._drain_s = 0.0
        self._stopping = False
        self.bots: Mapping[str, Bot] = MappingProxyType(self._bots)
        """Bots by account id, those that are about to end included."""
        self.wanted: Mapping[str, BotConfig] = MappingProxyType(self._wanted)
        """The settings that bots have or are about to get, by account id."""

    @property
    def connections(self) -> dict[str, ConnectionStatus]:
        """How each bot is connected, by account id."""
        why = "removed from the configuration, its running turns may end"
        return {
            name: bot.connection
            if name in self._wanted
            else replace(bot.connection, state=LinkState.ENDING, why=why)
            for name, bot in self._bots.items()
        }

    def start(self, account: BotConfig) -> None:
        """Start a bot; one that is started already is left as it is.

        Raises:
            OctoError: it cannot even be tried.
        """
        if account.account_id in self._wanted:
            return
        if account.account_id not in self._moves:
            self._begin(account)
        self._wanted[account.account_id] = account

    def follow(self, accounts: Collection[BotConfig], drain_s: float) -> None:
        """Have exactly these bots run, with these settings.

        What needs no time is done when this returns: settings that count for the next message, and new bots. Whoever
        has to end or to connect anew does so in the background.

        Args:
            accounts: all of them.
            drain_s: seconds that turns of a bot get which ends.
        """
        self._drain_s = drain_s
        affected = dict.fromkeys([*self._wanted, *(account.account_id for account in accounts)])
        self._wanted.clear()
        self._wanted.update({account.account_id: account for account in accounts})
        for account_id in affected:
            if account_id not in self._moves:  # else a way is gone already, and leads there
                self._go(account_id)

    async def disconnect(self) -> None:
        """Stop receiving for good; nobody is started or changed any more."""
        self._stopping = True
        await asyncio.gather(*(bot.disconnect() for bot in self._bots.values()))

    async def show_pause(self) -> None:
        """See `Bot.show_pause`, of every bot."""
        await together(bot.show_pause() for bot in self._bots.values())

    async def show_ends(self) -> None:
        """See `Bot.show_ends`, of every bot."""
        await together(bot.show_ends() for bot in self._bots.values())

    async def close(self) -> None:
        """End every bot; what fails to close does not keep the rest open."""
        self._stopping = True
        async with AsyncExitStack() as closing:
            for origin in self._origins.values():
                closing.push_async_callback(origin.close)
            moves = list(self._moves.values())
            for move in moves:
                move.cancel()
            if moves:
                await asyncio.wait(moves)
            for bot in self._bots.values():
                closing.push_async_callback(bot.close)
        self._bots.clear()
        self._moves.clear()  # one that was cancelled before its first step is still there

    def _go(self, account_id: str) -> None:
        """Bring an account to what is wanted of it."""
        step = self._tried(account_id)
        if step is not None:
            way = self._move(account_id, step)
            self._moves[account_id] = asyncio.get_running_loop().create_task(
                way, name=f"octo:{account_id}:reload"
            )

    async def _move(self, account_id: str, step: _Step) -> None:
        following: _Step | None = step
        try:
            while following is not None:
                try:
                    await following()
                except Exception:  # noqa: BLE001  # the bot boundary: the next one has to begin all the same
                    BotLog(_log, account_id).exception("the bot broke on its way to other settings")
                following = self._tried(account_id)
        finally:
            del self._moves[account_id]

    def _tried(self, account_id: str) -> _Step | None:
        """Do a step; where it cannot be done say so, and leave the account as it is."""
        try:
            return self._step(account_id)
        except OctoError as error:
            BotLog(_log, account_id).error("the bot does not run: %s", error)
            self._wanted.pop(account_id, None)
            return None

    def _step(self, account_id: str) -> _Step | None:
        """Do what can be done at once; return what takes time and has to be followed by another step."""
        bot, wanted = self._bots.get(account_id), self._wanted.get(account_id)
        if self._stopping or (bot is None and wanted is None):
            return None
        if bot is None:
            self._begin(self._wanted[account_id])
            return None
        if wanted is None:
            return partial(self._end, bot)
        change = change_of(bot.config, wanted)
        if change is Change.ALL or (change is Change.TOKEN and self._tap is not None):
            return partial(self._end, bot)  # a tap knows the secrets it was made with
        bot.apply(wanted)
        if change is Change.TOKEN:
            return partial(self._reconnect, bot, bot_lease(wanted, self._leases))
        return None

    async def _end(self, bot: Bot) -> None:
        """Let a bot end as at a stop."""
        try:
            await bot.disconnect()
            await bot.drain(self._drain_s)
        finally:
            del self._bots[bot.config.account_id]
            await uninterrupted(bot.close(), "close")

    async def _reconnect(self, bot: Bot, lease: Lease) -> None:
        """End a bot's connection and begin one with its new token; what is in hand goes on."""
        await bot.disconnect()
        await bot.use_token(lease)
        if not self._stopping:
            bot.start()

    def _begin(self, account: BotConfig) -> None:
        name, clock = account.account_id, self._shared.clock
        metrics = BotMetrics(self._meter, clock, name) if self._meter else None
        tap = self._tap(name) if self._tap else None
        api = BotApi(
            base_url=account.api_url,
            token=account.token,
            clock=clock,
            origin=self._origins.setdefault(urlsplit(account.api_url)[:2], Origin()),
            tap=tap.call if tap else None,
            on_attempt=metrics.called if metrics else None,
        )
        log = BotLog(_log, name)
        bot = Bot(account, self._shared, api, bot_lease(account, self._leases), log, metrics=metrics, tap=tap)
        self._bots[name] = bot
        bot.start()
