"""docs/tutorial.md does what it says, over the double; ``make docs`` writes the dialogue it shows anew."""

import asyncio
import json
import os
import re
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_channel_octo.cli.setup.finish import service_offered
from tests.docs.test_docs import DOCS
from tests.programs import PROGRAM, double_answers, launched, serving_double, stopped
from tests.terminal import Terminal, on_a_terminal

PAGE = DOCS / "tutorial.md"
ADDRESS = "http://127.0.0.1:8090"
"""Where the tutorial's double is; the test's is somewhere else."""

SHOWN = re.compile(r"(<!-- begin generated: init -->\n).*?(<!-- end generated: init -->)", re.DOTALL)


def commands() -> Iterator[str]:
    """Yield the commands of the page in their order, but those that install."""
    page = PAGE.read_text().partition("## 2.")[2]
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        yield from filter(None, re.sub(r"\\\n *", "", block).split("\n"))
    yield from re.findall(r"^`(curl .*)`", page, re.MULTILINE)


async def shell(line: str, folder: Path) -> None:
    """Carry out a command that has to succeed."""
    env = {**os.environ, "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_shell(line, cwd=folder, env=env, stdout=PIPE, stderr=STDOUT)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, f"{line}: {out.decode()}"


async def talk(terminal: Terminal, server: str, token: str, *more: tuple[str, str]) -> str:
    """Answer what `init` asks; return what was on the screen."""
    for question, answer in (
        ("Server's address", server),
        ("Bot's token", token),
        ("Name for the bot", ""),
        *more,
    ):
        await terminal.answer(question, answer)
    assert await terminal.ended() == 0
    return terminal.screen


def same(screen: str, folder: Path, server: str) -> str:
    """Return what was on the screen with what differs from run to run replaced."""
    text = screen.replace(server, ADDRESS).replace(str(folder), "/home/ann/bots")
    for pattern, instead in (
        (r"[\d,]+ MB are free", "51,200 MB are free"),
        (r"openclaw-channel-octo [\d.]+", "openclaw-channel-octo 1.0.0"),
        (r"Python [\d.]+", "Python 3.13.5"),
    ):
        text = re.sub(pattern, instead, text)
    return text


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial uses curl")
async def test_the_tutorial_leads_to_an_answer(tmp_path: Path) -> None:
    double, init, run, say, check, add, script, second = commands()
    assert (double, init) == ("openclaw-octo double", "openclaw-octo init")
    assert run == "openclaw-octo run --config octo.json"
    async with serving_double() as said:
        server = said["apiUrl"]
        async with on_a_terminal(PROGRAM, *init.split()[1:], cwd=tmp_path) as terminal:
            service = (("Run it as a service", "n"),) if service_offered() else ()
            screen = await talk(terminal, server, "bf_double", ("Which", "4"), *service)
        bot = await launched(tmp_path / "octo.json")
        try:
            await shell(say.replace(ADDRESS, server), tmp_path)
            await double_answers(said["page"])
        finally:
            await stopped(bot)
        await shell(check, tmp_path)
        await shell(second.replace(ADDRESS, server), tmp_path)
        async with on_a_terminal(PROGRAM, *add.split()[1:], cwd=tmp_path) as terminal:
            await talk(terminal, "", "bf_second")
        await shell(script.replace(ADDRESS, server), tmp_path)

    accounts = json.loads((tmp_path / "octo.json").read_text())["channels"]["octo"]["accounts"]
    assert list(accounts) == ["bot", "bot-2"]
    shown = f"\n```\n$ openclaw-octo init\n{same(screen, tmp_path, server)}```\n\n"
    page = PAGE.read_text()
    if os.environ.get("OCTO_DOCS") == "write":
        PAGE.write_text(SHOWN.sub(lambda found: found[1] + shown + found[2], page))
    else:
        assert shown in page, "`make docs` renews it"
