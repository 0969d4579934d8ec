"""An Octo server in the test's own process: bot API and WuKongIM socket on one port (octo-bot-api §7).

Over 350 lines: the face of the double, a short method for each thing a test does with it.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Self, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.observe.listening import Bounds, HttpListener
from openclaw_channel_octo.testing.octo.api_server import ApiServer
from openclaw_channel_octo.testing.octo.bot_api import ApiCalls
from openclaw_channel_octo.testing.octo.engine import OTHER_DEVICE, Delivery, Engine
from openclaw_channel_octo.testing.octo.faults import ANY_CALL, Fault
from openclaw_channel_octo.testing.octo.people import People
from openclaw_channel_octo.testing.octo.records import Ack, RawEvent, RawMessage, RestCall
from openclaw_channel_octo.testing.octo.storage import MAX_FILE_BYTES, Storage, StoredFile
from openclaw_channel_octo.testing.octo.world import World
from openclaw_channel_octo.testing.web.local_web import no_strangers

__all__ = ["FOR_PROGRAMS", "NotReached", "OctoDouble"]

_HOST: Final = "127.0.0.1"
_SHOWN_CALLS: Final = 15
_SHUTDOWN_S: Final = 0.05

UNBOUNDED: Final = Bounds(connections=sys.maxsize, idle_s=3_600, received=sys.maxsize)

FOR_PROGRAMS: Final = Bounds(connections=256, received=sys.maxsize)
"""For a double that people and programs of this machine use: pages, bots and their sockets together."""

UPLOAD: Final = "upload"
"""In `OctoDouble.fail_next`: a file put into the storage."""

T = TypeVar("T")


class NotReached(AssertionError):
    """What a test waited for did not happen in time; the message lists the last calls."""


class OctoDouble(People):
    """An Octo deployment as a bot sees it: profile 2.2.4, on loopback.

    Use it as an asynchronous context manager: entering opens the port, leaving closes every connection. People
    act through `say`, a test looks at `chat`, `calls` and `acks`, and waits with `wait_for`.

    Example::

        async with OctoDouble() as octo:
            octo.add_person("ann", "Ann")
            octo.add_bot("helper_bot", "bf_1", name="Helper", owner="ann")
            group = octo.add_group("g1", ["ann", "helper_bot"])
            ...  # start a channel with octo.api_url and the token
            await octo.wait_for(lambda: octo.online("helper_bot"))
            await octo.say("ann", group, "sum up", mention=["helper_bot"])
            await octo.wait_for(lambda: octo.chat(group)[1:])

    Args:
        clock: timestamps, the typing throttle, and `Slow`; the machine's clock where none is given.
        space_id: the space stamped into direct messages; empty for a deployment without spaces.
        bad_token_delay_s: real seconds between a refused CONNECT and the end of its connection.
        port: where to listen on loopback, any free one by default.
        also: adds routes of its own to the server before the port is opened.
        bounds: what clients may take together; any number of connections by default.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        space_id: str = "space_default",
        bad_token_delay_s: float = 0.005,
        port: int = 0,
        also: Callable[[Self, web.Application], None] | None = None,
        bounds: Bounds = UNBOUNDED,
    ) -> None:
        clock = clock or SystemClock()
        world = World(clock, space_id)
        engine = Engine(world, self, self._changed, bad_token_delay_s=bad_token_delay_s)
        self._storage = Storage()
        calls = ApiCalls(world, engine, self._storage, self)
        super().__init__(world, engine, calls)
        self._server = ApiServer(calls, world, self, self._changed)
        self.calls: Sequence[RestCall] = self._server.calls
        """Every call of the bot API, in order of arrival."""
        self.acks: Sequence[Ack] = engine.acks
        """Every RECVACK, in order of arrival."""
        self._call_names = {ANY_CALL, UPLOAD, *(route.name for route in self._server.routes)}
        self._waiting: list[asyncio.Future[None]] = []
        self._port = port
        self._also = also
        self._bounds = bounds
        self._listener: HttpListener | None = None

    async def __aenter__(self) -> Self:
        """Open the port."""
        app = web.Application(
            client_max_size=2 * MAX_FILE_BYTES, middlewares=[no_strangers, _plain_not_found]
        )
        self._server.add_to(app)
        app.router.add_get("/ws", self._engine.serve)
        app.router.add_put("/chat/{key:.+}", self._server.with_faults(UPLOAD, self._storage.take_upload))
        app.router.add_get("/chat/{key:.+}", self._storage.give_download)
        if self._also is not None:
            self._also(self, app)
        self._listener = HttpListener(app, self._bounds, shutdown_s=_SHUTDOWN_S)
        await self._listener.start(_HOST, self._port)
        authority = f"{_HOST}:{self._listener.port}"
        self.api_url = f"http://{authority}"
        self.ws_url = f"ws://{authority}/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Break every connection and close the port."""
        self.thaw()
        self._engine.drop(None)
        if self._listener is not None:
            await self._listener.close()

    def online(self, uid: str) -> int:
        """Return how many connections of an account are logged in and not kicked."""
        return len(self._engine.sessions(uid))

    def kick(self, uid: str, text: str | None = OTHER_DEVICE) -> None:
        """Kick an account's connections: DISCONNECT with reason 12, then an open socket nobody answers.

        Args:
            uid: whose connections.
            text: the words of the DISCONNECT; ``None`` for none at all, as after the same device connected.
        """
        self._engine.kick(uid, text)

    def drop_connections(self, uid: str | None = None) -> None:
        """Break an account's TCP connections without a close frame, or everybody's."""
        self._engine.drop(uid)

    def lose_next(self, uid: str, *, times: int = 1) -> None:
        """Let the next messages to an account get lost on their way; the history has them."""
        self._engine.to_lose[uid] += times

    def roll_back(self, channel: ChannelRef, seq: int = 0) -> None:
        """Restore a group or thread from an older copy: messages numbered above ``seq`` are gone."""
        self._world.roll_back(channel, seq)

    def freeze(self) -> None:
        """Stop the socket server without closing anything: nothing is read, nothing leaves."""
        self._engine.thawed.clear()

    def thaw(self) -> None:
        """Go on after `freeze`: everything that waited happens at once."""
        self._engine.thawed.set()

    def stop_sockets(self) -> None:
        """Stop the socket server: connections break, new ones are refused; the bot API stays."""
        self._engine.stopped = True
        self._engine.drop(None)

    def start_sockets(self) -> None:
        """Take connections again."""
        self._engine.stopped = False

    def forget_tokens(self) -> None:
        """Lose the socket server's tokens: every CONNECT is refused until the bot registers again."""
        self._engine.tokens.clear()

    def resend_unacked(self, uid: str | None = None) -> int:
        """Send every stored message without a RECVACK again, over the connection it went out on.

        Returns:
            How many copies were sent.
        """
        return sum(session.resend() for session in self._engine.sessions(uid))

    async def inject(
        self,
        uid: str,
        item: RawMessage | RawEvent,
        *,
        copies: int = 1,
        before_connack: bool = False,
        stored: bool = False,
    ) -> str:
        """Put a packet on an account's connections exactly as it is given.

        Args:
            uid: the recipient.
            item: the packet; whatever is ``None`` in it is filled in.
            copies: how many times it is sent.
            before_connack: keep it for the next connection and send it between CONNECT and CONNACK.
            stored: also put it into the history, where `messages/sync` finds it; online or not.

        Returns:
            The message's id, or the event's.

        Raises:
            RuntimeError: it is neither for later nor stored, and the account is not connected.
        """
        deliver, item_id = self._prepared(uid, item, stored=stored)
        if not stored or before_connack or self.online(uid):
            for _ in range(copies):
                self._engine.inject(uid, deliver, before_connack=before_connack)
        self._changed()
        return item_id

    def fail_next(self, call: str, fault: Fault, *, times: int | None = 1) -> None:
        """Let calls of the bot API meet a fault.

        Args:
            call: a call's name as in `RestCall.name`, or `ANY_CALL`.
            fault: what happens.
            times: to how many calls; ``None`` for all until `heal`.

        Raises:
            ValueError: there is no such call.
        """
        if call not in self._call_names:
            raise ValueError(f"no call {call!r}; there are {', '.join(sorted(self._call_names))}")
        self._server.faults.add(call, fault, times)

    def heal(self, call: str | None = None) -> None:
        """Forget the faults of one call, or of all; what hangs is freed by `release`."""
        self._server.faults.clear(call)

    def release(self) -> None:
        """Let every call go on that hangs."""
        self._server.faults.release()

    def put_file(self, name: str, content: bytes) -> str:
        """Upload a file as a person's client does; return the address to put into a payload."""
        return f"{self.api_url}/{self._storage.put(name, content)}"

    def file(self, url: str) -> StoredFile:
        """Return an uploaded file by its address. Raises `KeyError` for one nobody uploaded."""
        return self._storage.files[url.removeprefix(f"{self.api_url}/")]

    def stored_bytes(self) -> int:
        """Return how many bytes all uploaded files have."""
        return self._storage.size()

    async def wait_for(self, predicate: Callable[[], T], *, timeout: float = 10.0) -> T:  # noqa: ASYNC109  # a test's limit
        """Return what ``predicate`` returns as soon as that is true.

        It is asked again after every call, packet, delivery and connection; changes elsewhere wake nobody.

        Args:
            predicate: looks at the double.
            timeout: real seconds.

        Raises:
            NotReached: it was never true; the message lists the last calls.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    await self.changed()
        except TimeoutError:
            raise NotReached(self._report(timeout)) from None
        return value

    def changed(self) -> "asyncio.Future[None]":
        """Return what is done after the next call, packet, delivery or connection."""
        changed = asyncio.get_running_loop().create_future()
        self._waiting.append(changed)
        return changed

    def _prepared(self, uid: str, item: RawMessage | RawEvent, *, stored: bool) -> tuple[Delivery, str]:
        if isinstance(item, RawEvent):
            return lambda session: session.push(item), item.id
        message = self._world.raw(uid, item)
        if stored:
            self._world.store(message)
        return lambda session: session.deliver(message, item.channel, item.damage), str(message.message_id)

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)

    def _report(self, timeout: float) -> str:
        shown = self.calls[-_SHOWN_CALLS:]
        lines = [f"  {call.name} of {call.bot or 'nobody'}: {_outcome(call.status)}" for call in shown]
        online = sorted({session.uid for session in self._engine.sessions()})
        head = f"not reached within {timeout:g} s; online: {', '.join(online) or 'nobody'}"
        return "\n".join([f"{head}; the last {len(shown)} of {len(self.calls)} calls:", *lines])


def _outcome(status: int | None) -> str:
    if status is None:
        return "still open"
    return str(status) if status else "connection broken"


@web.middleware
async def _plain_not_found(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an unknown route, or a wrong method, as the server's framework does (octo-bot-api §1.4)."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found")
