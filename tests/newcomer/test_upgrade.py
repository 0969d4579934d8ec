"""A state folder of an earlier release, killed in the middle of a turn, is taken up by this one.

``OCTO_STATE=write`` records one of the release at hand into ``fixtures/state``; each stays there for good.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from openclaw_channel_octo import __version__
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import OctoDouble
from tests.programs import launched, stopped, up, write
from tests.until import PATIENCE_S, until

STATES = Path(__file__).parents[2] / "fixtures" / "state"
ANN, HELPER, TOKEN = "ann", "helper_bot", "bf_0123456789abcdef"
ANSWERED = ("question 0", "question 1")
OPEN, LATER = "question 2", "question 3"
ANNOUNCED = "⚠️ Previous session failed"


def configured(octo: OctoDouble, folder: Path, *agent: str) -> Path:
    accounts = {"helper": {"botToken": TOKEN}}
    host = {"stateDir": str(folder / "state"), "agent": {"kind": "command", "command": list(agent)}}
    return write(folder, {"channels": {"octo": {"apiUrl": octo.api_url, "accounts": accounts}}, "host": host})


def server() -> tuple[OctoDouble, ChannelRef]:
    """Return a server as it was at the recording, and is again: ids depend on nothing but what was said."""
    octo = OctoDouble()
    octo.add_person(ANN, "Ann")
    octo.add_bot(HELPER, TOKEN, name="Helper", owner=ANN)
    return octo, octo.add_group("g1", [ANN, HELPER])


def said(octo: OctoDouble, group: ChannelRef) -> list[str]:
    """Return the bot's answers, and notices in their place."""
    lines = (line.text for line in octo.chat(group) if line.from_uid == HELPER)
    return [line for line in lines if not line.startswith(ANNOUNCED)]


async def asked(octo: OctoDouble, group: ChannelRef, text: str) -> None:
    """Have Ann ask something, and wait until one more line of the bot answers it."""
    before = len(said(octo, group))
    await octo.say(ANN, group, text, mention=[HELPER])
    await octo.wait_for(lambda: len(said(octo, group)) > before, timeout=PATIENCE_S)


@pytest.mark.skipif(
    os.environ.get("OCTO_STATE") != "write", reason="records a state folder: OCTO_STATE=write"
)
async def test_record_a_state_folder(tmp_path: Path) -> None:
    octo, group = server()
    async with octo:
        bot = await launched(configured(octo, tmp_path, "sed", "-n", "$s/^/you said: /p"))
        await up(octo, bot, HELPER)
        for text in ANSWERED:
            await asked(octo, group, text)
        await stopped(bot)
        bot = await launched(configured(octo, tmp_path, "sleep", "600"))
        await up(octo, bot, HELPER)
        await octo.say(ANN, group, OPEN, mention=[HELPER])
        sessions = tmp_path / "state" / "agents" / "main" / "sessions" / "sessions.json"
        await until(lambda: '"running"' in sessions.read_text())
        bot.kill()
        await bot.wait()
    with closing(sqlite3.connect(tmp_path / "state" / "octo.sqlite")) as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(
        tmp_path / "state",
        STATES / __version__,
        ignore=shutil.ignore_patterns("*.lock", "*.sock", "*-shm", "*-wal"),
    )


@pytest.mark.parametrize("release", sorted(folder.name for folder in STATES.iterdir()))
async def test_what_was_answered_stays_answered_and_what_was_open_gets_its_end(
    release: str, tmp_path: Path
) -> None:
    shutil.copytree(STATES / release, tmp_path / "state")
    octo, group = server()
    async with octo:
        for text in ANSWERED:
            await octo.say(ANN, group, text, mention=[HELPER])
            await octo.start_typing(HELPER, group)  # takes a message id, as it did then
            await octo.say(HELPER, group, f"you said: @Helper {text}")
        await octo.say(ANN, group, OPEN, mention=[HELPER])

        bot = await launched(configured(octo, tmp_path, "sed", "-n", "$s/^/you said: /p"))
        await up(octo, bot, HELPER)
        await octo.wait_for(lambda: len(said(octo, group)) == len(ANSWERED) + 1, timeout=PATIENCE_S)
        await asked(octo, group, LATER)
        log = await stopped(bot)

    *before, _, last = said(octo, group)
    assert before == [f"you said: @Helper {text}" for text in ANSWERED], log
    assert last.endswith(LATER), log
