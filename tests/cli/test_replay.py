"""What `replay` prints and how it ends: for programs line by line, for people in words."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import pytest
from msgspec.structs import replace

from openclaw_channel_octo.capture.format import FromServer, Record, SocketControl, ToServer, pack
from openclaw_channel_octo.capture.header import AccountInfo, CaptureHeader, ClientInfo, Label
from openclaw_channel_octo.testing.octo.wire_server import Damage, ServerConnection
from openclaw_channel_octo.wire.client import ClientConnection, Credentials
from openclaw_channel_octo.wire.crypto import KeyPair
from tests.cli.asking import call
from tests.wire.vectors import RECV

FOLDER = Path(__file__).parents[2] / "fixtures" / "wukongim"
SILENT_GROUP, KICKED = FOLDER / "silent-group.wkcap", FOLDER / "kicked-by-register.wkcap"
MESSAGE_TYPES: dict[str, type | tuple[type, ...]] = {
    "event": str,
    "message_id": str,
    "message_seq": int,
    "client_msg_no": str,
    "from_uid": str,
    "channel_id": str,
    "channel_type": int,
    "type": (int, type(None)),
    "text": str,
    "decision": str,
    "reason": str,
    "session_key": (str, type(None)),
}
DECISIONS = {"turn", "command", "context", "control", "echo", "ignored", "duplicate", "undecodable"}
BOT = "27ab_bot"
KEY = bytes(range(32))
replayed = partial(call, "replay")


def events(*files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in replayed("--json", *files).stdout.splitlines()]


def flipped(folder: Path, source: Path = SILENT_GROUP) -> tuple[Path, str]:
    """Return a copy of a capture in which the label of the first addressed message is the opposite, and its number."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(source.read_bytes())
    header, *records = unpacker
    number = next(number for number, label in header["labels"].items() if label["addressed"])
    header["labels"][number]["addressed"] = False
    header["labels"][number]["why"] = "a flipped label"
    file = folder / "flipped.wkcap"
    file.write_bytes(b"".join(msgpack.packb(item) for item in (header, *records)))
    return file, number


class Recorder:
    """Makes a capture of one connection, with these messages of Ann's, out of both sides of the protocol."""

    def __init__(self, *payloads: bytes) -> None:
        self.records: list[Record] = [SocketControl(at_us=0, event="open", details={})]
        self.labels: dict[str, Label] = {}
        self.server = ServerConnection(key_pair=KeyPair.from_private_bytes(KEY[::-1]), salt="s" * 16)
        credentials = Credentials(uid=BOT, token="TOKEN", device_id="d")
        client = ClientConnection(credentials, KeyPair.from_private_bytes(KEY))
        client.connect(0, 0.0)
        connect = client.outgoing()
        self.records.append(ToServer(at_us=0, data=connect))
        self.server.receive(connect)
        self.server.accept(0)
        self._sent()
        for payload in payloads:
            self.deliver(payload)

    def deliver(
        self, payload: bytes, *, channel: tuple[str, int] = ("ann", 1), damage: Damage | None = None
    ) -> None:
        number = len(self.records)
        identity = {"message_id": number, "message_seq": number, "client_msg_no": f"no-{number}"}
        recv = replace(RECV, **identity, channel_id=channel[0], channel_type=channel[1], payload=payload)
        self.server.deliver(recv, damage)
        self._sent()

    def raw(self, data: bytes) -> None:
        self.records.append(FromServer(at_us=0, data=data))

    def write(self, folder: Path, **header: Any) -> Path:
        file = folder / "made.wkcap"
        keys = header.pop("client_private_keys", (KEY,))
        about = CaptureHeader(
            scenario="made",
            client=ClientInfo(uid=BOT),
            account=AccountInfo(robot_id=BOT, name="Helper"),
            client_private_keys=keys,
            labels=self.labels,
            **header,
        )
        end = SocketControl(at_us=9, event="close", details={"code": 1006})
        file.write_bytes(b"".join(map(pack, (about, *self.records, end))))
        return file

    def _sent(self) -> None:
        self.records += [FromServer(at_us=0, data=packet) for packet in self.server.outgoing()]


