"""One WebSocket to a gateway for everybody who needs it: kept open, asked, listened to (openclaw-host §4)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any

import websockets
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection

from openclaw_channel_octo.clock import Backoff, Clock, within
from openclaw_channel_octo.errors import HostError, HostRefused, HostUnavailable
from openclaw_channel_octo.host.gateway.frames import Event, Fault, Response
from openclaw_channel_octo.host.gateway.identity import DeviceFile, DeviceIdentity
from openclaw_channel_octo.host.gateway.protocol import Gap, GatewayProtocol, Hello, Login
from openclaw_channel_octo.websocket import quiet, same_origin_connect

__all__ = ["GatewayConnection", "GatewayExchange", "GatewayState"]

_log = logging.getLogger(__name__)

OPEN_WITHIN_S = 10.0
"""Longest wait for TCP, TLS, the WebSocket handshake and the gateway's welcome together."""

CALL_WITHIN_S = 30.0
"""Longest wait for a plain answer."""

LARGEST_MESSAGE = 64 * 1024 * 1024
"""Largest message taken, in bytes; a gateway buffers up to 50 MiB for a client."""

_TOKEN_REFUSED = frozenset({"AUTH_DEVICE_TOKEN_MISMATCH", "AUTH_TOKEN_MISMATCH"})
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 2.0
"""Pauses between connects; no later than 3 s after a gateway is back there has to be one."""
START_WITHIN_S = 1.0
"""How long a start waits for its first attempt; bots take messages from then on."""
REFUSED_RETRY_S = 60.0
"""How often a gateway that refuses us is asked again: somebody may have approved the device by then."""


class GatewayState(StrEnum):
    """How the connection is."""

    CONNECTING = "connecting"
    ONLINE = "online"
    REFUSED = "refused"
    STOPPED = "stopped"


class GatewayExchange(asyncio.Queue[Response | None]):
    """The answers to one request, as they come; ``None`` when the connection is lost."""

    async def next(self) -> Response:
        """Return the next answer.

        Raises:
            HostUnavailable: the connection was lost before it came.
        """
        answer = await self.get()
        if answer is None:
            self.put_nowait(None)
            raise HostUnavailable("the connection to the gateway was lost")
        return answer


