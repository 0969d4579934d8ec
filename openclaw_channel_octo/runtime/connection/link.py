"""One connection's life: bytes between a socket and the protocol core, events to the intake (design §4 steps 1–3)."""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import RemoteProtocolError, StoreError, TransportError
from openclaw_channel_octo.runtime.connection.transport import Transport
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.wire.client import ClientConnection
from openclaw_channel_octo.wire.events import (
    Connected,
    ConnectionEvent,
    Kicked,
    Pushed,
    Received,
    Rejected,
    Silent,
    Undecodable,
    reason_words,
)

__all__ = ["Link", "LinkEnd", "LinkEndKind", "MessageSink"]

BATCH = 256
"""Most messages recorded in one transaction."""

BACKLOG_BYTES = 16 * 1024 * 1024
"""Payload bytes that may wait for the journal before the socket is read slower."""


class LinkEndKind(StrEnum):
    """How a connection ended; the close code tells nothing, it is 1006 always (protocol §14)."""

    CLOSED = "closed"
    REJECTED = "rejected"
    KICKED = "kicked"
    SILENT = "silent"
    PROTOCOL_ERROR = "protocol-error"
    STORE_ERROR = "store-error"


class LinkEnd(Struct, frozen=True, kw_only=True):
    """How a connection ended.

    Attributes:
        ending: the kind.
        detail: words for the operator.
        online_s: seconds between the handshake and the end, 0 if it never succeeded.
        reason: the server's reason code, 0 where it sent none.
    """

    ending: LinkEndKind
    detail: str
    online_s: float = 0.0
    reason: int = 0


class MessageSink(Protocol):
    """Where received messages go."""

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        """Judge and durably record messages. Raises `StoreError`."""
        ...

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        """Start what the recorded messages ask for; must not block."""
        ...


class Link:
    """Runs one connection from CONNECT to its end.

    Args:
        transport: the open socket.
        connection: a fresh protocol core.
        clock: time.
        intake: where messages go.
        on_online: called once the handshake has succeeded.
    """

    def __init__(
        self,
        transport: Transport,
        connection: ClientConnection,
        clock: Clock,
        intake: MessageSink,
        on_online: Callable[[Connected], None],
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._clock = clock
        self._intake = intake
        self._on_online = on_online
        self._waiting: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._end: LinkEnd | None = None
        self._online_at: float | None = None

    async def run(self) -> LinkEnd:
        """Run until the connection ends; what was received by then is recorded before this returns."""
        try:
            self._connection.connect(self._clock.wall_ms(), self._clock.now())
            async with asyncio.TaskGroup() as group:
                group.create_task(self._record(), name="octo:record")
                beat = group.create_task(self._beat(), name="octo:beat")
                await self._read()
                beat.cancel()
                self._waiting.put_nowait(None)
        finally:
            await self._transport.close()
        return self._end or self._ended(LinkEndKind.CLOSED, "the connection is closed")

    async def close(self) -> None:
        """End the connection from our side."""
        await self._finish(LinkEndKind.CLOSED, "closed by us")

    async def _read(self) -> None:
        try:
            await self._flush()
            while self._end is None:
                data = await self._transport.receive()
                for event in self._connection.receive(data, self._clock.now()):
                    await self._handle(event)
                await self._room.wait()
        except TransportError as error:
            rejected = self._online_at is None
            self._set_end(LinkEndKind.REJECTED if rejected else LinkEndKind.CLOSED, str(error))
        except RemoteProtocolError as error:
            self._set_end(LinkEndKind.PROTOCOL_ERROR, str(error))

    async def _handle(self, event: ConnectionEvent) -> None:
        match event:
            case Connected():
                self._online_at = self._clock.now()
                self._on_online(event)
            case Received() | Undecodable():
                self._waiting.put_nowait(event)
                self._waiting_bytes += _size(event)
                if self._waiting_bytes > BACKLOG_BYTES:
                    self._room.clear()
            case Rejected(reason=reason):
                self._set_end(
                    LinkEndKind.REJECTED, f"the server refused the connection: {reason_words(reason)}", reason
                )
            case Kicked(reason=reason, text=text):
                why = reason_words(reason, text)
                self._set_end(LinkEndKind.KICKED, f"the server ended the connection: {why}", reason)
            case Silent(seconds=seconds):
                silent = LinkEndKind.REJECTED if self._online_at is None else LinkEndKind.SILENT
                await self._finish(silent, f"nothing received for {seconds:.0f} s")
            case Pushed():
                pass  # stream previews: the whole text comes as a message of its own (protocol §7)

    async def _beat(self) -> None:
        """Keep the connection's own deadlines: handshake, ping, silence."""
        try:
            while (deadline := self._connection.deadline()) is not None:
                await self._clock.sleep(max(0.0, deadline - self._clock.now()))
                if not self._room.is_set():
                    self._connection.touch(self._clock.now())  # we do not read now, so silence proves nothing
                for event in self._connection.tick(self._clock.now()):
                    await self._handle(event)
                await self._flush()
        except TransportError:
            return  # the reader sees the same end and reports it

    async def _record(self) -> None:
        """Record what waits, hand it on, acknowledge it; a group commit for each round."""
        try:
            while batch := await self._next_batch():
                outcomes = await self._intake.commit(batch)
                self._intake.dispatch(outcomes)  # before a socket that takes no more can hold it up
                await self._acknowledge(outcomes)
        except StoreError as error:
            await self._finish(LinkEndKind.STORE_ERROR, str(error))

    async def _next_batch(self) -> list[Incoming]:
        """Return everything that waits, at least one message; empty once the reader has ended."""
        batch: list[Incoming] = []
        event = await self._waiting.get()
        while event is not None:
            batch.append(event)
            self._waiting_bytes -= _size(event)
            if len(batch) == BATCH or self._waiting.empty():
                break
            event = self._waiting.get_nowait()
        if event is None and batch:
            self._waiting.put_nowait(None)
        if self._waiting_bytes <= BACKLOG_BYTES:
            self._room.set()
        return batch

    async def _acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.acknowledge:
                self._connection.acknowledge(
                    outcome.message.message_id, outcome.message.message_seq, outcome.message.flags
                )
        try:
            await self._flush()
        except TransportError:
            return  # recorded all the same; the server's copies will be duplicates

    async def _flush(self) -> None:
        if data := self._connection.outgoing():
            await self._transport.send(data)

    async def _finish(self, ending: LinkEndKind, detail: str) -> None:
        self._set_end(ending, detail)
        self._room.set()
        await self._transport.close()

    def _set_end(self, ending: LinkEndKind, detail: str, reason: int = 0) -> None:
        if self._end is None:
            self._end = self._ended(ending, detail, reason)

    def _ended(self, ending: LinkEndKind, detail: str, reason: int = 0) -> LinkEnd:
        online_s = 0.0 if self._online_at is None else self._clock.now() - self._online_at
        return LinkEnd(ending=ending, detail=detail, online_s=online_s, reason=reason)


def _size(event: Incoming) -> int:
    return len(event.message.payload) if isinstance(event, Received) else 0
