"""Reference-behaviour §5.4, history: the rows by their own words, and what holds for every history."""

import json
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.base import Accepted, Failed, Final, Media, MediaItem
from openclaw_channel_octo.message.history import Said, history_block
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.store.records import InboundRow, NewInbound
from openclaw_channel_octo.store.states import RowState
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.runtime.rig import BEN, Rig
from tests.store.rows import inbound

NEW, OLD = "since your last answer", "before your last answer"


def block(*numbers: int, answered: int = 0) -> str:
    return history_block([Said("u", f"m{number}", seq=number) for number in numbers], {}, answered)


@pytest.mark.parametrize(
    ("numbers", "answered", "old", "new"),
    [
        pytest.param((1, 2), 2, ["m1"], ["m2"], id="what lies before the answer is answered"),
        pytest.param((0, 5), 3, ["m0"], ["m5"], id="missing seq counts as 0"),
        pytest.param((1, 2), 0, [], ["m1", "m2"], id="cutoff <= 0: all new"),
        pytest.param((1, 2), -1, [], ["m1", "m2"], id="cutoff below 0: all new"),
    ],
)
def test_segments(numbers: tuple[int, ...], answered: int, old: list[str], new: list[str]) -> None:
    text = block(*numbers, answered=answered)

    head, _, tail = text.partition(NEW)
    assert [word for word in ("m0", "m1", "m2", "m5") if word in head] == old
    assert [word for word in ("m0", "m1", "m2", "m5") if word in tail] == new
    assert (OLD in text) == bool(old)


async def test_cutoff_advances_only_on_success_and_the_second_mention_sees_the_first_as_answered(
    rig: Rig,
) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), Failed("failed", "no")], [Final("yes")]))
    await rig.octo.say(BEN, rig.group, "talk")
    await rig.mentioned("fails", "notified")
    await rig.mentioned("succeeds")
    await rig.mentioned("afterwards")

    assert ["talk" in turn.context for turn in host.turns] == [True, True, False]


async def test_media_only_reply_counts_as_success(rig: Rig, tmp_path: Path) -> None:
    picture = tmp_path / "out" / "a.txt"
    picture.parent.mkdir()
    picture.write_text("x")
    host = ScriptedHost([Accepted("r"), Media(MediaItem(kind="file", url=str(picture))), Final()])
    await rig.start(rig.config(mediaRoots=[str(picture.parent)]), host)
    await rig.octo.say(BEN, rig.group, "talk")
    await rig.mentioned("a picture please")
    await rig.mentioned("thanks")

    assert "talk" not in host.turns[-1].context


@pytest.mark.parametrize("content", [None, 7, ["x"], {"a": 1}, True], ids=str)
async def test_non_string_content_never_throws(rig: Rig, content: object, host: ScriptedHost) -> None:
    await rig.octo.say(BEN, rig.group, {"type": 1, "content": content})
    await rig.mentioned("well?")

    assert "Ben (ben): " in host.turns[-1].context


def row(number: int, kind: str, state: RowState, attempt: int = 1) -> NewInbound:
    payload = json.dumps({"type": 1, "content": f"/reset m{number}" if kind == "command" else f"m{number}"})
    return inbound(
        str(number),
        state,
        account="helper",
        message_seq=number,
        from_uid="ann" if kind != "echo" else "helper_bot",
        payload=payload.encode(),
        decision=kind,
        session_key="k" if kind in {"turn", "command"} else "",
    )


KINDS = st.sampled_from(
    [
        ("context", RowState.CONTEXT),
        ("echo", RowState.CONTEXT),
        ("control", RowState.CONTEXT),
        ("turn", RowState.ANSWERED),
        ("turn", RowState.NOTIFIED),
        ("command", RowState.ANSWERED),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(KINDS, max_size=12), st.integers(1, 5))
async def test_history_never_contains_the_current_message_nor_the_bots_own_answers_nor_anything_answered_or_reset(
    tmp_path: Path, kinds: list[tuple[str, RowState]], limit: int
) -> None:
    folder = Path(mkdtemp(dir=tmp_path))  # hypothesis may try the same example twice
    async with Journal(folder / "octo.sqlite", SystemClock()) as journal:
        rows = [row(number, *kind) for number, kind in enumerate(kinds, 1)]
        current = row(len(rows) + 1, "turn", RowState.RECEIVED)
        later = row(len(rows) + 2, "context", RowState.CONTEXT)
        found = await journal.messages.append([*rows, current, later])
        asked = found[len(rows)]
        assert isinstance(asked, InboundRow)
        before = await journal.said.before(asked.account, asked.channel, asked.message_seq, limit)

    ends = [
        r.message_seq
        for r in rows
        if (r.decision, r.state) in {("turn", "answered"), ("command", "answered")}
    ]
    expected = [
        r.message_seq
        for r in rows
        if (r.decision == "context" or (r.decision, r.state) == ("turn", "notified"))
        and r.message_seq > max(ends, default=0)
    ]
    assert [said.seq for said in before.said] == expected[-limit:]
