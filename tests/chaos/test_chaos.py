"""The short form of `make chaos`: the real program, ended at every named point, killed or stopped at random moments."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.testing.octo.records import ChatLine
from tests.chaos.gateway import Counts, judged
from tests.chaos.judge import DRAIN, Conversation, Stop, Verdict, answer, judge
from tests.chaos.keyed import MARK
from tests.chaos.launcher import POINTS
from tests.chaos.world import Chaos, Plan

RESTART = "⚠️ Previous session failed, restarting..."
FAILED, REFUSED = Texts().failed, Texts().refused


def pieces(number: int) -> list[str]:
    """Return a long answer in the pieces it is sent in."""
    return textwrap.wrap(answer(number), 100)


def talk(
    asked: list[int],
    *said: str,
    deaths: tuple[int, ...] = (),
    refused: int = 0,
    keyed: tuple[str, ...] = (),
) -> Verdict:
    lines = [
        ChatLine(
            message_id=str(number),
            message_seq=number,
            timestamp=0,
            from_uid="bot",
            name="",
            text=text,
            payload={},
        )
        for number, text in enumerate(said)
    ]
    return judge([Conversation("g", asked, refused, lines, "bot", deaths, keyed)])


def test_the_judge_is_content_with_answers_notices_and_announcements_in_their_places() -> None:
    assert talk([1, 2, 3], answer(1), FAILED, RESTART, answer(3)).fine
    assert talk([1], RESTART, RESTART, answer(1), deaths=(1,)).fine
    assert talk([4], *pieces(4)).fine
    assert talk([4], pieces(4)[0], REFUSED, *pieces(4)[1:], refused=1).fine


@pytest.mark.parametrize(
    ("asked", "said", "kind"),
    [
        ([1, 2], [answer(2)], "silent"),
        ([1], [], "silent"),
        ([1], ["answer to #1 and so"], "silent"),
        ([4], [*pieces(4)[:1], *pieces(4)[2:]], "silent"),
        ([1], [answer(1), answer(1)], "twice"),
        ([4], [*pieces(4)[:2], *pieces(4)[1:]], "twice"),
        ([1, 2], [answer(2), answer(1)], "disordered"),
        ([1, 2], [FAILED, FAILED, answer(2)], "doubled"),
        ([1], [answer(1), FAILED], "doubled"),
        ([1], [RESTART, RESTART, answer(1)], "doubled"),
    ],
)
def test_the_judge_names_what_is_wrong(asked: list[int], said: list[str], kind: str) -> None:
    verdict = talk(asked, *said)
    assert getattr(verdict, kind)
    assert kind in str(verdict)


@pytest.mark.parametrize(("count", "kind"), [(0, "silent"), (1, ""), (2, "doubled")])
def test_the_judge_wants_one_refusal_for_all_that_a_stranger_writes(count: int, kind: str) -> None:
    verdict = talk([1], *[REFUSED] * count, answer(1), refused=3)
    assert verdict.fine is not bool(kind)
    assert not kind or getattr(verdict, kind)


@pytest.mark.parametrize(("count", "kind"), [(0, "silent"), (1, ""), (2, "twice")])
def test_the_judge_wants_each_message_with_a_key_once(count: int, kind: str) -> None:
    verdict = talk([1], *[f"{MARK}1"] * count, answer(1), keyed=(f"{MARK}1",))
    assert verdict.fine is not bool(kind)
    assert not kind or getattr(verdict, kind)


@pytest.mark.parametrize(
    ("code", "log", "kind"),
    [
        (None, "", "unstopped"),
        (-15, "", "unstopped"),
        (0, f"turn started runId=1\n{DRAIN}\nturn ended\nturn started runId=2\n", "late"),
    ],
)
def test_the_judge_names_stops_that_were_none(code: int | None, log: str, kind: str) -> None:
    verdict = judge([], [Stop("SIGTERM", code, log)])
    assert len(getattr(verdict, kind)) == 1
    assert not verdict.fine


def test_the_judge_is_content_with_a_stop_whose_turns_began_before_its_drain() -> None:
    log = f"turn started runId=1\n{DRAIN}\nturn ended status=done\n"
    assert judge([], [Stop("SIGTERM", 0, log), Stop("SIGTERM", 1, log)]).fine
    assert not judge([], unsettled=["message 1 is answered, a chunk sending"]).fine


async def test_killed_at_every_named_point_the_program_loses_doubles_and_swaps_nothing(
    tmp_path: Path,
) -> None:
    chaos = Chaos(Plan(seed=7, kills=1, stops=2, messages=(2, 5)), tmp_path)
    verdict = await chaos.run()
    assert verdict.fine, f"{verdict}\n{(tmp_path / 'log').read_text()[-3000:]}"
    assert chaos.deaths == len(POINTS) + 3


async def test_reloads_among_messages_kills_and_stops_lose_double_and_swap_nothing(tmp_path: Path) -> None:
    plan = Plan(seed=11, kills=4, stops=2, points=(), messages=(5, 9), reloads=0.5)
    chaos = Chaos(plan, tmp_path)
    verdict = await chaos.run()
    log = (tmp_path / "log").read_text()
    assert verdict.fine, f"{verdict}\n{log[-3000:]}"
    assert chaos.reloads > 10
    assert "it connects anew" in log


SEEDS = (3, 4, 5, 6)
"""Plays of a planted bug: whether one of them meets it depends on how busy the machine is."""


async def caught(plans: Sequence[Plan], folder: Path, kind: str) -> bool:
    """Return whether the judge finds anything of a kind in one of the plays, the first one as a rule."""
    for plan in plans:
        place = folder / str(plan.seed)
        place.mkdir()
        if getattr(await Chaos(plan, place).run(), kind):
            return True
    return False


@pytest.mark.parametrize(
    ("bug", "points", "kind"),
    [
        (
            "no look-up before a resend",
            ("after a message was accepted, before that is recorded",) * 3,
            "twice",
        ),
        ("missed messages are not fetched", (), "silent"),
        ("the end of a chunk is not recorded", ("after the row is settled",), "unsettled"),
    ],
)
async def test_a_planted_bug_is_caught(tmp_path: Path, bug: str, points: tuple[str, ...], kind: str) -> None:
    kills = 0 if points else 4
    plans = [Plan(seed=seed, kills=kills, points=points, bug=bug, messages=(3, 5)) for seed in SEEDS]
    assert await caught(plans, tmp_path, kind)


async def test_a_planted_turn_that_begins_during_the_drain_is_caught(tmp_path: Path) -> None:
    bug = "the lanes stay open during a drain"
    plans = [
        Plan(seed=seed, kills=0, stops=2, drains=(60,), points=(), bug=bug, messages=(3, 5)) for seed in SEEDS
    ]
    assert await caught(plans, tmp_path, "late")


@pytest.mark.parametrize("first", [True, False], ids=["acknowledged first", "committed first"])
async def test_without_the_history_only_the_order_of_commit_and_ack_keeps_a_message(
    tmp_path: Path, first: bool
) -> None:
    bug = "missed messages are not fetched"
    if first:
        bug = f"acknowledged before the commit, and {bug}"
    plan = Plan(
        seed=5,
        kills=0,
        points=("after the ack",) * 3,
        bug=bug,
        messages=(3, 5),
        pushed_again=True,
    )
    verdict = await Chaos(plan, tmp_path).run()
    assert verdict.silent if first else verdict.fine, f"{verdict}\n{(tmp_path / 'log').read_text()[-3000:]}"


@pytest.mark.parametrize(
    ("chat", "counts"),
    [
        (["echo: m1", Texts().failed, Texts().restarting, "echo: m3"], Counts()),
        (["echo: m1", "echo: m3"], Counts(silent=1)),
        (["echo: m1", "echo: m2", "echo: m2", "echo: m3"], Counts(twice=1)),
        (["echo: m1", "echo: m1", "echo: m3"], Counts(silent=1, twice=1)),
        (["echo: m1", "echo: m1 and m3", "echo: m2"], Counts(out_of_order=1)),
        (["echo: m1", "echo: m2", "echo: m3", Texts().failed], Counts(twice=1)),
    ],
)
def test_mentions_without_an_end_with_two_and_out_of_order_are_counted(
    chat: list[str], counts: Counts
) -> None:
    assert judged({"g": 3}, {"g": chat}) == counts
