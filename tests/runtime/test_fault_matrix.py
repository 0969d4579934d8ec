"""The wire fault matrix: whatever happens below, each mention is answered once and in order, or the bot says why."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.capture.format import Capture, FromServer, SocketControl, read_capture
from openclaw_channel_octo.errors import TransportError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.supervisor import LinkState
from openclaw_channel_octo.testing import Damage, RawMessage, ScriptedHost, Split
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import InboundMessage, Received
from openclaw_channel_octo.wire.packets import PacketType
from tests.runtime.rig import HELPER, FastClock, Rig
from tests.runtime.wire_bench import Bench, SkippingClock

HALF_OPEN = Path(__file__).parents[2] / "fixtures" / "wukongim" / "half-open.wkcap"
RECV_HEADER = bytes((PacketType.RECV << 4,))
WIRE_MESSAGE_LIMIT = 8 * 1024 * 1024


@pytest.fixture
async def bench(fast_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock = SkippingClock()
    fast_rig.clock = clock
    made = Bench(fast_rig, clock)
    monkeypatch.setattr("tests.runtime.rig.OctoChannel", partial(OctoChannel, open_transport=made.open))
    return made


Fault = Callable[[Bench], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def in_pieces(bench: Bench) -> AsyncIterator[None]:
    bench.piecewise = True
    bench.octo.drop_connections(HELPER)
    await bench.octo.wait_for(lambda: not bench.octo.online(HELPER))
    await bench.until_again_online()
    yield
    await bench.until_acked(2)
    bench.piecewise = False


@asynccontextmanager
async def byte_by_byte(bench: Bench) -> AsyncIterator[None]:
    bench.octo.split = Split.BYTEWISE
    yield
    await bench.until_acked(2)
    bench.octo.split = Split.WHOLE


@asynccontextmanager
async def coalesced(bench: Bench) -> AsyncIterator[None]:
    bench.octo.split = Split.COALESCED
    bench.octo.freeze()
    yield
    bench.octo.thaw()
    await bench.until_acked(2)
    bench.octo.split = Split.WHOLE


@asynccontextmanager
async def duplicated(bench: Bench) -> AsyncIterator[None]:
    for line in bench.asked():
        await bench.push(line)
    yield
    for line in bench.asked() * 2:
        await bench.push(line)


@asynccontextmanager
async def sent_again_unacknowledged(bench: Bench) -> AsyncIterator[None]:
    bench.octo.freeze()
    yield
    bench.octo.resend_unacked(HELPER)
    bench.octo.thaw()


@asynccontextmanager
async def reordered(bench: Bench) -> AsyncIterator[None]:
    bench.octo.lose_next(HELPER, times=2)
    yield
    for line in reversed(bench.asked()[-2:]):
        await bench.push(line)


@asynccontextmanager
async def dropped(bench: Bench) -> AsyncIterator[None]:
    await bench.rig.until_said(2)
    bench.octo.lose_next(HELPER, times=2)
    yield


@asynccontextmanager
async def before_the_connack(bench: Bench) -> AsyncIterator[None]:
    bench.octo.lose_next(HELPER, times=2)
    yield
    for line in bench.asked()[-2:]:
        await bench.push(line, early=True)
    bench.octo.drop_connections(HELPER)
    await bench.octo.wait_for(lambda: not bench.octo.online(HELPER))


@asynccontextmanager
async def connection_broken(bench: Bench) -> AsyncIterator[None]:
    bench.octo.drop_connections(HELPER)
    yield


@asynccontextmanager
async def half_open(bench: Bench) -> AsyncIterator[None]:
    bench.octo.freeze()
    yield
    bench.clock.skip(71)
    await bench.until(LinkState.CONNECTING, "nothing received for")
    bench.octo.thaw()


@asynccontextmanager
async def stalled_for_less_than_the_silence_limit(bench: Bench) -> AsyncIterator[None]:
    bench.octo.freeze()
    since = bench.status.since_ms
    yield
    bench.clock.skip(40)
    bench.octo.thaw()
    await bench.until_acked(2)
    assert (bench.status.state, bench.status.since_ms) == (LinkState.ONLINE, since)


@asynccontextmanager
async def zombie_after_a_kick(bench: Bench) -> AsyncIterator[None]:
    bench.octo.kick(HELPER)
    yield
    await bench.until(LinkState.KICKED, "another process uses this bot")
    await bench.octo.wait_for(lambda: not bench.octo._engine._sessions)  # we closed it, the server never does
    await bench.clock.skip_sleep(45, 75)


@asynccontextmanager
async def kicked_without_a_word(bench: Bench) -> AsyncIterator[None]:
    bench.octo.kick(HELPER, text=None)
    yield
    bench.clock.skip(71)
    await bench.until(LinkState.CONNECTING, "nothing received for")


@asynccontextmanager
async def kick_storm(bench: Bench) -> AsyncIterator[None]:
    bench.octo.kick(HELPER)
    yield
    for wait_s in (60, 120, 240):
        await bench.until(LinkState.KICKED)
        await bench.clock.skip_sleep(0.75 * wait_s, 1.25 * wait_s)
        await bench.until_again_online()
        bench.octo.kick(HELPER)
    await bench.until(LinkState.KICKED)
    assert (bench.opened, len(bench.rig.calls("register"))) == (4, 1)
    await bench.clock.skip_sleep(0.75 * 480, 1.25 * 480)


@asynccontextmanager
async def token_forgotten(bench: Bench) -> AsyncIterator[None]:
    bench.octo.forget_tokens()
    bench.octo.drop_connections(HELPER)
    yield
    await bench.octo.wait_for(lambda: len(bench.rig.calls("register")) == 2)


@asynccontextmanager
async def token_forgotten_twice_in_a_row(bench: Bench) -> AsyncIterator[None]:
    bench.octo.forget_tokens()
    bench.octo.drop_connections(HELPER)
    yield
    await bench.octo.wait_for(lambda: len(bench.rig.calls("register")) == 2)
    tried = bench.opened
    bench.octo.forget_tokens()
    bench.octo.drop_connections(HELPER)
    await bench.octo.wait_for(lambda: bench.opened > tried and not bench.octo._engine._sessions)
    await bench.until(LinkState.SUSPECT, "the server dropped our token")
    assert len(bench.rig.calls("register")) == 2
    await bench.clock.skip_sleep(45, 75)
    await bench.octo.wait_for(lambda: len(bench.rig.calls("register")) == 3)


@asynccontextmanager
async def server_restarted(bench: Bench) -> AsyncIterator[None]:
    bench.octo.stop_sockets()
    yield
    await bench.until(LinkState.CONNECTING, "cannot open a WebSocket")
    bench.octo.start_sockets()


def garbage(data: bytes, why: str) -> Fault:
    """Return the fault of a server that sends ``data``."""

    @asynccontextmanager
    async def sent(bench: Bench) -> AsyncIterator[None]:
        bench.push_bytes(data)
        await bench.until(LinkState.CONNECTING, why)
        yield

    return sent


def damaged(damage: Damage) -> Fault:
    """Return the fault of messages that nobody can decrypt as they were pushed."""

    @asynccontextmanager
    async def pushed(bench: Bench) -> AsyncIterator[None]:
        bench.octo.lose_next(HELPER, times=2)
        yield
        for line in bench.asked()[-2:]:
            await bench.push(line, damage=damage)

    return pushed


@asynccontextmanager
async def cut_in_the_middle_of_a_packet(bench: Bench) -> AsyncIterator[None]:
    bench.push_bytes(RECV_HEADER + b"\x64\x00half of a message")
    yield
    bench.octo.drop_connections(HELPER)
    await bench.octo.wait_for(lambda: not bench.octo.online(HELPER))


FAULTS: dict[str, Fault] = {
    "split": in_pieces,
    "byte-wise": byte_by_byte,
    "coalesced": coalesced,
    "duplicated": duplicated,
    "resent": sent_again_unacknowledged,
    "reordered": reordered,
    "dropped": dropped,
    "RECV before CONNACK": before_the_connack,
    "broken connection": connection_broken,
    "stalled": stalled_for_less_than_the_silence_limit,
    "half-open": half_open,
    "zombie after kick": zombie_after_a_kick,
    "kicked without a word": kicked_without_a_word,
    "kick storm": kick_storm,
    "bad token": token_forgotten,
    "bad token twice": token_forgotten_twice_in_a_row,
    "server restart": server_restarted,
    "oversized packet": garbage(RECV_HEADER + b"\xff\xff\xff\x7f", "above the limit"),
    "endless length": garbage(RECV_HEADER + b"\xff\xff\xff\xff\xff", "packet length"),
    "oversized WebSocket message": garbage(bytes(WIRE_MESSAGE_LIMIT + 1), "closed the connection"),
    "undersized packet": garbage(RECV_HEADER + b"\x03abc", "than its packet"),
    "unknown packet": garbage(b"\xf0\x00", "does not exist"),
    "half a packet": cut_in_the_middle_of_a_packet,
    "wrong msgKey": damaged(Damage.MSG_KEY),
    "truncated ciphertext": damaged(Damage.CIPHERTEXT),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_mentions_before_during_and_after_a_fault_are_each_answered_once_and_in_order(
    bench: Bench, fault: Fault
) -> None:
    rig = bench.rig
    await rig.start(rig.config(), ScriptedHost())
    await bench.until(LinkState.ONLINE)
    sent = [await rig.mention("before 1")]
    await rig.until_row(sent[0], "answered")
    sent.append(await rig.mention("before 2"))
    async with fault(bench):
        sent += [await rig.mention("during 1"), await rig.mention("during 2")]
    await bench.until_again_online()
    sent += [await rig.mention("after 1"), await rig.mention("after 2")]
    await rig.until_answered(*sent)
    texts = ["before 1", "before 2", "during 1", "during 2", "after 1", "after 2"]
    assert rig.said() == [f"echo: @Helper {text}" for text in texts]
    assert bench.status.state is LinkState.ONLINE


async def test_a_message_that_is_undecodable_three_times_is_acknowledged_and_shown_to_the_operator(
    bench: Bench,
) -> None:
    rig = bench.rig
    await rig.start(rig.config(), ScriptedHost())
    await rig.mentioned("before")
    poison = replace(rig.raw_mention("unreadable", 3), message_id=7, damage=Damage.MSG_KEY)
    for copies in range(3):
        assert "7" not in {ack.message_id for ack in rig.octo.acks}, copies
        await rig.octo.inject(HELPER, poison)
    await rig.octo.wait_for(lambda: "7" in {ack.message_id for ack in rig.octo.acks})
    assert "message key" in bench.dead_letter("7")
    await rig.mentioned("after")
    assert rig.said() == ["echo: @Helper before", "echo: @Helper after"]


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("met", [True, False])
async def test_an_undecodable_message_that_the_history_holds_readable_is_answered(
    bench: Bench, copies: int, met: bool
) -> None:
    rig = bench.rig
    await rig.start(rig.config(), ScriptedHost())
    if met:
        await rig.mentioned("before")
    rig.octo.lose_next(HELPER)
    damaged = await rig.mention("damaged on its way")
    for _ in range(copies):
        await bench.push(bench.asked()[-1], damage=Damage.MSG_KEY)
    await rig.until_row(damaged, "answered")
    assert rig.said()[-1:] == ["echo: @Helper damaged on its way"]


class RecordedTransport:
    """What a server sent over a recorded connection, at the pace it sent it; after that it is silent.

    Args:
        capture: the recording.
        clock: paces it.
        until_s: seconds of the recording after which nothing more comes.
    """

    def __init__(self, capture: Capture, clock: FastClock, until_s: float) -> None:
        (begun, *_) = [record.at_us for record in capture.records if isinstance(record, SocketControl)]
        sent = [record for record in capture.records if isinstance(record, FromServer)]
        timed = [((record.at_us - begun) / 1_000_000, record.data) for record in sent]
        self._packets = [packet for packet in timed if packet[0] < until_s]
        self._clock = clock
        self._opened_at = clock.now()
        self._closed = asyncio.Event()

    async def send(self, data: bytes) -> None:
        assert data

    async def receive(self) -> bytes:
        if not self._packets:
            await self._closed.wait()
            raise TransportError("the connection is closed")
        at_s, data = self._packets.pop(0)
        await self._clock.sleep(self._opened_at + at_s - self._clock.now())
        assert isinstance(data, bytes)
        return data

    async def close(self) -> None:
        self._closed.set()


def recorded_messages(capture: Capture, keys: KeyPair) -> Sequence[InboundMessage]:
    uid, device = capture.header.client.uid, capture.header.client.device_id
    core = ClientConnection(Credentials(uid=uid, token="TOKEN", device_id=device), keys)
    core.connect(0, 0.0)
    packets = [record.data for record in capture.records if isinstance(record, FromServer)]
    events = [event for data in packets if isinstance(data, bytes) for event in core.receive(data, 0.0)]
    return [event.message for event in events if isinstance(event, Received)]


@pytest.mark.parametrize("thaws", [True, False], ids=["thaws after 25 s", "never thaws"])
async def test_what_people_wrote_into_a_recorded_frozen_server_is_answered_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, thaws: bool
) -> None:
    rig, octo = bench.rig, bench.octo
    capture = read_capture(HALF_OPEN, for_replay=True)
    keys = KeyPair.from_private_bytes(capture.header.client_private_keys[0])
    messages = recorded_messages(capture, keys)
    uid, person = capture.header.account.robot_id, messages[0].from_uid
    octo.add_person(person, "Cleo")
    octo.add_bot(uid, "bf_recorded0000000", name="Helper", owner=person)
    group = octo.add_group(messages[0].channel_id, [person, uid])
    before, *frozen = messages
    await octo.inject(uid, stored_copy(before, group), stored=True)
    bench.recorded = RecordedTransport(capture, bench.clock, 60 if thaws else 20)

    with monkeypatch.context() as patch:
        patch.setattr(KeyPair, "from_private_bytes", lambda _: keys)
        config = rig.config(bots={"helper": "bf_recorded0000000"})
        online = asyncio.create_task(rig.start(config, ScriptedHost(), online=uid))
        await rig.until_said(1, group, uid)
    for message in frozen:
        await octo.inject(uid, stored_copy(message, group), stored=True)
    bench.clock.skip(26)
    if thaws:
        await rig.until_said(2, group, uid)
        assert (bench.status.state, bench.opened) == (LinkState.ONLINE, 1)
    bench.clock.skip(71)
    await online
    assert bench.opened == 2
    await octo.say(person, group, "after", mention=[uid])
    texts = ["before", "frozen", "after"]
    assert await rig.until_said(3, group, uid) == [f"echo: @Helper {text}" for text in texts]


def stored_copy(message: InboundMessage, group: ChannelRef) -> RawMessage:
    return RawMessage(
        from_uid=message.from_uid,
        channel=group,
        payload=message.payload,
        message_id=message.message_id,
        message_seq=message.message_seq,
        timestamp=message.timestamp,
    )
