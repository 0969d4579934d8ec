import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from openclaw_channel_octo.errors import LocalProtocolError, StoreError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.policy.gate import Decision, DecisionKind
from openclaw_channel_octo.runtime.connection import link as link_module
from openclaw_channel_octo.runtime.connection.link import BATCH, Link, LinkEnd, LinkEndKind
from openclaw_channel_octo.runtime.received import Incoming, Outcome
from openclaw_channel_octo.testing.clock import ManualClock
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import Connected, Received
from openclaw_channel_octo.wire.packets import Connect, Flags, ReasonCode, Recvack
from tests.runtime.connection.scripted_wire import (
    IM_TOKEN,
    UID,
    Answer,
    Wire,
    accept,
    drop,
    ignore,
    lose_after_connack,
    reject,
)


class ScriptedIntake:
    """Records what it is given, at the pace and with the outcome a test asks for."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.dispatched: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: StoreError | None = None
        self.keep: set[int] = set()
        """Ids that are not to be acknowledged."""

    async def commit(self, events: Sequence[Incoming]) -> Sequence[Outcome]:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        outcomes = [self._outcome(event) for event in events]
        self.batches.append([outcome.message.message_id for outcome in outcomes])
        return outcomes

    def dispatch(self, outcomes: Sequence[Outcome]) -> None:
        self.dispatched += [outcome.message.message_id for outcome in outcomes]

    @property
    def recorded(self) -> list[int]:
        return [message_id for batch in self.batches for message_id in batch]

    def _outcome(self, event: Incoming) -> Outcome:
        message = event.message if isinstance(event, Received) else event
        return Outcome(
            message=message,
            decision=Decision(DecisionKind.CONTEXT, "test"),
            payload=None,
            channel=ChannelRef(message.channel_id, message.channel_type),
            session_key="",
            acknowledge=message.message_id not in self.keep,
        )


class Line:
    """A link, what is on its two ends, and what it has told."""

    def __init__(self, clock: ManualClock, answer: Answer, token: str = IM_TOKEN) -> None:
        self.wire = Wire(answer)
        self.intake = ScriptedIntake()
        self.online: list[Connected] = []
        self.clock = clock
        credentials = Credentials(uid=UID, token=token, device_id="device")
        connection = ClientConnection(credentials, KeyPair.from_private_bytes(bytes(32)))
        self.running = asyncio.create_task(
            Link(self.wire, connection, clock, self.intake, self.online.append).run()
        )

    async def end(self) -> LinkEnd:
        """Return how the link ended; it has to be over when time has settled."""
        await self.clock.settle()
        assert self.running.done()
        return self.running.result()


@asynccontextmanager
async def connected(answer: Answer = accept) -> AsyncIterator[Line]:
    line = Line(ManualClock(), answer)
    await line.clock.settle()
    yield line
    line.running.cancel()
    await asyncio.wait({line.running})
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert line.wire.closed


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with connected() as running:
        yield running


async def test_connect_goes_out_alone_and_at_once_and_the_connack_is_announced(line: Line) -> None:
    (asked,) = line.wire.seen
    assert isinstance(asked, Connect)
    assert (asked.uid, asked.token) == (UID, IM_TOKEN)
    assert asked.client_timestamp == line.clock.wall_ms()
    assert [event.server_version for event in line.online] == [5]


async def test_a_message_is_acknowledged_only_once_it_is_recorded_and_handed_on_after_that(
    line: Line,
) -> None:
    line.intake.open.clear()
    line.wire.push(7)
    await line.clock.advance(20)
    assert (line.wire.acks, line.intake.dispatched) == ([], [])
    line.intake.open.set()
    await line.clock.settle()
    assert (line.intake.recorded, line.wire.acks, line.intake.dispatched) == ([7], [7], [7])


async def test_an_acknowledgement_repeats_the_flags_of_its_message(line: Line) -> None:
    line.wire.push(7, flags=Flags.RED_DOT | Flags.SYNC_ONCE)
    await line.clock.settle()
    assert line.wire.seen[-1] == Recvack(message_id=7, message_seq=7, flags=Flags.RED_DOT | Flags.SYNC_ONCE)


async def test_a_message_the_intake_wants_again_is_not_acknowledged(line: Line) -> None:
    line.intake.keep = {8}
    for number in (7, 8, 9):
        line.wire.push(number)
    await line.clock.settle()
    assert line.wire.acks == [7, 9]
    assert line.intake.recorded == [7, 8, 9]


async def test_messages_that_come_before_the_connack_are_recorded_and_acknowledged_after_it() -> None:
    def early(wire: Wire) -> None:
        wire.push(7)
        accept(wire)

    async with connected(early) as line:
        assert len(line.online) == 1
        assert line.wire.acks == [7]


async def test_what_arrives_while_the_journal_is_busy_is_recorded_together_up_to_a_limit_a_round(
    line: Line,
) -> None:
    line.intake.open.clear()
    for number in range(1, BATCH + 11):
        line.wire.push(number)
    await line.clock.settle()
    line.intake.open.set()
    await line.clock.settle()
    assert line.intake.recorded == list(range(1, BATCH + 11))
    assert max(len(batch) for batch in line.intake.batches) <= BATCH
    assert len(line.intake.batches) <= 3


async def test_a_message_received_just_before_the_connection_breaks_is_recorded_all_the_same(
    line: Line,
) -> None:
    line.intake.open.clear()
    line.wire.push(7)
    line.wire.push(8)
    line.wire.drop()
    await line.clock.settle()
    line.intake.open.set()
    end = await line.end()
    assert (end.ending, end.detail) == (LinkEndKind.CLOSED, "the server closed the connection")
    assert (line.intake.recorded, line.intake.dispatched, line.wire.acks) == ([7, 8], [7, 8], [])


async def test_a_broken_connection_is_told_with_the_seconds_it_was_up(line: Line) -> None:
    await line.clock.advance(45)
    line.wire.drop()
    assert (await line.end()).online_s == 45


@pytest.mark.parametrize("answer", [drop, lose_after_connack])
async def test_a_drop_is_a_rejection_before_the_connack_and_an_ordinary_end_after_it(answer: Answer) -> None:
    async with connected(answer) as line:
        end = await line.end()
        assert (end.ending is LinkEndKind.REJECTED) == (answer is drop)
        assert (end.online_s, end.reason) == (0, 0)


async def test_a_refusal_is_told_with_its_reason_code() -> None:
    async with connected(reject(ReasonCode.BANNED)) as line:
        end = await line.end()
        assert (end.ending, end.reason) == (LinkEndKind.REJECTED, ReasonCode.BANNED)
        assert "refused" in end.detail


async def test_a_connack_that_never_comes_is_a_rejection_after_eight_seconds() -> None:
    async with connected(ignore) as line:
        await line.clock.advance(7.9)
        assert not line.running.done()
        await line.clock.advance(0.2)
        end = await line.end()
        assert (end.ending, end.detail) == (LinkEndKind.REJECTED, "nothing received for 8 s")


async def test_no_ping_leaves_before_the_connack() -> None:
    async with connected(lambda _: None) as line:
        await line.clock.advance(7)
        assert len(line.wire.seen) == 1
        accept(line.wire)
        line.wire.flush()
        await line.clock.advance(31)
        assert (len(line.online), line.wire.pings) == (1, 1)


async def test_pings_keep_an_idle_connection_alive_for_an_hour(line: Line) -> None:
    await line.clock.advance(3_600)
    assert not line.running.done()
    assert line.wire.pings == 120


async def test_seventy_seconds_without_a_pong_end_the_connection(line: Line) -> None:
    line.wire.mute = True
    await line.clock.advance(69)
    assert not line.running.done()
    await line.clock.advance(1)
    end = await line.end()
    assert (end.ending, end.detail, end.online_s) == (LinkEndKind.SILENT, "nothing received for 70 s", 70)


async def test_any_byte_counts_as_life_not_only_a_pong(line: Line) -> None:
    line.wire.mute = True
    await line.clock.advance(60)
    line.wire.push_bytes(b"\x50")  # begins a message whose rest never comes
    await line.clock.advance(69)
    assert not line.running.done()
    await line.clock.advance(1)
    assert (await line.end()).ending is LinkEndKind.SILENT


async def test_a_kick_closes_our_socket_at_once_although_the_server_leaves_it_open(line: Line) -> None:
    line.wire.kick("login in other device")
    end = await line.end()
    assert line.wire.closed
    assert (end.ending, end.reason) == (LinkEndKind.KICKED, ReasonCode.KICKED)
    assert "login in other device" in end.detail


async def test_a_kick_without_words_is_told_by_its_reason_code(line: Line) -> None:
    line.wire.kick("")
    assert "12" in (await line.end()).detail


async def test_bytes_that_are_no_packet_end_the_connection_with_what_was_wrong(line: Line) -> None:
    line.wire.push_bytes(b"\xf0\x00")
    end = await line.end()
    assert (end.ending, line.wire.closed) == (LinkEndKind.PROTOCOL_ERROR, True)
    assert "does not exist" in end.detail


async def test_a_store_that_cannot_write_ends_the_connection_and_acknowledges_nothing(line: Line) -> None:
    line.intake.error = StoreError("the disk is full", retryable=True)
    line.wire.push(7)
    end = await line.end()
    assert (end.ending, end.detail) == (LinkEndKind.STORE_ERROR, "the disk is full")
    assert (line.wire.acks, line.intake.dispatched, line.wire.closed) == ([], [], True)


@asynccontextmanager
async def flooded(messages: int) -> AsyncIterator[Line]:
    """Connect a link with a small backlog, whose store hangs, and push messages of 600 bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link_module, "BACKLOG_BYTES", 1_000)
        async with connected() as line:
            line.intake.open.clear()
            for number in range(1, messages + 1):
                line.wire.push(number, bytes(600))
            yield line


