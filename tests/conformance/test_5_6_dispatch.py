"""Reference-behaviour §5.6, dispatch: what people see when blocks, finals, warnings and errors come in any order."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.base import Accepted, Block, Delta, Failed, Final, Media, MediaItem
from openclaw_channel_octo.host.gateway.frames import Response
from openclaw_channel_octo.host.gateway.outcome import end_of
from openclaw_channel_octo.testing.host import ScriptedHost, Step
from openclaw_channel_octo.testing.octo.faults import Hang
from tests.runtime.rig import FastClock, Rig

TEXTS = Texts()
OK = Accepted("r")


ROWS: list[tuple[str, Sequence[Step], list[str]]] = [
    ("every block is shown, not only the last", [OK, Block("one"), Block("two"), Final()], ["one", "two"]),
    ("block, then final", [OK, Block("one"), Final("the end")], ["one", "the end"]),
    ("final then late block: only final", [OK, Final("the end"), Block("late")], ["the end"]),
    (
        "rejected with text written: the text, marked, and the error",
        [OK, Delta("half"), HostError("gone")],
        ["half […]", TEXTS.failed],
    ),
    ("rejected with nothing: the error text", [OK, HostError("gone")], [TEXTS.failed]),
    (
        "rejected after something was delivered: that, and the error",
        [OK, Block("one"), Failed("failed", "gone")],
        ["one", TEXTS.failed],
    ),
    ("nothing at all: words that say so", [OK, Final()], [TEXTS.empty]),
    ("the session conflict at the start is tried once more", [], ["echo: @Helper please"]),
]


@pytest.mark.parametrize(("steps", "shown"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
async def test_what_people_see(rig: Rig, steps: Sequence[Step], shown: list[str]) -> None:
    await rig.start(rig.config(), ScriptedHost(steps))
    failed = shown[-1] in {TEXTS.failed, TEXTS.empty}
    await rig.until_row(await rig.mention("please"), "notified" if failed else "answered")

    assert rig.said() == shown


def test_block_then_tool_warning_the_block_only() -> None:
    assert ended({"text": "the answer"}, {"text": "a tool complained", "isError": True}) == Final(
        "the answer"
    )


def test_a_tool_warning_alone_is_a_failure_whose_words_stay_with_the_operator() -> None:
    assert ended({"text": "a tool complained", "isError": True}) == Failed("failed", "a tool complained")


def test_reasoning_is_not_shown() -> None:
    assert ended({"text": "hm", "isReasoning": True}, {"text": "the answer"}) == Final("the answer")


async def test_same_media_url_twice_once(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("x")
    file = MediaItem(kind="file", url=str(tmp_path / "out" / "a.txt"))
    host = ScriptedHost([OK, Media(file), Media(file), Final("done", (file,))])
    await rig.start(rig.config(mediaRoots=[str(tmp_path / "out")]), host)
    await rig.mentioned("please")

    lines = rig.octo.chat(rig.group)
    assert [line.payload["type"] for line in lines if line.from_uid == "helper_bot"] == [8, 1]


async def test_the_apology_does_not_hold_the_queue_of_others_when_the_api_is_sick(rig: Rig) -> None:
    rig.clock = FastClock(50)
    await rig.start_with(ScriptedHost([OK, Failed("failed", "no")]))
    rig.octo.fail_next("sendMessage", Hang(), times=1)
    await rig.mention("fails, and its notice hangs")
    await rig.octo.wait_for(lambda: rig.calls("sendMessage"))
    await rig.mentioned("elsewhere", where=rig.thread)
    assert (len(rig.said(rig.thread)), rig.said()) == (1, []), "the notice hangs, the thread has its answer"
    rig.octo.release()
    assert await rig.until_said(1) == [Texts().failed]


@pytest.mark.parametrize(
    ("milliseconds", "taken"),
    [(1_000, True), (2_147_483_000, True), (2_147_483_001, False), (999, False), (0, False), (-1, False)],
)
def test_time_limits_beyond_what_a_timer_holds_are_refused_rather_than_clamped(
    milliseconds: int, taken: bool
) -> None:
    raw = {"channels": {"octo": {"botToken": "bf_0123456789abcdef", "dispatchTimeoutMs": milliseconds}}}
    if taken:
        bot = parse_config(raw, base=Path()).config.accounts["default"]
        assert bot.turn_budget_s(600.0) == milliseconds / 1_000
    else:
        with pytest.raises(ConfigError, match="dispatchTimeoutMs"):
            parse_config(raw, base=Path())


def ended(*payloads: dict[str, object]) -> object:
    answer = {"runId": "r", "status": "ok", "result": {"payloads": list(payloads), "meta": {}}}
    return end_of(Response(id="1", payload=answer, fault=None), aborted=False)
