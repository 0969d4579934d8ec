"""One bot's connection, kept up for weeks: register, connect, classify the end, back off (protocol §4.3 to §4.9)."""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from openclaw_channel_octo.clock import Backoff, Clock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ApiError, AuthError, PermissionDenied, TransportError
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.connection.link import Link, LinkEnd, LinkEndKind, MessageSink
from openclaw_channel_octo.runtime.connection.pace import LoginPace
from openclaw_channel_octo.runtime.connection.transport import Tap, TransportFactory
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected
from openclaw_channel_octo.wire.packets import ReasonCode

__all__ = ["ConnectionStatus", "LinkState", "Supervisor", "tokenless"]

HEALTHY_AFTER_S = 30.0
"""A session this long resets the back-off (protocol §4.9)."""

REJECTIONS = 3
"""Silent drops in a row after which the token is registered again (protocol §4.3)."""

LONG_WAIT_S = 60.0
"""First wait after a kick and once credentials are suspect; doubles up to half an hour."""

LONGEST_WAIT_S = 1_800.0

REFUSED_WAIT_S = 300.0
"""First wait before a bot the API refuses is registered again: only its owner can change that; doubles likewise."""

_DROPPED = "the server dropped our token"

_REFUSALS = (AuthError, PermissionDenied)

_CREDENTIAL_REASONS = frozenset(
    {ReasonCode.AUTH_FAILED, ReasonCode.TOKEN_LOOKUP_FAILED, ReasonCode.BANNED, ReasonCode.CLIENT_KEY_EMPTY}
)


class LinkState(StrEnum):
    """What a bot's connection is doing."""

    CONNECTING = "connecting"
    ONLINE = "online"
    KICKED = "kicked"
    SUSPECT = "suspect"
    PAUSED = "paused"
    REFUSED = "refused"
    STOPPED = "stopped"
    ENDING = "ending"
    """The configuration has it no more: its running turns may end, and nothing new is taken."""
    NO_TOKEN = "no-token"  # noqa: S105  # a state
    """Its token could not be read from where the configuration points: there is no connection."""


class ConnectionStatus(Struct, frozen=True, kw_only=True):
    """A bot's connection at a glance.

    Attributes:
        state: what it is doing.
        since_ms: since when, Unix milliseconds.
        why: what led to it, for the operator.
    """

    state: LinkState
    since_ms: int
    why: str


def tokenless(accounts: Iterable[BotConfig], now_ms: int) -> dict[str, ConnectionStatus]:
    """Return the state of the bots whose token could not be read, by account id."""
    return {
        bot.account_id: ConnectionStatus(state=LinkState.NO_TOKEN, since_ms=now_ms, why=bot.token_problem)
        for bot in accounts
        if bot.token_problem
    }


