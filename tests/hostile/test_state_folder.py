"""Another user of the machine: nothing of a state folder is theirs to read, to hold up, or to lead elsewhere."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import pytest

from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.testing.host import ScriptedHost
from tests.programs import PROGRAM, write
from tests.runtime.rig import Rig, python_agent

NOBODY = 65_534
LEFT = (
    "octo.sqlite",
    "octo.sqlite-wal",
    "octo.sqlite-shm",
    "host.lock",
    "agents/main/sessions/old.jsonl",
    "notes",
)

THIEF = 'for file in "$@"; do head -c 1 "$file" >/dev/null 2>&1 && echo "$file"; done; true'

AGENT = """
open(os.environ["OPENCLAW_OUTPUT"] + "/made.txt", "w").write("made")
print("done\\nMEDIA:made.txt")
"""


@pytest.fixture
def careless() -> Iterator[None]:
    """A process whose files are everybody's unless it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of everything in a folder that other users may do anything with."""
    found = {path: path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return {str(path): stat.S_IMODE(mode) for path, mode in found.items() if mode & 0o077}


@pytest.mark.usefixtures("careless")
async def test_an_open_state_folder_is_closed_with_all_that_lies_in_it_and_one_line_says_so(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.start(rig.config())
    await rig.mentioned("first")
    await rig.stop()
    with closing(sqlite3.connect(rig.state_dir / "octo.sqlite")) as left:
        left.execute(
            "PRAGMA user_version"
        ).fetchone()  # keeps the two files beside it, as a killed process does
        for name in LEFT:
            (rig.state_dir / name).touch()
        open_to_all(rig.state_dir)
        await rig.start(rig.config(agent=python_agent(AGENT)))
        assert modes(rig.state_dir) == {}
        await rig.mentioned("second")
        await rig.stop(drain_s=600)  # what the agent made, as it liked, is gone then
        assert modes(rig.state_dir) == {}
    told = [record for record in caplog.records if str(rig.state_dir) in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "was open to other users (mode 0777)" in told[0].getMessage()


@pytest.mark.usefixtures("careless")
async def test_what_a_closed_folder_of_old_holds_is_closed_when_it_is_used(rig: Rig) -> None:
    await rig.start(rig.config())
    await rig.mentioned("first")
    await rig.stop()
    open_to_all(rig.state_dir)
    rig.state_dir.chmod(0o700)
    await rig.start(rig.config())
    await rig.mentioned("second")
    files = [
        rig.state_dir / "octo.sqlite",
        *rig.state_dir.glob("*.lock"),
        *rig.sessions_file.parent.glob("*"),
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
async def test_another_user_cannot_open_any_file_of_running_bots_to_read_or_lock_it(rig: Rig) -> None:
    rig.state_dir = Path(mkdtemp(dir="/tmp")) / "state"
    rig.state_dir.parent.chmod(0o755)
    try:
        rig.state_dir.mkdir(mode=0o755)
        await rig.start(rig.config())
        await rig.mentioned("a secret")
        files = [path for path in rig.state_dir.rglob("*") if path.is_file()]
        command = ["/bin/sh", "-c", THIEF, "thief", *map(str, files)]
        thief = await asyncio.to_thread(
            subprocess.run, command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True
        )
        assert len(files) > 5
        assert (thief.returncode, thief.stdout) == (0, b"")
    finally:
        await rig.stop()
        shutil.rmtree(rig.state_dir.parent)


@pytest.mark.parametrize("scripted", [True, False], ids=["the channel alone", "with the embedded host"])
async def test_a_state_folder_of_another_user_is_refused_before_anything_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, *, scripted: bool
) -> None:
    rig.state_dir.mkdir()
    rig.state_dir.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: rig.state_dir.stat().st_uid + 1)
    with pytest.raises(OctoError, match=r"it belongs to .*run this as its owner.*host\.stateDir"):
        await rig.start_blind(rig.config(), ScriptedHost() if scripted else None)
    assert list(rig.state_dir.iterdir()) == []
    assert stat.S_IMODE(rig.state_dir.stat().st_mode) == 0o777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("kind", ["embedded", "gateway"])
def test_root_is_refused_in_somebody_elses_folder_too(rig: Rig, tmp_path: Path, kind: str) -> None:
    rig.state_dir.mkdir()
    os.chown(rig.state_dir, NOBODY, NOBODY)
    config = rig.config()
    if kind == "gateway":
        config["host"] = {
            "kind": "gateway",
            "stateDir": str(rig.state_dir),
            "url": "ws://127.0.0.1:1",
            "token": "t",
        }
    file = write(tmp_path, config)
    done = subprocess.run([PROGRAM, "run", "--config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert f"cannot start: {rig.state_dir} cannot be used (it belongs to " in done.stderr
    assert list(rig.state_dir.iterdir()) == []


def _link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("plant", [_link, _pipe])
@pytest.mark.parametrize("name", ["octo.sqlite-wal", "octo.sqlite-shm", "octo.sqlite-journal", "host.lock"])
async def test_what_somebody_planted_in_the_place_of_a_file_is_neither_followed_nor_waited_for(
    rig: Rig, tmp_path: Path, name: str, plant: Callable[[Path, Path], None]
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    target.chmod(0o644)
    rig.state_dir.mkdir(mode=0o700)
    plant(rig.state_dir / name, target)
    with pytest.raises(OctoError, match=name):
        await rig.start_blind(rig.config())
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("precious", 0o644)


@pytest.mark.parametrize("plant", [_link, _pipe])
@pytest.mark.parametrize("suffix", ["lock", "log", "tmp", "bak.tmp"])
async def test_what_somebody_planted_beside_the_sessions_changes_no_other_file_and_no_answer(
    rig: Rig, tmp_path: Path, suffix: str, plant: Callable[[Path, Path], None]
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    rig.sessions_file.parent.mkdir(parents=True)
    plant(rig.sessions_file.with_name(f"sessions.json.{suffix}"), target)
    await rig.start(rig.config())
    await rig.mentioned("go")
    assert target.read_text() == "precious"
