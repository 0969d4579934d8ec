"""Leases between real processes."""

import asyncio
import errno
import os
import re
import resource
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
from openclaw_channel_octo.runtime.connection.holders import process_words
from openclaw_channel_octo.runtime.connection.lease import lease_folder

HOLDER = """
import asyncio, sys, time
from pathlib import Path
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
lease = FileLease(Path(sys.argv[1]), "bot")
print(asyncio.run(lease.acquire()), flush=True)
time.sleep(60)
"""

HOLDER_WITH_CHILD = """
import asyncio, subprocess, sys, time
from pathlib import Path
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
lease = FileLease(Path(sys.argv[1]), "bot")
assert asyncio.run(lease.acquire())
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL,
    close_fds=False)
print(child.pid, flush=True)
time.sleep(60)
"""

OLD_HOLDER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print(flush=True)
time.sleep(60)
"""

TAKER = """
import asyncio, sys
from pathlib import Path
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
lease = FileLease(Path(sys.argv[1]), sys.argv[2])
free = asyncio.run(lease.acquire())
print(free, "" if free else lease.holder())
"""


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def other_process_takes(folder: Path, name: str) -> str:
    """Return whether another process gets a lease, and else who has it as it sees it."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", TAKER, folder, name, stdout=PIPE)
    out, _ = await process.communicate()
    return out.decode().removesuffix("\n")


async def holding(source: str, path: Path) -> tuple[Process, bytes]:
    """Start a program that holds something; return it with the line that says so."""
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", source, path, stdout=PIPE)
    assert holder.stdout is not None
    return holder, await holder.stdout.readline()


async def test_a_lease_is_held_by_one_at_a_time_and_can_be_given_back(tmp_path: Path) -> None:
    one, two = FileLease(tmp_path, "bot"), FileLease(tmp_path, "bot")
    assert await one.acquire()
    assert await one.acquire()
    assert not await two.acquire()
    assert two.holder() == process_words(os.getpid())
    await one.release()
    await one.release()
    assert await two.acquire()
    await two.release()


async def test_bots_do_not_share_a_lease_and_their_tokens_do_not_reach_the_disk(tmp_path: Path) -> None:
    one, two = FileLease(tmp_path, "https://x bf_secret1"), FileLease(tmp_path, "https://x bf_secret2")
    assert await one.acquire()
    assert await two.acquire()
    assert not [
        file for file in tmp_path.iterdir() if "secret" in file.name or b"secret" in file.read_bytes()
    ]
    await one.release()
    await two.release()


async def test_a_killed_holder_loses_its_lease_at_once(tmp_path: Path) -> None:
    holder, told = await holding(HOLDER, tmp_path)
    assert told == b"True\n"
    lease = FileLease(tmp_path, "bot")
    assert not await lease.acquire()
    assert lease.holder() == process_words(holder.pid)
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    assert await lease.acquire()
    await lease.release()


async def test_an_acquisition_that_is_cancelled_leaves_nothing_held(tmp_path: Path) -> None:
    for steps in range(4):
        lease, other = FileLease(tmp_path, "bot"), FileLease(tmp_path, "bot")
        taking = asyncio.create_task(lease.acquire())
        for _ in range(steps):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        if not taking.cancelled():
            await lease.release()
        assert await other.acquire(), f"cancelled after {steps} steps"
        await other.release()


async def test_all_leases_of_a_process_take_one_descriptor_which_the_last_one_closes(tmp_path: Path) -> None:
    before = open_descriptors()
    leases = [FileLease(tmp_path, f"bot {number}") for number in range(200)]
    assert all([await lease.acquire() for lease in leases])
    assert open_descriptors() == before + 1
    for lease in leases:
        await lease.release()
    assert open_descriptors() == before


async def test_giving_back_looking_and_failing_to_take_drop_no_other_lease_of_the_process(
    tmp_path: Path,
) -> None:
    kept, given_back = FileLease(tmp_path, "bot"), FileLease(tmp_path, "other")
    assert await kept.acquire()
    assert await given_back.acquire()
    again = FileLease(tmp_path, "bot")
    assert not await again.acquire()
    assert again.holder() == process_words(os.getpid())
    await given_back.release()
    await again.release()
    assert await other_process_takes(tmp_path, "bot") == f"False {process_words(os.getpid())}"
    assert await other_process_takes(tmp_path, "other") == "True "
    await kept.release()
    assert await other_process_takes(tmp_path, "bot") == "True "


