"""Quotes at the beginning of answers, and calling everybody: only where they are wanted."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final
from openclaw_channel_octo.message.mentions import addressed
from openclaw_channel_octo.message.outgoing import QUOTED_CHARS
from openclaw_channel_octo.testing.host import ScriptedHost, Step
from tests.runtime.rig import ANN, BEN, HELPER, Rig


async def payloads(rig: Rig, steps: Sequence[Step], ending: str = "answered", **settings: Any) -> list[Any]:
    """Return what the bot sends for one mention of Ann."""
    await rig.start(rig.config(**settings), ScriptedHost(steps))
    await rig.until_row(await rig.mention("what now?"), ending)
    return [line.payload for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]


async def test_only_the_first_message_of_an_answer_quotes_and_says_what_and_whom(rig: Rig) -> None:
    first, second = await payloads(rig, [Accepted("r"), Block("one"), Final("two")], quoteReplies="first")

    asked = rig.octo.chat(rig.group)[0]
    assert first["reply"] == {
        "message_id": asked.message_id,
        "root_message_id": asked.message_id,
        "message_seq": asked.message_seq,
        "from_uid": ANN,
        "from_name": "Ann",
        "payload": {"type": 1, "content": "@Helper what now?"},
    }
    assert "reply" not in second


async def test_nothing_is_quoted_unless_it_is_wanted(rig: Rig) -> None:
    assert all("reply" not in one for one in await payloads(rig, [Accepted("r"), Final("one")]))


async def test_notices_quote_nothing(rig: Rig) -> None:
    (notice,) = await payloads(rig, [Accepted("r"), Failed("failed", "no")], "notified", quoteReplies="first")

    assert notice["content"] == Texts().failed
    assert "reply" not in notice


async def test_a_long_message_is_quoted_in_part(rig: Rig) -> None:
    await rig.start(rig.config(quoteReplies="first"), ScriptedHost())
    await rig.mentioned("x" * 5_000)

    reply = rig.octo.chat(rig.group)[1].payload["reply"]
    assert len(reply["payload"]["content"]) == QUOTED_CHARS + 1
    assert len(json.dumps(reply)) < 1_000


async def test_everybody_is_called_only_where_the_operator_allows_it(rig: Rig) -> None:
    allowed = await payloads(rig, [Accepted("r"), Final("@all lunch, @Ben pays")], mentionEveryone=True)

    assert allowed[0]["mention"]["humans"] == 1
    assert allowed[0]["mention"]["uids"] == [BEN]
    assert "ais" not in allowed[0]["mention"]
    assert "all" not in allowed[0]["mention"]


async def test_without_leave_the_words_stay_words(rig: Rig) -> None:
    (sent,) = await payloads(rig, [Accepted("r"), Final("@all lunch")])

    assert sent["content"] == "@all lunch"
    assert "mention" not in sent


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("@all hi", True),
        ("hi @所有人", True),
        ("hi @All!", True),
        ("@allison", False),
        ("me@all.example", False),
        ("`@all`", False),
        ("```\n@all\n```", False),
        ("@[u:all]", False),
        ("all", False),
    ],
)
def test_everybody_is_called_by_a_word_of_its_own_outside_code(text: str, calls: bool) -> None:
    assert ("humans" in addressed(text, {"u": "all"} if "[" in text else {}, everyone=True).mention) is calls
