"""One bot: its server, its token, its socket, and whether somebody else uses it."""

import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from openclaw_channel_octo.cli.doctor.findings import Finding, Level, error, fine, skipped, warning
from openclaw_channel_octo.cli.doctor.running import Running, new_token
from openclaw_channel_octo.cli.doctor.server import check_server
from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import (
    ApiError,
    AuthError,
    PermissionDenied,
    RateLimited,
    RemoteProtocolError,
    StoreError,
    TransportError,
)
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Registration
from openclaw_channel_octo.runtime.connection.lease import Lease, bot_lease
from openclaw_channel_octo.runtime.connection.transport import Transport, open_websocket
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected, Kicked, Rejected, reason_words
from openclaw_channel_octo.wire.packets import ReasonCode

__all__ = ["check_bot"]

API_WITHIN_S = 10.0
HANDSHAKE_WITHIN_S = 10.0
QUIET_S = 2.0
"""How long a fresh connection has to live to be nobody else's too."""
CLOCK_SLACK_S = 60.0

_LOOK_AT_LOG = "the IM server's own log says why; try again later"
_OTHER_NODE = (
    "the socket's address leads to a node that does not have this bot: set wsUrl, or ask who runs the server"
)

_ADVICE: Mapping[int, str] = {
    ReasonCode.AUTH_FAILED: "another program registered this bot meanwhile, or the server lost its tokens: run doctor "
    "again, and stop the other program",
    ReasonCode.TOKEN_LOOKUP_FAILED: "the IM server cannot read its tokens: look at its log and its disk",
    ReasonCode.BANNED: "somebody banned the bot on the server: ask who runs it",
    ReasonCode.CLIENT_KEY_EMPTY: "something between here and the server changes what is sent: connect without it",
    ReasonCode.KICKED: "somebody connects this bot at the same time: stop the other program",
    ReasonCode.RATE_LIMITED: "too many logins: wait a minute, and look for a program that logs in again and again",
    ReasonCode.UPGRADE_REQUIRED: "the server wants a newer protocol: look for a newer release of this package",
    ReasonCode.USER_NOT_ON_NODE: _OTHER_NODE,
    ReasonCode.NODE_MATCH_ERROR: _OTHER_NODE,
    ReasonCode.WRONG_NODE: _OTHER_NODE,
}

_Answer = Connected | Rejected | Kicked


async def check_bot(
    bot: BotConfig, *, running: Running, register: bool | None, tell: Callable[[str], None]
) -> list[Finding]:
    """Return what is found about one bot.

    Args:
        bot: its settings.
        running: the process that has the state folder.
        register: whether to log in; ``None`` to do so only where nothing on this machine says that the bot is online.
        tell: is told in words before a living connection of the bot may be kicked.
    """
    server = await check_server(bot.api_url)
    found = [server] if server is not None else [fine("server", f"{bot.api_url} answers")]
    if bot.token_problem:
        found.append(_no_token(bot, running))
    elif server is not None:
        found.append(skipped("token and login", "the server has to answer first"))
    else:
        found += await _check(bot, running, register, tell)
    return [replace(each, subject=f"{bot.account_id}: {each.subject}") for each in found]


def _no_token(bot: BotConfig, running: Running) -> Finding:
    """Return what it means that a token cannot be read here: nothing where running bots have it."""
    if running.runs(bot.account_id):
        why = f"{bot.token_problem} here; process {running.holder}, which runs the bot, has it"
        return skipped("token and login", why)
    advice = "put it where that points, here as well as where the bots run, and reload them"
    return error("token", bot.token_problem, advice)


async def _check(
    bot: BotConfig, running: Running, register: bool | None, tell: Callable[[str], None]
) -> list[Finding]:
    clock = SystemClock()
    async with BotApi(base_url=bot.api_url, token=bot.token, clock=clock, timeout_s=API_WITHIN_S) as api:
        found = await _api(bot, api)
        if any(each.level is Level.ERROR for each in found):
            return [*found, skipped("login", "the server has to take the token first")]
        return found + await _connection(bot, api, running, register, tell)


async def _api(bot: BotConfig, api: BotApi) -> list[Finding]:
    try:
        groups = await api.groups(within_s=API_WITHIN_S)
    except AuthError as refusal:
        return [_wrong_token(bot, refusal)]
    except PermissionDenied as refusal:
        return [error("token", str(refusal), "ask the bot's owner whether it is switched off")]
    except RateLimited as limit:
        advice = "wait a minute, and look for a program behind the same address that asks without end"
        return [error("server", str(limit), advice)]
    except ApiError as problem:
        return [error("server", str(problem), "the server's own log says why; ask who runs it")]
    taken = fine("token", "the server takes the token")
    if bot.token.get_secret_value().startswith("app_"):
        return [taken, fine("groups", "App Bots have none")]
    if groups:
        return [taken, fine("groups", f"{len(groups)}")]
    advice = "somebody has to add it to a group; until then only direct messages reach it"
    return [taken, warning("groups", "the bot is in no group", advice)]


def _wrong_token(bot: BotConfig, refusal: AuthError) -> Finding:
    words = f"{bot.api_url} is an Octo server and refuses it (HTTP {refusal.status})"
    return error("token", words, new_token(bot))