class Supervisor:
    """Keeps one bot connected until it is cancelled.

    Args:
        api: the bot's API.
        clock: time.
        open_transport: opens sockets.
        device_id: this installation's device id, the same at every reconnect.
        ws_url: URL that wins over the one the server names, ``None`` to use the server's.
        pace: spreads the reconnects of all bots of the server.
        prepare: called with the first registration; returns where messages go.
        connected: called after each handshake.
        log: the bot's log.
        tap: sees what passes the sockets, ``None`` where nobody looks.
    """

    def __init__(  # noqa: PLR0913  # the seams tests replace; each is used once
        self,
        *,
        api: BotApi,
        clock: Clock,
        open_transport: TransportFactory,
        device_id: str,
        ws_url: str | None,
        pace: LoginPace,
        prepare: Callable[[Registration], Awaitable[MessageSink]],
        connected: Callable[[Connected], None] = lambda _: None,
        log: BotLog,
        tap: Tap | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._tap = tap
        self._open_transport = open_transport
        self._device_id = device_id
        self._ws_url = ws_url
        self._pace = pace
        self._prepare = prepare
        self._connected = connected
        self._log = log
        self._short = Backoff(clock, 1.0, 60.0)
        self._long = Backoff(clock, LONG_WAIT_S, LONGEST_WAIT_S)
        self._rejections = 0
        self._registered_again = False
        self.status = ConnectionStatus(state=LinkState.CONNECTING, since_ms=clock.wall_ms(), why="starting")

    async def run(self) -> None:
        """Register, then connect again and again until it is cancelled."""
        self._become(LinkState.CONNECTING, "starting")
        try:
            registration = await self._register()
            intake = await self._prepare(registration)
            while True:
                end = await self._connect(registration, intake)
                wait_s, again = self._judge(end)
                self._log.warning(
                    "connection ended (%s): %s; next try in %.0f s", end.ending, end.detail, wait_s
                )
                await self._clock.sleep(wait_s)
                if again:
                    registration = await self._register()
                    self._become(LinkState.SUSPECT, f"{_DROPPED}; registered again, connecting")
                    self._log.warning("%s; registered again", _DROPPED)
                if (more_s := self._pace.next()) > 0:
                    self._log.info("other bots reconnect first; next try in %.0f s", more_s)
                    await self._clock.sleep(more_s)
        finally:
            self._become(LinkState.STOPPED, "stopped")

    async def _register(self) -> Registration:
        """Return the bot's credentials; only called while disconnected, because it kicks a live connection."""
        soon = Backoff(self._clock, 2.0, 60.0)
        late = Backoff(self._clock, REFUSED_WAIT_S, LONGEST_WAIT_S)
        while True:
            try:
                registration = await self._api.register()
            except _REFUSALS as error:
                wait_s = late.next()
                self._become(LinkState.REFUSED, f"the server refuses this bot, ask its owner: {error}")
                self._log.error("%s; next try in %.0f s", self.status.why, wait_s)
            except ApiError as error:
                wait_s = soon.next()
                self._become(self._offline(), str(error))
                self._log.warning("%s; next try in %.0f s", error, wait_s)
            else:
                self._become(self._offline(), "registered, connecting")
                return registration
            await self._clock.sleep(wait_s)

    def _offline(self) -> LinkState:
        """Return the state of a bot that registers: its first time, or because its token was dropped."""
        return LinkState.SUSPECT if self._registered_again else LinkState.CONNECTING

    async def _connect(self, registration: Registration, intake: MessageSink) -> LinkEnd:
        """Open a socket and live with it until it ends."""
        url = self._ws_url or registration.ws_url
        try:
            transport = await self._open_transport(url)
        except TransportError as error:
            return LinkEnd(ending=LinkEndKind.CLOSED, detail=str(error))
        credentials = Credentials(
            uid=registration.robot_id,
            token=registration.im_token.get_secret_value(),
            device_id=self._device_id,
        )
        private_key = secrets.token_bytes(32)
        if self._tap is not None:
            transport = self._tap.socket(transport, private_key)
        connection = ClientConnection(credentials, KeyPair.from_private_bytes(private_key))
        return await Link(transport, connection, self._clock, intake, self._on_online).run()

    def _on_online(self, connected: Connected) -> None:
        self._rejections = 0
        self._become(LinkState.ONLINE, f"protocol version {connected.server_version}")
        self._log.info(
            "connected: protocol version %d, clock difference %d ms",
            connected.server_version,
            connected.time_diff_ms,
        )
        self._connected(connected)

    def _judge(self, end: LinkEnd) -> tuple[float, bool]:
        """Return seconds to wait and whether to register again, and set the state people see."""
        if end.online_s >= HEALTHY_AFTER_S:
            self._short.reset()
            self._registered_again = False
        if end.online_s >= (LONGEST_WAIT_S if end.ending is LinkEndKind.KICKED else HEALTHY_AFTER_S):
            self._long.reset()
        if end.ending is LinkEndKind.KICKED:
            self._become(
                LinkState.KICKED, f"another process uses this bot or registered it again: {end.detail}"
            )
            return self._long.next(), False
        if end.ending is LinkEndKind.STORE_ERROR:
            self._become(LinkState.PAUSED, end.detail)
            return self._short.next(), False
        if end.ending is LinkEndKind.REJECTED:
            return self._judge_rejection(end)
        self._become(LinkState.CONNECTING, end.detail)
        return self._short.next(), False

    def _judge_rejection(self, end: LinkEnd) -> tuple[float, bool]:
        """2.2 servers drop a bad token without a word; one drop proves nothing, three in a row do.

        The first time the token is registered again soon. After that only at the long waits, until a connection
        has lasted: a server that drops every token is not to be asked for new ones all the time.
        """
        if end.reason in _CREDENTIAL_REASONS:
            self._rejections = REJECTIONS
        else:  # a server that names another reason does not blame the token
            self._rejections = 0 if end.reason else self._rejections + 1
        if self._rejections < REJECTIONS:
            self._become(LinkState.CONNECTING, end.detail)
            return self._short.next(), False
        self._become(LinkState.SUSPECT, f"{_DROPPED}: {end.detail}")
        wait_s = self._long.next() if self._registered_again else self._short.next()
        self._registered_again = True
        return wait_s, True

    def _become(self, state: LinkState, why: str) -> None:
        since_ms = self.status.since_ms if state is self.status.state else self._clock.wall_ms()
        self.status = ConnectionStatus(state=state, since_ms=since_ms, why=why)
