"""A year of an operator, with the program as it is installed: whatever is changed, each mention has one answer."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from openclaw_channel_octo.testing import OctoDouble
from tests.programs import PROGRAM, launched, stopped, up
from tests.until import PATIENCE_S

ANN, FIRST, SECOND = "ann", "first_bot", "second_bot"
TOKENS = {FIRST: "bf_first0token0of0a0year", SECOND: "bf_second0token0of0a0year"}
ROTATED = "bf_another0token0of0a0year"


def last_line(mark: str) -> list[str]:
    """Return an agent program that answers the last line it is given, behind a mark."""
    return ["sed", "-n", f"$s/^/{mark}: /p"]


class Year:
    """One installation, and the people who write to it.

    Args:
        octo: their server.
        folder: the operator's folder; it may move.
    """

    def __init__(self, octo: OctoDouble, folder: Path) -> None:
        self.octo = octo
        self.folder = folder
        self.group = octo.add_group("g1", [ANN, FIRST, SECOND])
        self._asked: list[tuple[str, str]] = []

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "octo.json"

    async def octo_does(self, *words: str | Path, **env: str) -> str:
        """Carry out a command that has to succeed, as the operator does; return what it prints."""
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *words, cwd=self.folder, env={**os.environ, **env}, stdout=PIPE, stderr=STDOUT
        )
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 0, f"{words}: {out.decode()}"
        return out.decode()

    async def init(self, bot: str, *more: str) -> None:
        """Have a bot put into the configuration, without a question."""
        where = ("--yes", "--no-service", "--config", self.config, "--server", self.octo.api_url)
        await self.octo_does("init", *where, "--token-env", "TOKEN", *more, TOKEN=TOKENS[bot])

    @asynccontextmanager
    async def running(self, *bots: str) -> AsyncIterator[Process]:
        """Run the bots meanwhile."""
        process = await launched(self.config, cwd=self.folder)
        for bot in bots:
            await up(self.octo, process, bot)
        yield process
        await stopped(process)

    async def ask(self, bot: str) -> str:
        """Have Ann mention a bot; return what its answer must end with."""
        text = f"question {len(self._asked)}"
        self._asked.append((bot, text))
        await self.octo.say(ANN, self.group, text, mention=[bot])
        return text

    async def answered(self, bot: str) -> str:
        """Have Ann mention a bot; return its answer."""
        text = await self.ask(bot)
        await self.octo.wait_for(lambda: text in self.answers(bot), timeout=PATIENCE_S)
        return self.answers(bot)[text]

    def answers(self, bot: str) -> dict[str, str]:
        """Return what a bot has answered, by what it was asked."""
        said = (line.text for line in self.octo.chat(self.group) if line.from_uid == bot)
        return {text[-len(f"question {n}") :]: text for text in said for n in [text.rpartition(" ")[2]]}

    def change(self, *path: str, to: object) -> None:
        """Change a value of the configuration by hand."""
        content = json.loads(self.config.read_text())
        block = content
        for key in path[:-1]:
            block = block[key]
        block[path[-1]] = to
        self.config.write_text(json.dumps(content))

    def outcome(self) -> dict[str, int]:
        """Return how often each question was answered."""
        said = [line.text for line in self.octo.chat(self.group) if line.from_uid in TOKENS]
        found = Counter(f"question {text.rpartition(' ')[2]}" for text in said)
        return {text: found[text] for _, text in self._asked}


@asynccontextmanager
async def year(folder: Path) -> AsyncIterator[Year]:
    folder.mkdir()
    async with OctoDouble() as octo:
        octo.add_person(ANN, "Ann")
        for bot, token in TOKENS.items():
            octo.add_bot(bot, token, name=bot, owner=ANN)
        yield Year(octo, folder)


async def test_bots_are_added_and_changed_backed_up_restored_and_moved_and_each_mention_has_one_answer(
    tmp_path: Path,
) -> None:
    async with year(tmp_path / "bots") as it:
        await it.init(FIRST, "--account", "first", "--agent", "program", "--command", "cat")
        it.change("host", "agent", "command", to=last_line("one"))
        async with it.running(FIRST):
            assert (await it.answered(FIRST)).startswith("one: ")
            before = connections(it.octo, FIRST)

            await it.init(SECOND, "--add", "--account", "second")
            assert (await it.answered(SECOND)).startswith("one: ")

            it.change("host", "agent", "command", to=last_line("two"))
            await it.octo_does("reload", "--config", it.config)
            assert (await it.answered(FIRST)).startswith("two: ")
            assert connections(it.octo, FIRST) == before, (
                "the other changes cost the first bot its connection"
            )

            it.octo.change_token(SECOND, ROTATED)
            (secret,) = (file for file in it.folder.rglob("*") if _holds(file, TOKENS[SECOND]))
            secret.write_text(ROTATED)
            await it.octo_does("reload", "--config", it.config)
            await it.answered(SECOND)

        await it.ask(FIRST)
        backup = tmp_path / "backup"
        shutil.copytree(it.folder, backup)
        async with it.running(FIRST, SECOND):
            await it.answered(FIRST)
        await it.ask(SECOND)

        shutil.rmtree(it.folder)
        it.folder = tmp_path / "another place"
        shutil.copytree(backup, it.folder)
        async with it.running(FIRST, SECOND):
            await it.answered(FIRST)
            await it.answered(SECOND)
            audit = await it.octo_does("journal", "audit", "--config", it.config)

    assert set(it.outcome().values()) == {1}, f"{it.outcome()}\n{audit}"


def connections(octo: OctoDouble, bot: str) -> int:
    """Return how often a bot has asked for a connection so far."""
    return sum(call.bot == bot and call.name == "register" for call in octo.calls)


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.suffix != ".sqlite" and text in file.read_text(errors="replace")