async def _connection(
    bot: BotConfig, api: BotApi, running: Running, register: bool | None, tell: Callable[[str], None]
) -> list[Finding]:
    if register is False:
        return [skipped("login", "--no-register")]
    lease = bot_lease(bot)
    found: list[Finding] = []
    try:
        free = await lease.acquire()
    except StoreError as problem:
        free = True
        found = [warning("login", str(problem), "without it two processes with this bot kick each other")]
    try:
        online = _online(bot, running) if free else _held(lease)
        if online and not register:
            return [*found, *online]
        tell(
            f"{bot.account_id}: registering now. If this bot is connected elsewhere, that connection is kicked and "
            "has to come back by itself; --no-register leaves it alone."
        )
        return found + await _login(bot, api)
    finally:
        await lease.release()


def _held(lease: Lease) -> list[Finding]:
    """Return who has the lease of a bot, and so its connection."""
    holder = lease.holder()
    return [
        fine("process", f"{holder} on this machine runs this bot"),
        _not_logged_in(f"would kick {holder}"),
    ]


def _online(bot: BotConfig, running: Running) -> list[Finding]:
    """Return what the process that has the state folder says of a bot whose lease is free here.

    It may run the bot where leases are not seen, such as in a container. The API tells nobody whether a bot is online
    (octo-bot-api §2.1).
    """
    who = f"process {running.holder}, which has the state folder"
    if running.runs(bot.account_id):
        return [
            fine("process", f"{who}, runs this bot"),
            _not_logged_in(f"would kick process {running.holder}"),
        ]
    if running.problem:
        return [_not_logged_in(f"may kick {who} and does not say which bots it runs")]
    return []


def _not_logged_in(why: str) -> Finding:
    return skipped("login", f"logging in {why}; --register does it all the same")


async def _login(bot: BotConfig, api: BotApi) -> list[Finding]:
    try:
        registration = await api.register()
    except AuthError as refusal:
        return [_wrong_token(bot, refusal)]
    except ApiError as problem:
        advice = "the server's own log says why; the IM server behind it may be down"
        return [error("registration", str(problem), advice)]
    it = fine("registration", f"it is {registration.robot_id} ({registration.name or 'no name'})")
    url = bot.ws_url or registration.ws_url
    try:
        transport = await open_websocket(url)
    except TransportError as problem:
        advice = "check wsUrl" if bot.ws_url else await _other_address(bot, url)
        return [it, error("socket", str(problem), advice)]
    try:
        opened = fine("socket", f"{url.partition('?')[0]} is a WebSocket")
        return [it, opened, *await _handshake(registration, transport)]
    finally:
        await transport.close()


async def _other_address(bot: BotConfig, url: str) -> str:
    """Return what to do about an address the server names and nobody reaches (octo-bot-api §2.1)."""
    api = urlsplit(bot.api_url)
    other = f"{'wss' if api.scheme == 'https' else 'ws'}://{api.netloc}/ws"
    if other != url:
        try:
            await (await open_websocket(other)).close()
        except TransportError:
            return f"the server names this address; if the socket is elsewhere, set wsUrl (there is none at {other})"
        return f'the server names a wrong address; set "wsUrl": "{other}", where there is one'
    return "the server names this address; if the socket is elsewhere, set wsUrl"


async def _handshake(registration: Registration, transport: Transport) -> list[Finding]:
    """Return what the IM server says to the bot, and what to do where it is no yes (protocol §2.7, §4.3)."""
    token = registration.im_token.get_secret_value()
    credentials = Credentials(uid=registration.robot_id, token=token, device_id="doctor")
    connection = ClientConnection(credentials, KeyPair.from_private_bytes(secrets.token_bytes(32)))
    clock = SystemClock()
    connection.connect(clock.wall_ms(), clock.now())
    try:
        await transport.send(connection.outgoing())
        answer = _next(connection, transport, (Connected, Rejected, Kicked))
        first = await within(clock, HANDSHAKE_WITHIN_S, answer)
    except TimeoutError:
        words = f"no answer within {HANDSHAKE_WITHIN_S:.0f} s"
        return [error("login", words, "is this the IM server's socket?")]
    except (TransportError, RemoteProtocolError) as problem:
        advice = (
            "servers drop a token they do not know without a word; /disconnect in BotFather does that too"
        )
        return [error("login", str(problem), advice)]
    if isinstance(first, Connected):
        return [fine("login", "the socket takes the bot"), *await _after(connection, transport, first)]
    if isinstance(first, Kicked):
        advice = "somebody registers or connects this bot at the same time: stop the other program"
        return [error("login", "the connection was kicked before the login was through", advice)]
    words = f"the IM server refuses the bot: {reason_words(first.reason)}"
    return [error("login", words, _ADVICE.get(first.reason, _LOOK_AT_LOG))]


async def _after(connection: ClientConnection, transport: Transport, connected: Connected) -> list[Finding]:
    off_s = connected.time_diff_ms / 1_000
    found = fine("clock", f"{off_s:.1f} s from the server's")
    if abs(off_s) > CLOCK_SLACK_S:
        advice = "set this machine's clock, or the server's: ages of messages are told by it"
        found = warning("clock", f"{off_s:.0f} s from the server's", advice)
    try:
        await within(SystemClock(), QUIET_S, _next(connection, transport, (Kicked,)))
    except TimeoutError:
        return [found]
    except (TransportError, RemoteProtocolError) as problem:
        return [found, error("login", str(problem), "look at the IM server's log")]
    words = "somebody else connected with this bot at once"
    return [found, error("login", words, "stop the other program, or give it a bot of its own")]


async def _next(
    connection: ClientConnection, transport: Transport, wanted: tuple[type[_Answer], ...]
) -> _Answer:
    while True:
        for event in connection.receive(await transport.receive(), SystemClock().now()):
            if isinstance(event, wanted):
                return event
