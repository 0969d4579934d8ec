"""An answer that is too long: its beginning and a file with all of it, never a flood of messages."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Block, Delta, Failed, Final, Media, MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, ScriptedHost
from openclaw_channel_octo.testing.host import Step
from tests.runtime.asking import ask
from tests.runtime.rig import ANN, HELPER, Rig, python_agent

TEXTS = Texts()
LEFT_OUT = TEXTS.left_out.partition("%d")
WORDS = " ".join(f"word{number}" for number in range(400))
"""Some sixteen messages of two hundred units."""
BOUNDS: dict[str, Any] = {"replyChunk": 200, "maxReplyMessages": 5}
DIRECT = ChannelRef(ANN, 1)


def shown(rig: Rig, where: ChannelRef | None = None) -> list[Mapping[str, Any]]:
    return [line.payload for line in rig.octo.chat(where or rig.group) if line.from_uid == HELPER]


def whole(rig: Rig, payload: Mapping[str, Any]) -> str:
    assert payload["name"] == "full-text.txt"
    return rig.octo.file(payload["url"]).content.decode()


def left_in_spool(rig: Rig) -> list[str]:
    return [path.name for path in (rig.state_dir / "outgoing").iterdir()]


async def answered(rig: Rig, *steps: Step, state: str = "answered") -> list[Mapping[str, Any]]:
    await rig.start_with(ScriptedHost([Accepted("r"), *steps]), **BOUNDS)
    await rig.mentioned("go", state)
    return shown(rig)


async def test_a_long_answer_is_its_beginning_and_a_file_with_all_of_it(rig: Rig) -> None:
    *beginning, file = await answered(rig, Final(WORDS))
    assert len(beginning) == 4
    assert WORDS.startswith(" ".join(part["content"] for part in beginning))
    assert whole(rig, file) == WORDS
    assert left_in_spool(rig) == []


async def test_an_answer_that_just_fits_is_no_file(rig: Rig) -> None:
    text = "\n\n".join(f"{number} " + "x" * 190 for number in range(5))
    assert [part["content"] for part in await answered(rig, Final(text))] == text.split("\n\n")


async def test_where_files_cannot_be_sent_its_end_is_shown_and_how_much_is_missing(rig: Rig) -> None:
    rig.octo.fail_next("presignUpload", ErrorAnswer(status=404), times=None)
    parts = [part["content"] for part in await answered(rig, Final(WORDS))]
    assert len(parts) == 5
    line, end = parts[-1].split("\n\n")
    missing = int(line.removeprefix(LEFT_OUT[0]).removesuffix(LEFT_OUT[2]))
    assert WORDS.endswith(end)
    assert end.startswith("word")
    assert missing == pytest.approx(len(WORDS) - sum(map(len, parts[:-1])) - len(end), abs=2)


STREAMED = [Block(f"part {number}") for number in range(9)]


@pytest.mark.parametrize(
    ("steps", "state", "behind"),
    [
        pytest.param([*STREAMED, Final("end")], "answered", [], id="an answer"),
        pytest.param([*STREAMED, Final()], "answered", [], id="an answer that was said before its end"),
        pytest.param([*STREAMED, Failed("failed", "no luck")], "notified", [TEXTS.failed], id="a failure"),
    ],
)
async def test_the_parts_of_a_streamed_answer_count_together(
    rig: Rig, steps: Sequence[Step], state: str, behind: list[str]
) -> None:
    parts = await answered(rig, *steps, state=state)
    assert [part["content"] for part in parts[:4]] == ["part 0", "part 1", "part 2", "part 3"]
    said = [step.text for step in steps if isinstance(step, Block | Final) and step.text]
    assert whole(rig, parts[4]) == "\n\n".join(said)
    assert [part["content"] for part in parts[5:]] == behind


async def test_files_keep_their_place_and_are_not_counted(rig: Rig) -> None:
    picture = MediaItem(kind="file", url="data:text/plain,picture", name="picture.txt")
    parts = await answered(
        rig, Media(picture), Final(WORDS, (picture, MediaItem(kind="file", url="data:,b")))
    )
    assert [part.get("name", "text") for part in parts] == [
        *("picture.txt", "text", "text", "text", "text"),
        *("full-text.txt", "file"),
    ]


async def test_a_failed_run_ends_with_its_notice_however_much_it_had_written(rig: Rig) -> None:
    *beginning, file, notice = await answered(rig, Failed("failed", "no luck", WORDS), state="notified")
    assert len(beginning) == 3
    assert whole(rig, file) == f"{WORDS} […]"
    assert notice["content"] == TEXTS.failed


async def test_what_an_agent_sends_into_its_conversation_counts_with_its_answer(rig: Rig) -> None:
    await rig.start(rig.config(**BOUNDS), ScriptedHost())
    asked = await ask(rig, ANN, final="done")
    ids = [(await asked.outbound.send_text("group:g1", f"note {number}")).message_ids for number in range(6)]
    assert [len(sent) for sent in ids] == [1, 1, 1, 1, 0, 0]
    asked.host.release()
    await rig.octo.wait_for(lambda: len(shown(rig)) == 5)
    assert whole(rig, shown(rig)[-1]) == "\n\n".join([*(f"note {number}" for number in range(6)), "done"])


async def test_what_an_agent_sends_elsewhere_is_bounded_too(rig: Rig) -> None:
    await rig.start(rig.config(**BOUNDS), ScriptedHost())
    asked = await ask(rig, ANN, rig.dm)
    receipt = await asked.outbound.send_text("group:g1", WORDS)
    assert len(receipt.message_ids) == 5
    assert whole(rig, shown(rig)[-1]) == WORDS
    assert left_in_spool(rig) == []


@pytest.mark.parametrize("sends", [1, 3, 5], ids=["the beginning", "the middle", "the file"])
async def test_a_process_that_dies_while_it_sends_loses_and_repeats_nothing(rig: Rig, sends: int) -> None:
    await rig.start_with(ScriptedHost([Accepted("r"), Final(WORDS)]), **BOUNDS)
    await rig.broken_off(sends)
    again = await rig.start_with(ScriptedHost(), **BOUNDS)
    await rig.octo.wait_for(lambda: len(shown(rig)) == 5)
    await rig.until_row(next(iter(rig.rows())), "answered")
    *beginning, file = shown(rig)
    assert WORDS.startswith(" ".join(part["content"] for part in beginning))
    assert whole(rig, file) == WORDS
    assert again.turns == []


async def test_a_file_that_is_gone_at_the_next_start_is_answered_for_by_its_end(rig: Rig) -> None:
    rig.octo.fail_next("presignUpload", Hang(), times=None)
    await rig.start_with(ScriptedHost([Accepted("r"), Final(WORDS)]), **BOUNDS)
    message_id = await rig.mention("go")
    await rig.until_said(4)
    await rig.octo.wait_for(lambda: rig.calls("presignUpload"))
    await rig.stop()
    for path in (rig.state_dir / "outgoing").iterdir():
        path.unlink()
    await rig.start_with(ScriptedHost(), **BOUNDS)
    await rig.until_row(message_id, "answered")
    assert rig.said()[-1].startswith(LEFT_OUT[0])


@pytest.mark.parametrize("forever", [False, True], ids=["five megabytes", "without an end"])
async def test_a_program_that_prints_too_much_is_stopped_and_does_not_flood_the_group(
    rig: Rig, forever: bool
) -> None:
    loop = "while True" if forever else "for _ in range(50)"
    source = f"{loop}: sys.stdout.write('output line\\n' * 10_000)"
    await rig.start(rig.config(agent=python_agent(source)))
    detail = await rig.until_row(await rig.mention("go"), "notified")
    *beginning, file, notice = shown(rig)
    assert len(beginning) == 8
    assert 4_000_000 <= len(whole(rig, file)) < 4_200_000
    assert notice["content"] == TEXTS.too_long
    assert "longer than 4000000 bytes" in detail


async def test_deltas_of_an_answer_without_an_end_are_stopped_in_any_host(rig: Rig) -> None:
    piece = "x" * 1_000_000
    host = await rig.start_with(ScriptedHost([Accepted("r"), *[Delta(piece)] * 5, HANG, Final("never")]))
    await rig.mentioned("go", "notified")
    assert rig.said()[-1] == TEXTS.too_long
    assert len(host.aborts) == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(
            "sys.stdout.write('<think>' + 'a secret plan\\n' * 400_000)", [TEXTS.too_long], id="thinking"
        ),
        pytest.param(
            "while True: sys.stdout.write('\\r' + 'done ' * 20)",
            [("done " * 20).rstrip() + " […]", TEXTS.too_long],
            id="drawn over",
        ),
    ],
)
async def test_of_what_is_too_long_people_read_what_they_would_of_an_answer(
    rig: Rig, source: str, said: list[str]
) -> None:
    await rig.start(rig.config(agent=python_agent(source)))
    await rig.until_row(await rig.mention("go"), "notified")
    assert rig.said() == said
