"""What agents leave is removed however it is made, and nothing else is."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.removal import remove
from openclaw_channel_octo.testing.clock import ManualClock
from tests.hostile.test_output_folder import nested

NOBODY = 65_534


@pytest.fixture
def around() -> Iterator[Path]:
    """An empty folder, in memory where that can be: 100,000 folders take a disk minutes."""
    memory = Path("/dev/shm")  # a folder of its own is made there
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def plain_user(around: Path) -> Iterator[None]:
    """Be a user without privileges, to whom modes mean something."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(around, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def removed(around: Path, name: str) -> None:
    descriptor = os.open(around, os.O_RDONLY)
    try:
        remove(name, descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("depth", [1, 1_500, 100_000])
def test_folders_in_one_another_are_removed_however_deep(around: Path, depth: int) -> None:
    (around / "run").mkdir()
    nested(around / "run", depth, "d" * 200)
    removed(around, "run")
    assert list(around.iterdir()) == []


def test_everything_goes_and_what_links_lead_to_stays(around: Path, tmp_path: Path) -> None:
    run = around / "run"
    for folder in ("a/b/c", "a/d", "e"):
        (run / folder).mkdir(parents=True)
        (run / folder / "file").write_text("x")
        os.mkfifo(run / folder / "pipe")
    (tmp_path / "kept").write_text("kept")
    (run / "a" / "link").symlink_to(tmp_path)
    (run / "a" / "b" / "file2").hardlink_to(run / "e" / "file")
    (around / "link").symlink_to(tmp_path)
    for name in ("run", "link", "nothing"):
        removed(around, name)
    assert list(around.iterdir()) == []
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.usefixtures("plain_user")
@pytest.mark.parametrize("mode", [0o000, 0o100, 0o300, 0o500])
def test_folders_that_forbid_their_owner_everything_are_removed(around: Path, mode: int) -> None:
    for name in ("a", "a/b", "a/b/c", "a/b/c/d", "a/b2"):
        (around / name).mkdir()
        (around / name / "file").touch()
    for name in ("a/b/c/d", "a/b/c", "a/b2", "a/b", "a"):
        (around / name).chmod(mode)
    removed(around, "a")
    assert list(around.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave something of another user")
def test_what_cannot_be_removed_stays_alone_and_is_told(around: Path) -> None:
    (around / "run" / "theirs").mkdir(parents=True)
    (around / "run" / "theirs" / "file").touch()
    (around / "run" / "ours" / "deep").mkdir(parents=True)
    for name in (".", "run", "run/ours", "run/ours/deep"):
        os.chown(around / name, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError):
            removed(around, "run")
    finally:
        os.seteuid(0)
    assert [path.name for path in (around / "run").iterdir()] == ["theirs"]


async def test_a_run_that_is_cancelled_before_it_begins_leaves_neither_folder_nor_descriptor(
    tmp_path: Path,
) -> None:
    outputs = Outputs(tmp_path, ManualClock())
    making = asyncio.create_task(outputs.make("run"))
    await asyncio.sleep(0)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await outputs.make("next")  # behind it
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["next"]
    outputs.release("next")
    assert not [fd for fd in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(fd)]


async def test_a_run_whose_folder_cannot_be_made_leaves_those_begun_with_it_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "output").mkdir(mode=0o700)
    (tmp_path / "output" / "two").symlink_to(tmp_path)
    outputs = Outputs(tmp_path, ManualClock())
    await asyncio.gather(*map(outputs.make, ("one", "two", "three")))
    assert "no folder for files of answers can be made" in caplog.text
    for run_id in ("one", "three"):
        assert (tmp_path / "output" / run_id).is_dir()
        outputs.release(run_id)


async def test_folders_of_runs_are_their_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        outputs = Outputs(tmp_path, ManualClock())
        await outputs.make("run")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "output", outputs.folder / "run")] == [
        0o700
    ] * 2
    outputs.release("run")
