"""Leases between real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.store.leases import FileLease, lease_folder

HOLDER = """
import asyncio, sys, time
from pathlib import Path
from openclaw_channel_octo.store.leases import FileLease
lease = FileLease(Path(sys.argv[1]), "bot")
print(asyncio.run(lease.acquire()), flush=True)
time.sleep(60)
"""


async def test_a_lease_is_held_by_one_at_a_time_and_can_be_given_back(tmp_path: Path) -> None:
    one, two = FileLease(tmp_path, "bot"), FileLease(tmp_path, "bot")
    assert await one.acquire()
    assert await one.acquire()
    assert not await two.acquire()
    assert two.holder() == f"process {os.getpid()}"
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
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"True\n"
    lease = FileLease(tmp_path, "bot")
    assert not await lease.acquire()
    assert lease.holder() == f"process {holder.pid}"
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
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
