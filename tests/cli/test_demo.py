"""The demo as a newcomer starts it, and proof that its check can fail."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.cli.demo.command import Heard, Question, conclude
from tests.cli.asking import call
from tests.processes import processes_with
from tests.programs import PROGRAM

RESTART = "⚠️ Previous session failed, restarting..."

STORY = """\
1. The old way
none     │ Ann     morning! did the nightly build go through?
none     │ Ann     @Helper read the build log, what broke?
✓ read
timeout  │ Helper  ⚠️ That took too long, so I stopped.
"agent:main:octo:group:build-room": {
"status": "timeout", "abortedLastRun": false, "runtimeMs":
timeout  │ Ben     @Helper and now?
timeout  │         ✓ read
(and then nothing: the host skips a failed session)
timeout  │ Ben     @Helper hello?? 在吗
timeout  │         ✓ read
(and then nothing: the host skips a failed session)
2. With the guard
timeout  │ Ben     @Helper try again
✓ read
timeout  │ Helper  ⚠️ Previous session failed, restarting...
done     │ Helper  The log is too long for me.
done     │ Ann     @Helper which step failed?
done     │ Helper  Step 7
┌ direct chat
none     │ Ann     remind me who owns the upload test?
done     │ Helper  Mei
┌ thread
none     │ Ben     @Helper can we skip it for today?
done     │ Helper  Yes
two mentions in the same instant
done     │ Ann     @Helper is main green now?
done     │ Ben     @Helper when is the next build?
✓ read
done     │ Helper  Yes, main is green
done     │ Helper  Tonight at 02:00
✓ without the guard: 2 messages after the failure, 0 answers
✓ with the guard: 6 messages, 6 answers
✓ one announcement, before the first answer, none in the direct chat
✓ answers in the order of the questions, none twice
✓ all 3 sessions done
Nothing went unanswered."""


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give the demo a folder for temporary files that has to be empty again afterwards."""
    yield {**os.environ, "TMPDIR": str(tmp_path), "OCTO_DEMO_MARK": str(tmp_path)}
    assert list(tmp_path.iterdir()) == []
    assert processes_with(f"OCTO_DEMO_MARK={tmp_path}") == {}


def test_the_whole_story_is_told_in_order_and_everything_holds(surroundings: dict[str, str]) -> None:
    result = subprocess.run(
        [PROGRAM, "demo", "--fast"], env=surroundings, capture_output=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    rest = iter(result.stdout.splitlines())
    for wanted in STORY.splitlines():
        assert any(wanted in line for line in rest), f"missing, or not in its place: {wanted}"
    assert result.stdout.count(RESTART) == 1
    assert result.stdout.count("… typing") >= len(STORY.split("✓ read")) - 1
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="SIGINT is ignored around here")
def test_stopped_in_the_middle_it_leaves_nothing_behind(
    surroundings: dict[str, str], number: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [PROGRAM, "demo", "-v"],
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        assert any("turn started" in line for line in process.stderr)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == code
    assert "Traceback" not in said


def question(place: str, text: str, who: str = "Ann") -> Question:
    return Question(place=place, who=who, text=text, answer=f"answer to {text}")


ASKED = (question("group", "one"), question("group", "two", who="Ben"), question("direct chat", "three"))
HEARD = Heard(
    unguarded=(question("group", "hello?"),),
    unguarded_lines=(),
    asked=ASKED,
    lines={"group": (RESTART, "answer to one", "answer to two"), "direct chat": ("answer to three",)},
    statuses={"group": "done", "direct chat": "done"},
    announcement=RESTART,
    direct="direct chat",
)


def group(*lines: str) -> Heard:
    return replace(HEARD, lines={**HEARD.lines, "group": lines})


def test_a_chat_in_which_everything_is_right_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(HEARD) == 0
    assert "Nothing went unanswered." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("heard", "complaint"),
    [
        (group(RESTART, "answer to one"), "UNANSWERED: Ben in the group: two"),
        (replace(HEARD, lines={"group": HEARD.lines["group"]}), "UNANSWERED: Ann in the direct chat: three"),
        (group("answer to one", "answer to two"), "it was announced 0 times"),
        (group(RESTART, "answer to one", RESTART, "answer to two"), "it was announced 2 times"),
        (group("answer to one", RESTART, "answer to two"), "the first thing said in the group was"),
        (group(RESTART, "answer to two", "answer to one"), "the bot said: answer to two | answer to one"),
        (
            group(RESTART, "answer to one", "answer to one", "answer to two"),
            "the bot said: answer to one | a",
        ),
        (
            replace(
                HEARD, lines={"group": HEARD.lines["group"][1:], "direct chat": (RESTART, "answer to three")}
            ),
            "it was announced in the direct chat",
        ),
        (replace(HEARD, statuses={"group": "done", "direct chat": "timeout"}), "direct chat: timeout"),
        (replace(HEARD, unguarded_lines=("answer to hello?",)), "the bot said: answer to hello?"),
    ],
    ids=[
        "one answer is missing",
        "a whole conversation is missing",
        "no announcement",
        "two announcements",
        "an answer before the announcement",
        "answers out of order",
        "an answer twice",
        "announced in the direct chat",
        "a session not done",
        "no silence without the guard",
    ],
)
def test_whatever_goes_wrong_fails_the_demo_and_is_named(
    heard: Heard, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude(heard) == 1
    printed = capsys.readouterr()
    assert complaint in printed.out
    assert "✗" in printed.out
    assert "Nothing went unanswered" not in printed.out
    assert printed.err == "The demo did not show what it claims: see the lines marked ✗.\n"


def test_help_says_what_there_is_to_see() -> None:
    text = " ".join(call("demo", "--help").stdout.split())
    assert "no network, no keys, no configuration" in text
    assert "Exit codes: 0 every message was answered" in text
