"""Captures cleaned and cut: they replay as before, and hold nothing they should not."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from openclaw_channel_octo.capture.clean import Cleaner, SocketCleaner
from openclaw_channel_octo.capture.edit import cut, redact
from openclaw_channel_octo.capture.format import (
    ApiCall,
    Capture,
    FromServer,
    OtherRecord,
    Side,
    SocketControl,
    ToServer,
    read_capture,
)
from openclaw_channel_octo.capture.header import CaptureHeader
from openclaw_channel_octo.capture.replay import replay
from openclaw_channel_octo.capture.show import timeline
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.message.mentions import without_mentions
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.policy.commands import command_in

FOLDER = Path(__file__).parents[2] / "fixtures" / "wukongim"
NAMES = sorted(path.stem for path in FOLDER.glob("*.wkcap"))
WORDS = {"café", "release", "build", "analyse", "there"}


@cache
def capture(name: str) -> Capture:
    return read_capture(FOLDER / f"{name}.wkcap")


def binary(name: str) -> Capture:
    found = capture(name)
    if found.header.protocol != "wukongim-binary":
        pytest.skip(f"a recording of {found.header.protocol}")
    return found


async def decided(found: Capture) -> list[tuple[str, str, str]]:
    events = [event async for event in replay(found) if event["event"] == "message"]
    return [(event["message_id"], event["decision"], event["reason"]) for event in events]


@pytest.mark.parametrize("name", NAMES)
async def test_a_masked_capture_replays_with_the_same_decisions_and_acknowledgements(name: str) -> None:
    whole = binary(name)

    masked = redact(whole, Cleaner(mask_text=True, own_name=whole.header.account.name))

    assert await decided(masked) == await decided(whole)
    *_, before = [event async for event in replay(whole)]
    *_, after = [event async for event in replay(masked)]
    assert after["acks"] == before["acks"]
    assert after["disagreements"] == before["disagreements"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_masked_capture_holds_no_word_of_what_was_said(name: str) -> None:
    whole = binary(name)

    masked = redact(whole, Cleaner(mask_text=True, own_name=whole.header.account.name))

    shown = " ".join(line["detail"] for line in timeline(masked)) + str(masked.header.labels)
    assert not [word for word in WORDS if word in shown]


@pytest.mark.parametrize("name", NAMES)
def test_bytes_that_hold_no_secret_stay_as_they_were_recorded(name: str) -> None:
    whole = binary(name)

    changed = [
        (before, after)
        for before, after in zip(whole.records, redact(whole, Cleaner()).records, strict=True)
        if isinstance(before, FromServer | ToServer) and before != after
    ]

    # one message there is nested so deeply that nobody looks for secrets at its bottom: it goes
    assert len(changed) == (name == "content-types")


def test_a_packet_cut_between_two_messages_comes_whole_with_its_end() -> None:
    whole = capture("silent-group")
    server = b"".join(r.stream_bytes for r in whole.records if isinstance(r, FromServer))
    client = b"".join(r.stream_bytes for r in whole.records if isinstance(r, ToServer))
    cleaner = SocketCleaner(Cleaner(), whole.header.client_private_keys[0])
    cleaner.clean(Side.CLIENT, client)

    pieces = [cleaner.clean(Side.SERVER, server[at : at + 7]) for at in range(0, len(server), 7)]

    assert b"".join(pieces) == server


def test_bytes_that_are_no_packets_are_not_kept() -> None:
    cleaner = SocketCleaner(Cleaner(), bytes(32))

    assert cleaner.clean(Side.SERVER, b"\xf1<html>my token</html>") == b""
    assert cleaner.clean(Side.SERVER, b"more") == b""


def test_secrets_are_replaced_in_every_corner_of_a_call() -> None:
    secret = "s3cret-value"
    inner = {"content": f"use {secret}"}
    call = ApiCall(
        at_us=0,
        api="rest",
        method="POST",
        path="/v1/bot/message/edit",
        query={"a": secret},
        body={"content_edit": json.dumps(inner), secret: [secret, {"x": secret}], "payload": "!not base64!"},
        status=200,
        response=f"<html>{secret}</html>",
    )

    (clean,) = redact(_of(call), Cleaner(SecretStr(secret))).records

    assert secret not in str(clean)
    assert "use TOKEN" in str(clean)


def test_records_of_an_unknown_stream_are_refused_rather_than_passed_on() -> None:
    other = OtherRecord(at_us=0, stream="memory", direction="in", data=b"anything")

    with pytest.raises(CaptureError, match='records of "memory" cannot be cleaned'):
        redact(_of(other), Cleaner())


async def test_a_part_replays_as_it_did_within_the_whole() -> None:
    whole = capture("silent-group")
    times = [r.at_us / 1e6 for r in whole.records if isinstance(r, FromServer)]

    part = cut(whole, times[4], times[-1] + 1)

    assert 0 < len(await decided(part)) < len(await decided(whole))
    assert await decided(part) == (await decided(whole))[-len(await decided(part)) :]


async def test_a_part_of_a_later_connection_brings_that_connections_key() -> None:
    whole = capture("mixed-1")
    second = [r.at_us / 1e6 for r in whole.records if isinstance(r, SocketControl) and r.event == "open"][1]

    part = cut(whole, second + 0.005, float("inf"))

    assert len(part.header.client_private_keys) == 1
    assert part.header.client_private_keys[0] == whole.header.client_private_keys[1]
    assert all(decision != "undecodable" for _, decision, _ in await decided(part))
    assert await decided(part)


def test_a_span_in_which_nothing_happened_is_an_error() -> None:
    with pytest.raises(CaptureError, match="nothing was recorded from 1000 s to 1001 s"):
        cut(capture("silent-group"), 1000, 1001)


@given(st.text())
def test_masking_keeps_the_length_in_utf16_units_and_every_separator(text: str) -> None:
    masked = Cleaner(mask_text=True).content(text)

    assert utf16_length(masked) == utf16_length(Cleaner().content(text))
    assert [c for c in masked if not c.isalnum()] == [c for c in Cleaner().content(text) if not c.isalnum()]


def _of(*records: ApiCall | OtherRecord) -> Capture:
    return Capture(header=CaptureHeader(), records=records, torn=False)


@pytest.mark.parametrize("text", ["@Helper /NEW secret", "／停止。", "/Stop@Helper", "/状态"])
def test_masking_keeps_a_command_in_any_spelling(text: str) -> None:
    masked = Cleaner(mask_text=True, own_name="Helper").content(text)

    commands = {command_in(without_mentions(said, "Helper"), direct=True) for said in (text, masked)}
    assert len(commands) == 1
    assert "" not in commands
    assert "secret" not in masked


@pytest.mark.parametrize(
    "text", ["/approve 3f0c-12 allow-once", "/approve secret deny", "approve always", "/批准 secret 允许"]
)
def test_masking_keeps_an_approval_a_command_and_none_of_its_other_words(text: str) -> None:
    masked = Cleaner(mask_text=True).content(text)

    assert command_in(masked, direct=True) == "/approve"
    assert "secret" not in masked
    assert "allow" not in Cleaner(mask_text=True).content("we allow nothing")
