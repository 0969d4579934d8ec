"""The report that started the project, on traffic recorded from a real server."""

from collections.abc import Sequence
from pathlib import Path

from openclaw_channel_octo.capture.format import FromServer, SocketControl, read_capture
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import OctoDouble, RawMessage
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.events import InboundMessage, Received
from tests.runtime.rig import RESTART, Rig

CAPTURE = Path(__file__).parents[2] / "fixtures" / "wukongim" / "silent-group.wkcap"
REPORTED = {"status": "failed", "abortedLastRun": False, "runtimeMs": 394653}


class Recorded:
    """The people, the group and the messages of the capture, put into the double."""

    def __init__(self, octo: OctoDouble) -> None:
        self.capture = read_capture(CAPTURE)
        self.bot = self.capture.header.account.robot_id
        self.messages = list(self._decrypted())
        self.people = sorted({message.from_uid for message in self.messages if message.from_uid})
        groups = sorted({message.channel_id for message in self.messages if message.channel_type == 2})
        octo.add_bot(self.bot, "bf_recorded0000000", name="Helper", owner=self.people[0])
        for uid in self.people:
            octo.add_person(uid, uid[:6])
        self.group = octo.add_group(groups[0], [*self.people, self.bot])
        self.key = f"agent:main:octo:group:{self.group.id}"

    def _decrypted(self) -> Sequence[InboundMessage]:
        header = self.capture.header
        key_pair = KeyPair.from_private_bytes(header.client_private_keys[0])
        core = ClientConnection(
            Credentials(uid=header.client.uid, token="TOKEN", device_id=header.client.device_id), key_pair
        )
        core.connect(0, 0.0)
        found: list[InboundMessage] = []
        for record in self.capture.records:
            assert not isinstance(record, SocketControl) or record.event in {"open", "close"}
            if isinstance(record, FromServer):
                assert isinstance(record.data, bytes)
                found += [
                    event.message for event in core.receive(record.data, 0.0) if isinstance(event, Received)
                ]
        return found

    def addressed(self) -> list[InboundMessage]:
        labels = self.capture.header.labels
        return [
            message
            for message in self.messages
            if (label := labels.get(message.client_msg_no)) is not None and label.addressed
        ]

    def text(self, message: InboundMessage) -> str:
        return str(self.capture.header.labels[message.client_msg_no].text)

    async def play(self, octo: OctoDouble, messages: Sequence[InboundMessage] | None = None) -> None:
        for message in self.messages if messages is None else messages:
            raw = RawMessage(
                from_uid=message.from_uid,
                channel=ChannelRef(message.channel_id, message.channel_type),
                payload=message.payload,
                message_id=message.message_id,
                message_seq=message.message_seq,
                client_msg_no=message.client_msg_no,
                timestamp=message.timestamp,
                flags=message.flags,
                setting=message.setting,
            )
            await octo.inject(self.bot, raw, stored=message.message_seq > 0)


async def start(rig: Rig, recorded: Recorded, *, guarded: bool) -> None:
    entry = {"sessionKey": recorded.key, **REPORTED}
    rig.write_session(entry, recorded.key)
    config = rig.config(
        bots={"recorded": "bf_recorded0000000"}, host={"strict": True}, guard={"enabled": guarded}
    )
    await rig.start(config, online=recorded.bot)


async def test_without_the_guard_every_mention_gets_receipt_and_typing_and_then_nothing(rig: Rig) -> None:
    recorded = Recorded(rig.octo)
    await start(rig, recorded, guarded=False)
    mentions = [message for message in recorded.addressed() if message.channel_type == 2]
    await recorded.play(rig.octo, mentions)
    for message in mentions:
        detail = await rig.until_row(str(message.message_id), "dead")
        assert "session failed" in detail

    def read() -> list[str]:
        told = [call for call in rig.calls("readReceipt") if call.status == 200]
        return [message_id for call in told for message_id in call.body["message_ids"]]

    await rig.octo.wait_for(lambda: read() == [str(message.message_id) for message in mentions])
    assert rig.calls("typing")
    assert rig.calls("sendMessage") == []
    assert {name: rig.session(recorded.key)[name] for name in REPORTED} == REPORTED


async def test_with_the_guard_the_whole_recording_is_answered_after_one_announcement(rig: Rig) -> None:
    recorded = Recorded(rig.octo)
    await start(rig, recorded, guarded=True)
    await recorded.play(rig.octo)
    in_group = [recorded.text(message) for message in recorded.addressed() if message.channel_type == 2]
    (direct,) = [message for message in recorded.addressed() if message.channel_type == 1]

    assert await rig.until_said(5, recorded.group, recorded.bot) == [RESTART, *in_group]
    peer = ChannelRef(direct.from_uid, 1)
    assert await rig.until_said(1, peer, recorded.bot) == [recorded.text(direct)]

    order = [
        (call.name, call.body.get("payload", {}).get("content"))
        for call in rig.calls("readReceipt", "typing", "sendMessage")
        if call.body["channel_id"] == recorded.group.id
    ]
    assert {name for name, _ in order[:2]} == {"readReceipt", "typing"}
    assert next(text for name, text in order if name == "sendMessage") == RESTART

    for message in recorded.addressed():
        await rig.until_row(str(message.message_id), "answered")
    session = rig.session(recorded.key)
    assert session["status"] == "done"
    assert session["sessionId"]


async def test_recovery_keeps_session_id_transcript_and_unknown_fields(rig: Rig) -> None:
    recorded = Recorded(rig.octo)
    await start(rig, recorded, guarded=True)
    mentions = [message for message in recorded.addressed() if message.channel_type == 2]
    await recorded.play(rig.octo, mentions[:1])
    await rig.until_row(str(mentions[0].message_id), "answered")
    first = rig.session(recorded.key)
    transcript = rig.sessions_file.parent / f"{first['sessionId']}.jsonl"
    remembered = transcript.read_text()
    await rig.stop()

    rig.write_session({**first, **REPORTED, "thinkingLevel": "high", "x": {"y": [1]}}, recorded.key)
    await rig.start(
        rig.config(bots={"recorded": "bf_recorded0000000"}, host={"strict": True}), online=recorded.bot
    )
    await recorded.play(rig.octo, mentions[1:2])
    await rig.until_row(str(mentions[1].message_id), "answered")

    again = rig.session(recorded.key)
    assert (again["status"], again["sessionId"]) == ("done", first["sessionId"])
    assert (again["thinkingLevel"], again["x"]) == ("high", {"y": [1]})
    assert again["lastRunId"] != first["lastRunId"]
    assert transcript.read_text().startswith(remembered)