async def test_pings_go_on_while_a_slow_store_keeps_the_socket_unread() -> None:
    async with flooded(5) as line:
        await line.clock.advance(300)
        assert not line.running.done()
        assert line.wire.pings == 10
        line.intake.open.set()
        await line.clock.settle()
        assert line.wire.acks == [1, 2, 3, 4, 5]


async def test_a_full_backlog_leaves_the_rest_in_the_socket() -> None:
    async with flooded(50) as line:
        await line.clock.settle()
        assert line.wire.unread >= 45
        line.intake.open.set()
        await line.clock.settle()
        await line.clock.settle()
        assert line.intake.recorded == list(range(1, 51))


async def test_silence_after_a_slow_store_caught_up_is_counted_from_then() -> None:
    async with flooded(3) as line:
        await line.clock.advance(120)
        line.wire.mute = True
        line.intake.open.set()
        await line.clock.advance(150)
        assert (await line.end()).ending is LinkEndKind.SILENT


async def test_a_store_that_fails_with_a_full_backlog_ends_the_connection_too() -> None:
    async with flooded(5) as line:
        await line.clock.settle()
        line.intake.error = StoreError("the disk is full", retryable=True)
        line.intake.open.set()
        assert (await line.end()).ending is LinkEndKind.STORE_ERROR


async def test_a_connection_that_breaks_while_it_is_not_read_is_read_to_its_end() -> None:
    async with flooded(5) as line:
        await line.clock.settle()
        line.wire.drop()
        await line.clock.advance(100)  # a ping meets the broken connection first
        assert not line.running.done()
        line.intake.open.set()
        assert (await line.end()).ending is LinkEndKind.CLOSED
        assert line.intake.recorded == [1, 2, 3, 4, 5]


async def test_a_link_that_is_cancelled_while_the_store_hangs_ends_at_once(line: Line) -> None:
    line.intake.open.clear()
    line.wire.push(7)
    await line.clock.settle()
    line.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await line.running
    assert line.wire.acks == []


async def test_a_token_that_fits_no_packet_leaves_no_socket_open() -> None:
    line = Line(ManualClock(), accept, token="x" * 70_000)
    with pytest.raises(LocalProtocolError):
        await line.running
    assert line.wire.closed
