"""Recorded traffic of a real server through the whole receive path: what each message is, and what is acknowledged."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.capture.format import Capture, FromServer, read_capture
from openclaw_channel_octo.capture.replay import ReplayEvent, replay
from openclaw_channel_octo.ids import ChannelRef, ChannelType, peer_of_compound
from openclaw_channel_octo.session.key import session_key

FOLDER = Path(__file__).parents[2] / "fixtures" / "wukongim"
NAMES = sorted(path.stem for path in FOLDER.glob("*.wkcap"))
RECV = 5
NEVER_ACKED = {"unacked-resend"}
DECISIONS = ("turn", "command", "context", "control", "echo", "ignored", "duplicate", "undecodable")


@cache
def capture(name: str) -> Capture:
    return read_capture(FOLDER / f"{name}.wkcap", for_replay=True)


@cache
def report(name: str) -> tuple[ReplayEvent, ...]:
    async def collect() -> tuple[ReplayEvent, ...]:
        return tuple([event async for event in replay(capture(name))])

    return asyncio.run(collect())


def events(name: str, *kinds: str) -> list[ReplayEvent]:
    return [event for event in report(name) if event["event"] in kinds]


def messages(name: str) -> list[ReplayEvent]:
    return events(name, "message")


def summary(name: str) -> dict[str, Any]:
    return report(name)[-1]


def texts(found: Iterable[ReplayEvent]) -> list[str]:
    return [event["text"] for event in found]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_decision_agrees_with_what_the_sender_meant(name: str) -> None:
    labels = capture(name).header.labels
    judged = [event for event in messages(name) if event["decision"] != "duplicate"]
    for event in judged:
        label = labels.get(event["client_msg_no"])
        if label is not None and label.addressed is not None:
            assert (event["decision"] in {"turn", "command"}) is label.addressed, (event["text"], label.why)
    assert summary(name)["disagreements"] == []


def test_every_message_is_verified_and_every_recv_reported(name: str) -> None:
    received = sum(
        isinstance(record, FromServer) and isinstance(record.data, bytes) and record.data[0] >> 4 == RECV
        for record in capture(name).records
    )
    assert len(messages(name)) == received
    assert "undecodable" not in {event["decision"] for event in messages(name)}


def test_the_same_messages_are_acknowledged_in_the_same_order(name: str) -> None:
    acks = summary(name)["acks"]
    assert acks["mismatches"] == []
    assert acks["equal"] is True
    if name in NEVER_ACKED:
        assert (acks["recorded"], acks["compared_connections"]) == (0, 0)
    else:
        assert acks["sent"] == acks["recorded"] == len(messages(name))


def test_texts_come_out_as_they_were_written(name: str) -> None:
    labels = capture(name).header.labels
    for event in messages(name):
        label = labels.get(event["client_msg_no"])
        if event["type"] == 1 and label is not None and isinstance(label.text, str):
            assert event["text"] == label.text


def test_turns_and_only_turns_have_the_session_key_of_their_conversation(name: str) -> None:
    uid = capture(name).header.account.robot_id
    for event in messages(name):
        if event["decision"] != "turn":
            assert event["session_key"] is None
            continue
        channel_id, kind = event["channel_id"], event["channel_type"]
        if kind == ChannelType.PERSON:
            channel_id = peer_of_compound(channel_id, uid)
        assert event["session_key"] == session_key("main", ChannelRef(channel_id, kind))


def test_the_summary_counts_what_was_reported(name: str) -> None:
    assert [event["event"] for event in report(name)].index("summary") == len(report(name)) - 1
    counted = Counter(event["decision"] for event in messages(name))
    assert summary(name)["decisions"] == {kind: counted[kind] for kind in DECISIONS}
    assert summary(name)["messages"] == counted.total()
    assert summary(name)["scenario"] == name


def test_connections_are_counted_from_one_and_each_has_an_end(name: str) -> None:
    ends = [event["connection"] for event in events(name, "closed")]
    assert ends == list(range(1, summary(name)["connections"] + 1))
    ups = [event["connection"] for event in events(name, "connected")]
    assert ups == ([] if name == "bad-token" else ends)


def test_the_announced_version_is_spoken(name: str) -> None:
    versions = {event["proto_version"] for event in events(name, "connected")}
    assert versions <= {4 if name == "connect-v4" else 5}


def test_a_bad_token_ends_as_a_rejection_without_a_word() -> None:
    assert report("bad-token")[:-1] == ({"event": "closed", "connection": 1, "outcome": "rejected"},)


def test_a_client_that_only_pings_is_connected_and_closed() -> None:
    assert [event["event"] for event in report("connect-and-ping")] == ["connected", "closed", "summary"]


def test_a_kick_by_another_device_tells_its_reason() -> None:
    assert events("kicked-by-other-device", "kicked", "closed") == [
        {"event": "kicked", "connection": 1, "reason": 12, "text": "login in other device"},
        {"event": "closed", "connection": 1, "outcome": "kicked"},
    ]


def test_after_a_kick_by_a_registration_the_second_connection_receives() -> None:
    found = [
        (event["event"], event.get("connection"), event.get("outcome"))
        for event in report("kicked-by-register")[:-1]
    ]
    assert found == [
        ("connected", 1, None),
        ("kicked", 1, None),
        ("closed", 1, "kicked"),
        ("connected", 2, None),
        ("message", None, None),
        ("closed", 2, "closed"),
    ]
    (kick,) = events("kicked-by-register", "kicked")
    assert (kick["reason"], kick["text"]) == (12, "账号在其他设备上登录")


def test_messages_sent_while_the_bot_was_away_are_not_there_and_are_no_disagreement() -> None:
    assert texts(messages("reconnect-with-gap")) == ["@Helper one", "two", "@Helper three", "@Helper nine"]
    assert [event["message_seq"] for event in messages("reconnect-with-gap")] == [1, 2, 3, 9]
    assert len(capture("reconnect-with-gap").header.labels) > len(messages("reconnect-with-gap"))


def test_a_burst_is_reported_in_its_order_of_arrival() -> None:
    channels: dict[str, list[int]] = {}
    for event in messages("burst-out-of-order"):
        channels.setdefault(event["channel_id"], []).append(event["message_seq"])
    assert [len(seqs) for seqs in channels.values()] == [50] * 8
    assert all(sorted(seqs) == list(range(1, 51)) for seqs in channels.values())
    assert sum(seqs != sorted(seqs) for seqs in channels.values()) == 2
    assert summary("burst-out-of-order")["decisions"]["turn"] == 40


def test_copies_of_messages_nobody_acknowledged_are_duplicates_and_acknowledged_again() -> None:
    found = messages("unacked-resend")
    assert [event["decision"] for event in found] == ["turn"] * 3 + ["control"] + ["duplicate"] * 12
    firsts = [event["message_id"] for event in found[:3]]
    assert [event["message_id"] for event in found[4:]] == firsts * 4
    assert summary("unacked-resend")["acks"]["sent"] == 16


def test_what_an_app_sends_again_is_a_copy_and_the_same_number_of_somebody_else_a_message() -> None:
    found = messages("resent-by-sender")
    assert [(event["text"], event["decision"]) for event in found] == [
        ("@Helper deploy it", "turn"),
        ("@Helper deploy it", "duplicate"),
        ("@Helper deploy it", "duplicate"),
        ("@Helper deploy it", "turn"),
        ("hello in private", "turn"),
        ("hello in private", "duplicate"),
        ("only chatter", "context"),
        ("only chatter", "duplicate"),
        ("@Helper and now something new", "turn"),
    ]
    assert found[0]["from_uid"] != found[3]["from_uid"]
    assert summary("resent-by-sender")["acks"] == {
        "sent": 9,
        "recorded": 9,
        "compared_connections": 1,
        "equal": True,
        "mismatches": [],
    }


def test_the_bug_report_has_its_mentions_and_its_direct_message_addressed() -> None:
    turns = [event for event in messages("silent-group") if event["decision"] == "turn"]
    assert texts(turns)[1:] == [
        "@Helper are you there?",
        "@Helper hello?? 在吗",
        "are you alive?",
        "@Helper try again",
    ]
    group = f"agent:main:octo:group:{turns[0]['channel_id']}"
    owner = capture("silent-group").header.account.owner_uid
    assert [event["session_key"] for event in turns] == [
        group,
        group,
        group,
        f"agent:main:octo:direct:{owner}",
        group,
    ]


def test_a_thread_and_its_group_are_two_sessions() -> None:
    thread, group = (event["session_key"] for event in messages("thread") if event["decision"] == "turn")
    assert thread.startswith(f"{group}____")


def test_control_and_system_messages_start_nothing() -> None:
    found = messages("control-and-system")
    assert [event["decision"] for event in found] == ["control"] * 14 + ["turn"]
    assert {event["reason"] for event in found[:-1]} == {"command packet", "system message", "document event"}


def test_own_messages_are_echoes_and_commands_are_commands() -> None:
    assert [event["decision"] for event in messages("dm-conversation")] == [
        "control",
        "turn",
        "echo",
        "turn",
        "echo",
        "turn",
        "command",
    ]


def test_every_content_type_of_a_direct_message_starts_a_turn() -> None:
    assert {event["decision"] for event in messages("content-types")} == {"turn"}
    assert any(event["type"] is None for event in messages("content-types"))


def test_a_message_of_a_megabyte_comes_through_whole() -> None:
    assert max(len(event["text"]) for event in messages("large-messages")) >= 900_000
