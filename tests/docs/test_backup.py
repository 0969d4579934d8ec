"""The commands of docs/backup.md, run on the folder of bots that are running."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from openclaw_channel_octo.testing import ScriptedHost
from tests.cli.asking import command, controlled
from tests.docs.test_docs import DOCS
from tests.runtime.rig import ANN, Rig, python_agent

TOOLS = ("sqlite3", "tar", "bash")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}, which the document uses"
)


def block(heading: str) -> str:
    """Return the commands below a heading of the document."""
    _, _, part = (DOCS / "backup.md").read_text().partition(f"## {heading}\n")
    found = re.search(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def carry_out(commands: str, folder: Path) -> str:
    shell = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(shell, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def test_a_backup_of_running_bots_is_restored_and_nothing_is_lost_or_answered_twice(rig: Rig) -> None:
    folder = rig.state_dir.parent
    agent = python_agent("print('fine') if 'before' in prompt else time.sleep(600)")
    await rig.start(rig.config(agent=agent))
    async with controlled(rig):
        before = await rig.mentioned("before the backup")
        running = await rig.mention("during it")
        await rig.until_session("running")
        carry_out(block("Backup"), folder)
    await rig.stop()

    await rig.start(rig.config(), ScriptedHost())
    after = [await rig.mentioned("after the backup"), await rig.octo.say(ANN, rig.dm, "directly")]
    await rig.until_answered(running, *after)
    await rig.stop()
    said, missed = rig.said(), await rig.mention("afterwards")

    carry_out(block("Restore"), folder)
    assert {path.name for path in rig.state_dir.iterdir()} == {"octo.sqlite", "agents"}
    again = await rig.start_with(ScriptedHost())
    await rig.until_answered(before, running, *after, missed)
    assert [turn.message_id for turn in again.turns] == [missed]
    assert rig.said() == [*said, "echo: @Helper afterwards"]


async def test_a_backup_is_looked_into_by_the_commands_of_the_document(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.start_with(ScriptedHost())
    await rig.mentioned("keep this")
    carry_out(block("Backup"), rig.state_dir.parent)
    await rig.stop()
    monkeypatch.chdir(rig.state_dir.parent)
    checks = block("Is it good?").splitlines()
    assert carry_out(checks[0], rig.state_dir.parent) == "ok\n"
    shown = [await command(*line.split()[1:]) for line in checks[1:]]
    assert "answered" in shown[0].output
    assert (rig.state_dir.with_name("backup").stat().st_mode & 0o777) == 0o700