class GatewayConnection:
    """Keeps one connection to a gateway open until it is stopped.

    Args:
        url: where the gateway listens, ``ws://`` or ``wss://``.
        login: what is shown to get in.
        device: this installation's identity.
        clock: time, request ids.
        heard: called with every event, in order; must not block.
        opened: called with the gateway's welcome after every connect, before any event.
    """

    def __init__(
        self,
        *,
        url: str,
        login: Login,
        device: DeviceFile,
        clock: Clock,
        heard: Callable[[Event | Gap], None],
        opened: Callable[[Hello], None],
    ) -> None:
        self._url = url
        self._shown = url.partition("?")[0]  # secrets may stand behind it
        self._login = login
        self._device = device
        self._identity: DeviceIdentity | None = None
        self._clock = clock
        self._heard = heard
        self._opened = opened
        self._hello: Hello | None = None
        self._protocol: GatewayProtocol | None = None
        self._socket: ClientConnection | None = None
        self._exchanges: dict[str, GatewayExchange] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.booted_ms = 0
        """When the gateway was started, Unix milliseconds of this machine's clock."""
        self.state = GatewayState.STOPPED
        self.why = ""
        """What went wrong, for the operator; empty when nothing did."""

    async def start(self) -> None:
        """Begin to connect; returns when the first attempt has come to an end, good or bad, or takes long.

        Raises:
            HostRefused: the gateway is there and does not let us in.
            HostError: the device identity cannot be read or written.
        """
        await self.begin()
        if self.state is GatewayState.REFUSED:
            why = self.why
            await self.stop()
            raise HostRefused(why)

    async def begin(self) -> None:
        """Do as `start`, but go on asking a gateway that does not let us in.

        Raises:
            HostError: the device identity cannot be read or written.
        """
        self._identity = await asyncio.to_thread(self._device.load)
        self._become(GatewayState.CONNECTING)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="octo:gateway")
        self._task.add_done_callback(self._ended)
        with suppress(TimeoutError):
            await within(self._clock, START_WITHIN_S, self._tried())

    async def _tried(self) -> None:
        while self.state is GatewayState.CONNECTING and not self.why:
            await self._changed.wait()

    async def stop(self) -> None:
        """Close the connection; who still waits for an answer learns that it is lost."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        self._become(GatewayState.STOPPED)

    async def ready(self) -> Hello:
        """Return the gateway's welcome as soon as there is a connection, waiting as long as it takes.

        Raises:
            HostRefused: the gateway does not let us in.
            HostError: the connection is stopped.
        """
        while True:
            match self.state:
                case GatewayState.ONLINE if self._hello is not None:
                    return self._hello
                case GatewayState.REFUSED:
                    raise HostRefused(self.why)
                case GatewayState.STOPPED:
                    raise HostError(self.why or "the gateway host is stopped: start it before its first turn")
            await self._changed.wait()

    @asynccontextmanager
    async def exchange(self, method: str, params: Mapping[str, Any]) -> AsyncGenerator[GatewayExchange]:
        """Send a request and give its answers until the block is left; later ones are dropped.

        Raises:
            HostUnavailable: there is no connection.
        """
        protocol, socket = self._protocol, self._socket
        if protocol is None or socket is None or self.state is not GatewayState.ONLINE:
            raise HostUnavailable(f"no connection to the gateway at {self._shown}")
        request_id = protocol.request(method, params)
        exchange = self._exchanges[request_id] = GatewayExchange()
        try:
            await _flush(protocol, socket)
            yield exchange
        finally:
            self._exchanges.pop(request_id, None)

    async def call(
        self, method: str, params: Mapping[str, Any], within_s: float = CALL_WITHIN_S
    ) -> Mapping[str, Any]:
        """Return the payload of the only answer to a request.

        Raises:
            HostUnavailable: there is no connection, it was lost, no answer came in time, or the gateway restarts.
            HostRefused: we may not do this, or it wants something from the operator.
            HostError: the gateway does not do it.
        """
        answer = await self.ask(method, params, within_s)
        if answer.fault is not None:
            raise answer.fault.error(method)
        return answer.payload

    async def ask(self, method: str, params: Mapping[str, Any], within_s: float = CALL_WITHIN_S) -> Response:
        """Return the only answer to a request, also one that tells a fault.

        Raises:
            HostUnavailable: there is no connection, it was lost, or no answer came in time.
        """
        async with self.exchange(method, params) as exchange:
            try:
                return await within(self._clock, within_s, exchange.next())
            except TimeoutError:
                raise HostUnavailable(
                    f"{method}: the gateway gave no answer within {within_s:.0f} s"
                ) from None

    async def _run(self) -> None:
        backoff = Backoff(self._clock, FIRST_RETRY_S, LAST_RETRY_S)
        while True:
            try:
                await self._after_refusal(await self._connect_once(backoff), backoff)
            except HostError as error:
                self._become(GatewayState.CONNECTING, str(error))
                await self._clock.sleep(backoff.next())

    async def _connect_once(self, backoff: Backoff) -> Fault:
        """Hold one connection from its opening to its loss; return why the gateway does not let us in."""
        login = self._login
        if not (login.token or login.password):  # set by nobody: this device has its own
            login = replace(login, device_token=self._device.token(self._url))
        protocol = GatewayProtocol(login, self._identity, self._clock.new_id)
        socket = await self._open()
        self._protocol, self._socket = protocol, socket
        try:
            fault = await within(self._clock, OPEN_WITHIN_S, self._enter(socket, protocol))
            if fault is not None:
                return fault
            backoff.reset()
            while True:
                self._take(protocol, await socket.recv())
        except TimeoutError:
            raise HostUnavailable(f"what answers at {self._shown} does not behave like a gateway") from None
        except websockets.ConnectionClosed as error:
            why = f" ({error.rcvd.code} {error.rcvd.reason})" if error.rcvd is not None else ""
            raise HostUnavailable(f"the gateway at {self._shown} closed the connection{why}") from error
        except ValueError:
            raise HostUnavailable(
                f"what answers at {self._shown} does not speak the gateway's protocol"
            ) from None
        finally:
            self._protocol = self._socket = self._hello = None
            exchanges, self._exchanges = self._exchanges, {}
            for exchange in exchanges.values():
                exchange.put_nowait(None)
            await socket.close()

    async def _open(self) -> ClientConnection:
        try:
            return await same_origin_connect(
                self._url,
                open_timeout=OPEN_WITHIN_S,
                close_timeout=1.0,
                max_size=LARGEST_MESSAGE,
                compression=None,
                proxy=None,
                logger=quiet,
            )
        except (OSError, TimeoutError, websockets.InvalidHandshake, EOFError) as error:
            # First: a certificate that is not trusted is a ValueError too.
            late = isinstance(error, TimeoutError)
            why = f"no answer within {OPEN_WITHIN_S:.0f} s" if late else error
            raise HostUnavailable(f"no gateway answers at {self._shown}: {why}") from error
        except (websockets.InvalidURI, ValueError):
            raise HostUnavailable(f"{self._shown} is no WebSocket address") from None

    async def _enter(self, socket: ClientConnection, protocol: GatewayProtocol) -> Fault | None:
        """Get through the handshake, or return why not."""
        while self._hello is None:
            for happening in protocol.receive(await socket.recv()):
                match happening:
                    case Fault():
                        return happening
                    case Hello():
                        self._hello = happening
                        self.booted_ms = self._clock.wall_ms() - happening.uptime_ms
                        if happening.device_token:
                            await self._keep_token(happening.device_token)
            await _flush(protocol, socket)
        self._opened(self._hello)
        self._become(GatewayState.ONLINE)
        return None

    def _take(self, protocol: GatewayProtocol, message: str | bytes) -> None:
        for happening in protocol.receive(message):
            match happening:
                case Response():
                    if (exchange := self._exchanges.get(happening.id)) is not None:
                        exchange.put_nowait(happening)
                case Event() | Gap():
                    self._heard(happening)

    async def _after_refusal(self, fault: Fault, backoff: Backoff) -> None:
        if fault.retryable:
            self._become(GatewayState.CONNECTING, f"the gateway is starting ({fault.reason})")
            await self._clock.sleep(fault.retry_after_ms / 1000 or backoff.next())
            return
        if fault.reason in _TOKEN_REFUSED and not (self._login.token or self._login.password):
            await self._keep_token("")
        self._become(GatewayState.REFUSED, str(fault.error(f"connecting to {self._shown}")))
        await self._clock.sleep(REFUSED_RETRY_S)
        self._become(GatewayState.CONNECTING, self.why)

    async def _keep_token(self, token: str) -> None:
        """Store this device's token, an empty one to forget it; without a disk it lasts as long as the process."""
        if self._identity is None:
            return
        try:
            await asyncio.to_thread(self._device.keep_token, self._identity, self._url, token)
        except HostError as error:
            _log.warning("%s", error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Report an unexpected error, so that turns fail instead of waiting for a dead connection."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the connection to the gateway broke", exc_info=error)
            self._become(GatewayState.STOPPED, "the connection to the gateway broke: see the log")

    def _become(self, state: GatewayState, why: str = "") -> None:
        if (self.state, self.why) == (state, why):
            return
        if why and why != self.why:
            _log.warning("%s", why)
        elif state is GatewayState.ONLINE and self._hello is not None:
            _log.info("connected to the gateway at %s, release %s", self._shown, self._hello.version)
        self.state, self.why = state, why
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _flush(protocol: GatewayProtocol, socket: ClientConnection) -> None:
    try:
        for message in protocol.to_send():
            await socket.send(message)
    except websockets.ConnectionClosed as error:
        raise HostUnavailable("the connection to the gateway was lost") from error
