"""A deployment whose wire and whose long waits are in a test's hands."""

import asyncio
from contextlib import suppress

from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState
from openclaw_channel_octo.runtime.connection.transport import Transport, open_websocket
from openclaw_channel_octo.testing import ChatLine, Damage, RawMessage
from tests.runtime.rig import ANN, HELPER, FastClock, Rig
from tests.until import until


class SkippingClock(FastClock):
    """A fast clock whose long waits a test may skip."""

    def __init__(self, factor: float = 50.0) -> None:
        super().__init__(factor)
        self._skipped = 0.0
        self._jump = asyncio.Event()
        self._sleeps: list[tuple[float, float]] = []

    def now(self) -> float:
        return super().now() + self._skipped

    async def sleep(self, seconds: float) -> None:
        end = self.now() + seconds
        self._sleeps.append((seconds, end))
        await asyncio.sleep(0)
        try:
            while (left := end - self.now()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._jump.wait(), left / self._factor)
        finally:
            self._sleeps.remove((seconds, end))

    def skip(self, seconds: float) -> None:
        self._skipped += seconds
        self._jump.set()
        self._jump = asyncio.Event()

    async def skip_sleep(self, shortest: float, longest: float) -> None:
        """Wait until something sleeps for so many seconds, and skip to the end of that."""
        ends = await until(
            lambda: [end for asked, end in self._sleeps if shortest <= asked <= longest],
            f"sleep of {shortest:.0f} to {longest:.0f} s",
        )
        self.skip(max(0.0, ends[0] - self.now()))


class PiecewiseTransport:
    """A socket whose messages arrive in pieces that end anywhere in a packet, often with the next one's begin."""

    def __init__(self, socket: Transport) -> None:
        self._socket = socket
        self._left = b""
        self._sizes = 0

    async def send(self, data: bytes) -> None:
        await self._socket.send(data)

    async def receive(self) -> bytes:
        if not self._left:
            self._left = await self._socket.receive()
        self._sizes = self._sizes % 7 + 1  # 1 … 7 bytes, so that every field is cut somewhere
        piece, self._left = self._left[: self._sizes], self._left[self._sizes :]
        return piece

    async def close(self) -> None:
        await self._socket.close()


class Bench:
    """A deployment, its clock and its wire."""

    def __init__(self, rig: Rig, clock: SkippingClock) -> None:
        self.rig = rig
        self.octo = rig.octo
        self.clock = clock
        self.piecewise = False
        """Whether the next connections deliver in pieces."""
        self.recorded: Transport | None = None
        """Takes the place of the next socket."""
        self.opened = 0
        """Sockets the channel has asked for."""

    async def open(self, url: str) -> Transport:
        self.opened += 1
        if self.recorded is not None:
            recorded, self.recorded = self.recorded, None
            return recorded
        socket = await open_websocket(url)
        return PiecewiseTransport(socket) if self.piecewise else socket

    @property
    def status(self) -> ConnectionStatus:
        return self.rig.channel.status().bots["helper"]

    async def until(self, state: LinkState, why: str = "") -> None:
        await until(lambda: self.status.state is state and why in self.status.why, f"{state}: {why}")

    async def until_again_online(self) -> None:
        await self.octo.wait_for(lambda: self.octo.online(HELPER))
        await self.until(LinkState.ONLINE)

    async def until_acked(self, count: int) -> None:
        """Wait until the last ``count`` messages people sent in the group are acknowledged."""
        asked = {line.message_id for line in self.asked()[-count:]}
        await self.octo.wait_for(lambda: asked <= {ack.message_id for ack in self.octo.acks})

    def asked(self) -> list[ChatLine]:
        return [line for line in self.octo.chat(self.rig.group) if line.from_uid == ANN]

    async def push(self, line: ChatLine, *, damage: Damage | None = None, early: bool = False) -> None:
        """Send a message of the group once more, damaged or before the next CONNACK."""
        raw = RawMessage(
            from_uid=line.from_uid,
            channel=self.rig.group,
            payload=Rig.payload_of(line),
            message_id=int(line.message_id),
            message_seq=line.message_seq,
            timestamp=line.timestamp,
            damage=damage,
        )
        await self.octo.inject(HELPER, raw, before_connack=early)

    def dead_letter(self, message_id: str) -> str:
        """Return why a message is a dead letter."""
        select = "SELECT detail FROM inbound WHERE message_id = ? AND state = 'dead'"
        return str(self.rig.sql(select, message_id)[0][0])

    def push_bytes(self, data: bytes) -> None:
        """Send bytes that are no packet."""
        for session in self.octo._engine.sessions(HELPER):
            session._outbox.append(data)
            session._filled.set()
