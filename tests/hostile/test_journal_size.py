"""Talk of hundreds of kilobytes that nobody asked the bot to answer: what the journal keeps of it."""

import sqlite3
from contextlib import closing

from openclaw_channel_octo.message.history import MESSAGE_BYTES
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.text import CUT_MARK
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.runtime.rig import BEN, Rig

CHATTER = "chatter " * 100_000


async def test_chatter_is_cut_in_the_journal_and_shown_around_a_mention_as_before(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost())
    for _ in range(3):
        await rig.octo.say(BEN, rig.group, CHATTER)
    await rig.mentioned("what do they say?")
    shown = CHATTER[:MESSAGE_BYTES] + CUT_MARK
    assert host.turns[0].context.count(f"Ben (ben): {shown}") == 3
    with closing(sqlite3.connect(rig.state_dir / "octo.sqlite")) as db:
        kept = db.execute("SELECT payload, detail FROM inbound WHERE decision = 'context'").fetchall()
    assert len(kept) == 3
    for payload, detail in kept:
        assert len(payload) < 2 * MESSAGE_BYTES
        assert parse_payload(payload).text == shown
        assert detail == "cut for the journal, 800023 bytes were received"


async def test_a_large_message_to_the_bot_stays_whole(rig: Rig, host: ScriptedHost) -> None:
    await rig.mentioned(CHATTER)
    with closing(sqlite3.connect(rig.state_dir / "octo.sqlite")) as db:
        ((payload,),) = db.execute("SELECT payload FROM inbound WHERE decision = 'turn'")
    assert CHATTER in parse_payload(payload).text
