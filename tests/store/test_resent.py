"""What a sender's app sends again is one message: by sender, conversation, number, payload and time."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.messages import RESENT_WITHIN_S
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.testing.clock import ManualClock
from tests.store.rows import inbound

FIRST = inbound("1", client_msg_no="n")
COPY = replace(FIRST, message_id="2", message_seq=2)


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"timestamp": FIRST.timestamp + RESENT_WITHIN_S}, True),
        ({"timestamp": FIRST.timestamp + RESENT_WITHIN_S + 1}, False),
        ({"client_msg_no": "another"}, False),
        ({"from_uid": "ben"}, False),
        ({"channel": ChannelRef("g2", 2)}, False),
        ({"channel": ChannelRef("g1", 5)}, False),
        ({"payload": b'{"type":1,"content":"?"}'}, False),
        ({"account": "other"}, False),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "after a restart"])
async def test_a_copy_by_its_senders_app_is_known(
    tmp_path: Path, together: bool, change: dict[str, Any], known: bool
) -> None:
    later = replace(COPY, **change)
    async with Journal(tmp_path / "octo.sqlite", ManualClock()) as journal:
        recorded = await journal.messages.append([FIRST, later] if together else [FIRST])
    if not together:
        async with Journal(tmp_path / "octo.sqlite", ManualClock()) as journal:
            recorded += await journal.messages.append([later])
    assert [row is None for row in recorded] == [False, known]


async def test_messages_without_a_number_of_the_sender_are_never_copies(tmp_path: Path) -> None:
    async with Journal(tmp_path / "octo.sqlite", ManualClock()) as journal:
        rows = await journal.messages.append([replace(row, client_msg_no="") for row in (FIRST, COPY)])
    assert None not in rows


async def test_a_copy_of_a_message_whose_end_nobody_saw_is_a_message(tmp_path: Path) -> None:
    async with Journal(tmp_path / "octo.sqlite", ManualClock()) as journal:
        (row,) = await journal.messages.append([FIRST])
        assert row is not None
        await journal.messages.settle([row.id], RowState.DEAD, detail="Octo is away")
        assert await journal.messages.append([COPY]) != [None]
