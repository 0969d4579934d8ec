"""An API server and an IM server that answer with what is far too long, too early or too late."""

import logging
from typing import Any

import pytest

from openclaw_channel_octo.testing.octo.faults import JsonAnswer
from tests.runtime.rig import HELPER, TOKEN, Rig

ANSWER = {"robot_id": HELPER, "name": "Helper", "im_token": TOKEN, "ws_url": "", "owner_uid": "ann"}
MEGABYTE = "x" * 1_000_000


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("robot_id", 256),
        ("name", 256),
        ("owner_uid", 256),
        ("owner_channel_id", 256),
        ("im_token", 2048),
        ("ws_url", 2048),
        ("api_url", 2048),
    ],
)
async def test_a_registration_with_a_huge_field_is_one_clear_line_and_is_tried_again(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture, field: str, most: int
) -> None:
    caplog.set_level(logging.INFO)
    huge = [JsonAnswer({**ANSWER, field: text}) for text in (MEGABYTE, "x" * 20_000)]
    for answer in huge:
        fast_rig.octo.fail_next("register", answer)
    await fast_rig.start(fast_rig.config())
    assert "register: the answer is larger than 65536 bytes" in caplog.text
    assert f"{field}: longer than {most} characters" in caplog.text
    assert max(len(line) for line in caplog.text.splitlines()) < 500
    await fast_rig.mentioned("hello")


@pytest.mark.parametrize("timestamp", [-1, -(2**31), 1, 2**31 - 1])
async def test_a_message_stamped_before_or_long_after_its_time_is_answered(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture, timestamp: int
) -> None:
    await fast_rig.start(fast_rig.config())
    odd = await fast_rig.octo.inject(HELPER, fast_rig.raw_mention("odd", 1, timestamp=timestamp), stored=True)
    await fast_rig.until_row(odd, "answered")
    await fast_rig.mentioned("and now")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("timestamp", [-1, -(2**63), 0, 2**40, 2**63 - 1, 2**63, 10**400])
async def test_history_with_stamps_no_clock_shows_harms_no_later_message(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture, timestamp: int
) -> None:
    row: dict[str, Any] = {
        "message_idstr": "77",
        "message_seq": 1,
        "from_uid": "ann",
        "channel_id": "g1",
        "channel_type": 2,
        "timestamp": timestamp,
        "payload": {"type": 1, "content": "an old line"},
    }
    fast_rig.octo.fail_next("messages/sync", JsonAnswer({"messages": [row]}), times=3)
    await fast_rig.start(fast_rig.config())
    await fast_rig.mentioned("hello")
    await fast_rig.mentioned("again")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
