"""`init`: from a server and a token to a file that runs, over the double."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.asking import call, command
from tests.programs import PROGRAM, launched, stopped, up
from tests.runtime.rig import HELPER, TOKEN, Rig
from tests.terminal import on_a_terminal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    return folder / "octo.json"


async def made(rig: Rig, file: Path, *options: object, code: int = 0, server: str = "") -> Result:
    """Carry out `init` for a script that has the token in a variable; nothing it prints holds it."""
    words = (
        "--yes",
        "--config",
        file,
        "--server",
        server or rig.octo.api_url,
        "--token-env",
        "GIVEN",
        *options,
    )
    result = await command("init", *words, code=code, env={"GIVEN": TOKEN})
    assert TOKEN not in result.output
    return result


async def test_what_a_script_makes_runs_and_answers(rig: Rig, file: Path) -> None:
    result = await made(rig, file)

    assert f"Next: openclaw-octo run --config {file}" in result.stdout
    assert TOKEN not in file.read_text()
    written = [file, *file.parent.glob("octo.secrets/*")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in written] == [0o600, 0o600]
    assert not rig.calls("register")
    assert "fine, 1 account, 1 on" in call("config", "check", file).stdout
    process = await launched(file)
    await up(rig.octo, process, HELPER)
    await rig.mention("hello")
    assert await rig.until_said(1)
    await stopped(process)


async def test_a_person_is_asked_again_until_the_answers_work(rig: Rig, file: Path) -> None:
    async with on_a_terminal(PROGRAM, "init", cwd=file.parent) as terminal:
        await terminal.answer("Server's address:", "no address")
        await terminal.answer("Bot's token", "bf_wrong")
        await terminal.answer(
            "without user, query or fragment\nServer's address [no address]:", rig.octo.api_url
        )
        await terminal.answer("the bot token is refused", TOKEN)
        await terminal.answer("takes the token\nName for the bot in logs and commands [bot]:", "my desk")
        await terminal.answer("no - first\nName for the bot in logs and commands [bot]:", "desk")
        await terminal.answer("Which [1]:", "2")
        await terminal.answer("Command line:", "none-of-that-name --quiet")
        await terminal.answer("there is no such program\nCommand line:", "sed 's/^/heard: /'")
        await terminal.answer("Ask the agent for a word now? It may cost something [Y/n]:", "y")
        code = await terminal.ended()

    assert code == 0
    assert "agent's answer" in terminal.screen
    assert terminal.screen.endswith("Then mention the bot in a group it is in, or write to it.\n")
    assert TOKEN not in terminal.screen
    written = json.loads(file.read_text())
    assert written["host"]["agent"] == {"kind": "command", "command": ["sed", "s/^/heard: /"], "cwd": "."}
    assert list(written["channels"]["octo"]["accounts"]) == ["desk"]