def test_lines_for_programs_have_exactly_the_promised_fields() -> None:
    for event in events(SILENT_GROUP, KICKED):
        match event["event"]:
            case "connected":
                assert set(event) == {"event", "connection", "proto_version"}
            case "message":
                assert list(event) == list(MESSAGE_TYPES)
                assert all(isinstance(event[name], kind) for name, kind in MESSAGE_TYPES.items()), event
                assert event["decision"] in DECISIONS
            case "kicked":
                assert event == {
                    "event": "kicked",
                    "connection": 1,
                    "reason": 12,
                    "text": "账号在其他设备上登录",
                }
            case "closed":
                assert set(event) == {"event", "connection", "outcome"}
                assert event["outcome"] in {"closed", "rejected", "kicked", "protocol-error"}
            case other:
                assert other == "summary"


def test_the_first_line_is_the_connection_and_the_last_the_summary() -> None:
    first, *_, last = events(SILENT_GROUP)
    assert first == {"event": "connected", "connection": 1, "proto_version": 5}
    assert last == {
        "event": "summary",
        "scenario": "silent-group",
        "connections": 1,
        "messages": 10,
        "decisions": {**dict.fromkeys(DECISIONS, 0), "turn": 5, "context": 2, "control": 3},
        "acks": {"sent": 10, "recorded": 10, "compared_connections": 1, "equal": True, "mismatches": []},
        "disagreements": [],
    }


def test_captures_that_agree_end_with_0() -> None:
    assert replayed("--json", SILENT_GROUP, KICKED).stderr == ""


def test_several_captures_are_replayed_one_after_the_other_each_with_its_own_summary() -> None:
    scenarios = [event["scenario"] for event in events(SILENT_GROUP, KICKED) if event["event"] == "summary"]
    assert scenarios == ["silent-group", "kicked-by-register"]


def test_a_decision_against_a_label_is_listed_and_ends_with_1(tmp_path: Path) -> None:
    file, number = flipped(tmp_path)
    result = replayed("--json", file, code=1)
    (disagreement,) = json.loads(result.stdout.splitlines()[-1])["disagreements"]
    assert disagreement.pop("message_id").isdigit()
    assert disagreement == {
        "client_msg_no": number,
        "label": False,
        "why": "a flipped label",
        "decision": "turn",
        "reason": "uid",
    }


def test_people_read_the_disagreement_in_words(tmp_path: Path) -> None:
    result = replayed(flipped(tmp_path)[0], code=1)
    last = result.stdout.splitlines()[-1]
    assert last.startswith("  DISAGREES ")
    assert last.endswith("decided turn (uid), the sender meant addressed=False (a flipped label)")


