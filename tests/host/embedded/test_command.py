"""Agents that are programs, with real processes."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.embedded import command
from openclaw_channel_octo.host.embedded.agents import Agent, AgentError, Prompt
from openclaw_channel_octo.host.embedded.command import CommandAgent
from tests.processes import alive, gone


def prompt(text: str = "hello", **fields: Any) -> Prompt:
    return Prompt(text=text, session_key="agent:main:octo:group:g1", session_id="s1", run_id="r1", **fields)


def shell(script: str, **options: Any) -> CommandAgent:
    return CommandAgent(["sh", "-c", script], **options)


async def answer(agent: Agent, asked: Prompt | None = None) -> str:
    return "".join([piece async for piece in agent.reply(asked or prompt())])


async def collect(agent: Agent, pieces: list[str]) -> None:
    async for piece in agent.reply(prompt()):
        pieces.append(piece)  # noqa: PERF401  # what came before an error counts


async def first_pids(stream: AsyncGenerator[str, None], count: int) -> list[int]:
    text = ""
    while len(text.split("\n")) <= count:
        text += await anext(stream)
    return [int(line) for line in text.split()]


def stream(agent: CommandAgent) -> AsyncGenerator[str, None]:
    return cast("AsyncGenerator[str, None]", agent.reply(prompt()))


async def test_the_request_goes_in_and_the_answer_comes_out() -> None:
    assert await answer(CommandAgent(["cat"])) == "hello"


async def test_context_comes_before_the_request() -> None:
    asked = prompt("what now?", context="Bob: the build is red")
    assert await answer(CommandAgent(["cat"]), asked) == "Bob: the build is red\n\nwhat now?"


async def test_a_large_prompt_goes_through_a_program_that_answers_while_it_reads() -> None:
    text = "0123456789" * 100_000
    assert await answer(CommandAgent(["cat"]), prompt(text)) == text


async def test_a_program_that_does_not_read_its_input_answers_all_the_same() -> None:
    assert await answer(shell("exec <&-; echo ready"), prompt("x" * 1_000_000)) == "ready\n"


async def test_the_answer_streams_as_it_is_written() -> None:
    pieces = stream(shell("echo one; sleep 1000"))
    assert await anext(pieces) == "one\n"
    await pieces.aclose()


async def test_a_character_cut_in_two_and_bytes_that_are_no_text_are_handled() -> None:
    script = r"printf '\346\227'; sleep 0.01; printf '\245\377ok\346'"
    assert await answer(shell(script)) == "日\ufffdok\ufffd"


async def test_the_program_learns_session_run_and_sender() -> None:
    names = ["SESSION_KEY", "SESSION_ID", "RUN_ID", "SENDER", "EXTRA"]
    script = "; ".join(f'echo "$OPENCLAW_{name}"' for name in names) + '; test -n "$PATH" && pwd'
    agent = shell(script, env={"OPENCLAW_EXTRA": "more"}, cwd=Path("/"))
    said = await answer(agent, prompt(sender_name="Eve\0\n; rm\ud800 -rf"))
    assert said.splitlines() == ["agent:main:octo:group:g1", "s1", "r1", "Eve ; rm -rf", "more", "/"]


async def test_no_output_and_exit_code_0_is_an_empty_answer() -> None:
    assert await answer(CommandAgent(["true"])) == ""


async def test_another_exit_code_is_an_error_with_the_last_words_of_the_program() -> None:
    agent = shell("echo partial; for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 3")
    pieces: list[str] = []
    with pytest.raises(AgentError) as caught:
        await collect(agent, pieces)
    assert str(caught.value).endswith("ended with exit code 3: line 3 | line 4 | line 5 | line 6 | line 7")
    assert pieces == ["partial\n"]


async def test_the_last_words_are_bounded_and_one_line() -> None:
    script = "import sys; sys.stderr.write('x' * 1_000_000 + '\\x1b[31m\\n' + 'y' * 5000); sys.exit(1)"
    with pytest.raises(AgentError) as caught:
        await answer(CommandAgent([sys.executable, "-c", script]))
    assert len(str(caught.value)) < 1000
    assert str(caught.value).endswith("yyy")


async def test_a_silent_failure_says_that_it_was_silent() -> None:
    with pytest.raises(AgentError, match="exit code 1 and wrote nothing to stderr"):
        await answer(CommandAgent(["false"]))


async def test_a_program_ended_by_a_signal_is_an_error() -> None:
    with pytest.raises(AgentError, match="ended by signal 9"):
        await answer(shell("kill -9 $$"))


@pytest.mark.parametrize(
    ("command", "cwd", "message"),
    [
        (["no-such-program-anywhere"], None, "'no-such-program-anywhere' was not found: install it"),
        (["/"], None, "'/' cannot be started: Permission denied"),
        (["cat"], Path("/no/such/folder"), "working folder /no/such/folder does not exist"),
    ],
)
async def test_a_program_that_cannot_be_started_is_a_clear_error(
    command: Sequence[str], cwd: Path | None, message: str
) -> None:
    with pytest.raises(AgentError, match=message):
        await answer(CommandAgent(command, cwd=cwd))


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(ConfigError, match="command is empty"):
        CommandAgent([])


async def test_too_much_output_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_OUTPUT", 100_000)
    agent = CommandAgent(["yes"])
    pieces: list[str] = []
    with pytest.raises(AgentError, match="more than 100000 bytes"):
        await collect(agent, pieces)
    assert sum(map(len, pieces)) == 100_000


async def test_closing_the_answer_ends_the_whole_process_group() -> None:
    pieces = stream(shell("sleep 1000 & echo $!; echo $$; wait"))
    pids = await first_pids(pieces, 2)
    assert all(alive(pid) for pid in pids)
    await pieces.aclose()
    assert await gone(*pids)


async def test_cancelling_the_answer_ends_the_whole_process_group() -> None:
    pieces = stream(shell("sleep 1000 & echo $!; echo $$; wait"))
    pids = await first_pids(pieces, 2)
    task = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(*pids)


async def test_a_program_that_ignores_sigterm_is_killed_after_the_grace_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "GRACE_S", 0.05)
    pieces = stream(shell("trap '' TERM; echo $$; while :; do sleep 0.01; done"))
    pids = await first_pids(pieces, 1)
    await pieces.aclose()
    assert await gone(*pids)


async def test_a_program_may_say_goodbye_when_it_is_stopped(tmp_path: Path) -> None:
    note = tmp_path / "note"
    pieces = stream(shell(f"trap 'echo saved > {note}; exit 0' TERM; echo $$; while :; do sleep 0.01; done"))
    await first_pids(pieces, 1)
    await pieces.aclose()
    assert note.read_text() == "saved\n"


async def test_a_grandchild_that_holds_the_pipes_open_does_not_hang_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "DRAIN_S", 0.02)
    said = await answer(shell("sleep 1000 & echo $!"))
    assert await gone(int(said))


async def test_a_grandchild_outside_the_group_does_not_hang_the_answer_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DRAIN_S", 0.02)
    note = tmp_path / "pid"
    away = f"setsid sh -c 'echo $$ > {note}; exec sleep 1000' &"
    said = await answer(shell(f"{away} until test -s {note}; do sleep 0.002; done; cat {note}"))
    assert alive(int(said))
    os.kill(int(said), 9)


async def test_a_program_that_closes_its_output_early_is_waited_for() -> None:
    with pytest.raises(AgentError, match="exit code 4: late"):
        await answer(shell("echo done; exec >&-; sleep 0.02; echo late >&2; exit 4"))