async def test_a_lease_is_one_however_the_way_to_its_folder_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    one = FileLease(tmp_path / "real" / "leases", "bot")
    two = FileLease(tmp_path / "link" / "leases", "bot")
    assert await one.acquire()
    assert not await two.acquire()
    await one.release()
    assert await two.acquire()
    await two.release()


async def test_a_program_that_outlives_a_killed_bot_does_not_keep_its_lease(tmp_path: Path) -> None:
    holder, child = await holding(HOLDER_WITH_CHILD, tmp_path)
    holder.kill()
    await holder.wait()
    try:
        lease = FileLease(tmp_path, "bot")
        assert await lease.acquire()
        await lease.release()
    finally:
        os.kill(int(child), signal.SIGKILL)


async def test_files_of_earlier_versions_go_unless_a_process_still_holds_them(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / ("a" * 32 + ".lease"), isolation_level=None)
    old.execute("BEGIN EXCLUSIVE")
    old.close()
    for name in ("b.lease", "b.lease-journal", "b.pid", "kept.sock"):
        (tmp_path / name).write_text("1")
    running, _ = await holding(OLD_HOLDER, tmp_path / "c.lease")
    lease = FileLease(tmp_path, "bot")
    assert await lease.acquire()
    left = sorted(path.name for path in tmp_path.iterdir())
    await lease.release()
    running.kill()
    await running.wait()
    assert left == ["c.lease", "c.lease-journal", "kept.sock", "leases"]


def blocked_by_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def within_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "leases"


def with_a_folder_in_place_of_the_file(folder: Path) -> Path:
    (folder / "leases").mkdir()
    return folder


def with_a_link_in_place_of_the_file(folder: Path) -> Path:
    (folder / "leases").symlink_to(folder / "elsewhere")
    return folder


def missing(folder: Path) -> Path:
    return folder / "no" / "such"


@pytest.mark.parametrize(
    "broken",
    [
        blocked_by_a_file,
        within_a_file,
        with_a_folder_in_place_of_the_file,
        with_a_link_in_place_of_the_file,
        missing,
    ],
)
async def test_a_folder_that_cannot_be_used_is_told_with_what_to_do_and_is_held_by_nobody(
    tmp_path: Path, broken: Callable[[Path], Path]
) -> None:
    folder = broken(tmp_path)
    with pytest.raises(StoreError, match=re.escape(str(folder)) + ".*XDG_RUNTIME_DIR") as caught:
        await FileLease(folder, "bot").acquire()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EACCES, "XDG_RUNTIME_DIR"),
        (errno.EIO, "XDG_RUNTIME_DIR"),
        (errno.ENFILE, "fs.file-max"),
    ],
)
async def test_a_read_only_full_or_broken_disk_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """Injected: such disks need rights that a test does not have."""

    def refuse(path: Path, *_: Any) -> int:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("openclaw_channel_octo.runtime.connection.file_lease.os.open", refuse)
    with pytest.raises(StoreError, match=advice) as caught:
        await FileLease(tmp_path, "bot").acquire()
    assert os.strerror(number) in str(caught.value)
    assert caught.value.retryable == (number == errno.ENFILE)


async def test_a_file_system_without_locks_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with monkeypatch.context() as patch:
        patch.setattr("openclaw_channel_octo.runtime.connection.file_lease.fcntl.lockf", refuse)
        with pytest.raises(StoreError, match="no more locks"):
            await FileLease(tmp_path, "bot").acquire()
    lease = FileLease(tmp_path, "bot")
    assert await lease.acquire()
    await lease.release()


async def test_without_descriptors_the_lease_is_held_by_nobody_and_waiting_helps(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lease = FileLease(tmp_path, "bot")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(StoreError, match="ulimit -n") as caught:
            await lease.acquire()
        assert lease.holder() == "another process"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.retryable
    assert await lease.acquire()
    await lease.release()


async def test_a_folder_somebody_else_put_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="somebody else"):
        await FileLease(tmp_path / "link", "bot").acquire()


def test_leases_lie_in_the_users_runtime_folder_where_there_is_one(tmp_path: Path) -> None:
    assert lease_folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "openclaw-octo"
    assert lease_folder({"XDG_RUNTIME_DIR": "relative"}).name == f"openclaw-octo-{os.getuid()}"
    assert lease_folder({}).name == f"openclaw-octo-{os.getuid()}"
