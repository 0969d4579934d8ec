"""Sends with a key in the journal: found by it, refused where it is taken, kept as long as the rest."""

import pytest

from openclaw_channel_octo.errors import BadRequest
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import NewPost, Part
from openclaw_channel_octo.store.retention import KEEP_DAYS
from openclaw_channel_octo.store.states import ChunkState
from openclaw_channel_octo.testing.clock import ManualClock


def post(key: str, account: str = "helper") -> NewPost:
    return NewPost(account=account, key=key, digest="d", channel=ChannelRef("g1", 2), reason="passthrough")


async def test_a_send_is_found_by_bot_and_key_with_its_messages_in_order(journal: Journal) -> None:
    await journal.posts.plan(post("k"), [Part(text="one"), Part(text="a.png", payload='{"url": "u"}')])
    found = await journal.posts.find("helper", "k")
    assert found is not None
    assert found.channel == ChannelRef("g1", 2)
    assert [(one.text, one.payload, one.state) for one in found.chunks] == [
        ("one", "", ChunkState.SENDING),
        ("a.png", '{"url": "u"}', ChunkState.PLANNED),
    ]
    assert await journal.posts.find("other", "k") is None


async def test_a_key_is_planned_once_for_each_bot(journal: Journal) -> None:
    await journal.posts.plan(post("k"), [Part(text="one")])
    await journal.posts.plan(post("k", "other"), [Part(text="one")])
    with pytest.raises(BadRequest, match="another message"):
        await journal.posts.plan(post("k"), [Part(text="two")])
    found = await journal.posts.find("helper", "k")
    assert found is not None
    assert [one.text for one in found.chunks] == ["one"]


async def test_old_sends_go_with_the_old_rows_and_too_many_with_the_oldest(
    journal: Journal, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.posts.plan(post("old"), [Part(text="one")])
    await clock.advance((KEEP_DAYS + 1) * 86_400)
    for key in ("one", "two", "three"):
        await journal.posts.plan(post(key), [Part(text=key)])
    monkeypatch.setattr("openclaw_channel_octo.store.retention.KEEP_ROWS", 2)
    await journal.retention.prune()
    kept = [key for key in ("old", "one", "two", "three") if await journal.posts.find("helper", key)]
    assert kept == ["two", "three"]
    chunks = await journal.run(lambda tx: tx.db.execute("SELECT text FROM delivery ORDER BY text").fetchall())
    assert chunks == [("three",), ("two",)]