def test_a_disagreement_in_any_of_several_captures_counts(tmp_path: Path) -> None:
    flipped_one = flipped(tmp_path)[0]
    told = replayed(flipped_one, KICKED, code=1).stdout
    assert told.count("DISAGREES") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends before its header is complete"),
        (b"# not a capture", "its header does not say wkcap"),
        (b"\xc1\xc1", "does not begin with a msgpack header"),
        (msgpack.packb({"format": "wkcap", "version": 9}), "a capture of version 9"),
        (msgpack.packb({"format": "wkcap", "version": 1}), "does not say which bot it is of"),
        (
            msgpack.packb({"format": "wkcap", "version": 1, "protocol": "openclaw-gateway"}),
            "only wukongim-binary can be replayed",
        ),
        (SILENT_GROUP.read_bytes() + b"\xc1", "is damaged after record"),
    ],
    ids=["empty", "text", "no msgpack", "version 9", "no account", "other protocol", "damaged"],
)
def test_a_broken_file_gives_one_clear_line_and_2(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.wkcap"
    file.write_bytes(content)
    result = replayed("--json", file, code=2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{file}: ")
    assert words in line


def test_a_broken_file_does_not_keep_the_others_from_being_replayed(tmp_path: Path) -> None:
    result = replayed("--json", tmp_path / "none.wkcap", flipped(tmp_path)[0], code=2)
    assert "No such file" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["event"] == "summary"


def test_a_torn_file_is_replayed_up_to_where_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "torn.wkcap"
    file.write_bytes(SILENT_GROUP.read_bytes()[:-200])
    result = replayed("--json", file)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[:-1] == events(SILENT_GROUP)[: len(lines) - 1]
    assert lines[-1]["event"] == "summary"
    assert 0 < lines[-1]["messages"] < 10
    assert "ends in the middle of a record" in result.stderr


def test_a_capture_without_a_key_for_a_connection_is_broken(tmp_path: Path) -> None:
    result = replayed(Recorder().write(tmp_path, client_private_keys=()), code=2)
    assert "no private key for connection 1" in result.stderr


def test_a_message_whose_key_is_wrong_is_undecodable_and_not_acknowledged(tmp_path: Path) -> None:
    recorder = Recorder(b'{"type":1,"content":"whole"}')
    recorder.deliver(b'{"type":1,"content":"damaged"}', damage=Damage.MSG_KEY)
    found = events(recorder.write(tmp_path))
    first, second = (event for event in found if event["event"] == "message")
    assert (first["decision"], first["session_key"]) == ("turn", "agent:main:octo:direct:ann")
    assert (second["decision"], second["type"], second["text"]) == ("undecodable", None, "")
    assert second["session_key"] is None
    assert found[-1]["acks"]["sent"] == 1


def test_a_channel_type_bots_do_not_converse_in_is_ignored(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.deliver(b'{"type":1,"content":"hi"}', channel=("room", 3))
    (message,) = (event for event in events(recorder.write(tmp_path)) if event["event"] == "message")
    assert (message["decision"], message["session_key"]) == ("ignored", None)


def test_bytes_that_are_not_the_protocol_end_the_connection_and_nothing_else(tmp_path: Path) -> None:
    recorder = Recorder(b'{"type":1,"content":"before"}')
    recorder.raw(bytes((0x50, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)))
    recorder.deliver(b'{"type":1,"content":"after"}')
    result = replayed("--json", recorder.write(tmp_path))
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["connected", "message", "closed", "summary"]
    assert lines[2] == {"event": "closed", "connection": 1, "outcome": "protocol-error"}


@pytest.mark.parametrize("options", [["--json"], []], ids=["json", "words"])
def test_text_no_terminal_can_show_harms_none(options: list[str], tmp_path: Path) -> None:
    recorder = Recorder(b'{"type":1,"content":"half \\ud83d pair \\u001b[2J"}')
    result = replayed(*options, recorder.write(tmp_path))
    assert "half" in result.stdout
    assert "\x1b" not in result.stdout


def test_an_undecided_label_and_a_label_without_a_message_are_no_disagreements(tmp_path: Path) -> None:
    recorder = Recorder(b'{"type":1,"content":"hi"}')
    recorder.labels = {"no-3": Label(addressed=None), "no-never-sent": Label(addressed=True)}
    assert "DISAGREES" not in replayed(recorder.write(tmp_path)).stdout


def test_acknowledgements_that_differ_from_the_recorded_ones_are_told(tmp_path: Path) -> None:
    recorder = Recorder(b'{"type":1,"content":"one"}')
    recorder.records.append(ToServer(at_us=0, data=bytes((0x60, 12)) + (77).to_bytes(8) + (7).to_bytes(4)))
    file = recorder.write(tmp_path)
    acks = events(file)[-1]["acks"]
    assert acks["equal"] is False
    assert acks["mismatches"][0]["recorded"] == [77, 7, 0]
    assert "1 acks, 1 differ" in replayed(file).stdout


def test_people_get_a_line_for_each_message_and_a_summary() -> None:
    lines = replayed(KICKED).stdout.splitlines()
    assert lines[0].startswith("kicked-by-register.wkcap: ")
    assert lines[1:4] == [
        "  connection 1 up, protocol version 5",
        "  connection 1 kicked, reason 12: 账号在其他设备上登录",
        "  connection 1 ended: kicked",
    ]
    assert lines[-1] == "  1 messages: 1 turn; 1 acks, equal to the recorded ones"


def test_help_tells_of_exit_codes_and_lines() -> None:
    text = " ".join(replayed("--help").stdout.split())
    assert "Exit codes: 0 all decisions agree, 1 some do not, 2 a file is broken" in text
    assert "summary comes last" in text


def test_without_a_file_it_says_what_is_missing() -> None:
    result = replayed(code=2)
    assert "Missing argument 'FILE.wkcap...'" in result.stderr
