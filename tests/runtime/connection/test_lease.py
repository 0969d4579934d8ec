"""The lease of a bot between processes that have neither environment nor user in common."""

import asyncio
import errno
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.runtime.connection import lease as leases
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
from openclaw_channel_octo.runtime.connection.holders import UNKNOWN, process_words
from openclaw_channel_octo.runtime.connection.lease import MachineLease, lease_folder
from openclaw_channel_octo.runtime.connection.socket_lease import SocketLease
from tests.others import NOBODY, apart, as_user, read_only

URL = "http://octo.test/api"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has abstract sockets")

TAKE = """
import asyncio, os, subprocess, sys, time
from openclaw_channel_octo.runtime.connection.lease import MachineLease, lease_folder
lease = MachineLease(sys.argv[1], sys.argv[2], lease_folder())
free = asyncio.run(lease.acquire())
"""
TELL = "print(free, lease.holder(), flush=True)\n"
TAKER = TAKE + TELL
HOLDER = f"{TAKER}time.sleep(60)"
RUNS_A_PROGRAM = f"""{TAKE}
subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
{TELL}time.sleep(60)
"""
FORKS = f"""{TAKE}
readable, writable = os.pipe()
if os.fork():
    os.read(readable, 1)
    {TELL}
else:
    os.close(1)
    os.write(writable, b"runs")
time.sleep(60)
"""

Ask = Callable[..., Awaitable[tuple[Process, str]]]
WAYS: dict[str, dict[str, Any]] = {
    "the same environment": {},
    "another XDG_RUNTIME_DIR": {"XDG_RUNTIME_DIR": "{}"},
    "another TMPDIR": {"XDG_RUNTIME_DIR": None, "TMPDIR": "{}"},
    "no HOME": {"XDG_RUNTIME_DIR": None, "HOME": None},
    "no environment at all": dict.fromkeys(set(os.environ) - {"PATH", "PYTHONPATH"}),
    "a folder that cannot be used": {"XDG_RUNTIME_DIR": None, "TMPDIR": "/proc"},
}


@pytest.fixture
def token() -> str:
    return f"bf_{secrets.token_hex(16)}"


@pytest.fixture
async def ask(token: str, tmp_path: Path) -> AsyncIterator[Ask]:
    """Let another process take the lease; tell what it says."""
    started: list[Process] = []

    async def start(
        program: str = TAKER,
        env: dict[str, str | None] | None = None,
        before: tuple[str, ...] = (),
        place: str | Path = URL,
        **how: Any,
    ) -> tuple[Process, str]:
        changes = {name: value and value.format(tmp_path) for name, value in (env or {}).items()}
        around = {name: value for name, value in (os.environ | changes).items() if value is not None}
        process = await asyncio.create_subprocess_exec(
            *(*before, sys.executable, "-c", program, place, token), stdout=PIPE, env=around, **how
        )
        started.append(process)
        assert process.stdout is not None
        return process, (await process.stdout.readline()).decode().rstrip("\n")

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


@LINUX
@pytest.mark.parametrize("env", WAYS.values(), ids=WAYS)
async def test_whoever_asks_sees_who_holds_the_lease_and_gets_it_afterwards(
    ask: Ask, token: str, env: dict[str, str | None]
) -> None:
    lease = MachineLease(URL, token, lease_folder())
    assert await lease.acquire()
    assert (await ask(env=env))[1] == f"False {process_words(os.getpid())}"
    await lease.release()
    assert (await ask(env=env))[1].startswith("True process ")


@LINUX
async def test_a_container_that_can_write_nothing_has_a_lease_too(ask: Ask, token: str) -> None:
    before, env = read_only(), {"XDG_RUNTIME_DIR": None}
    lease = MachineLease(URL, token, lease_folder())
    assert await lease.acquire()
    assert (await ask(before=before, env=env))[1] == f"False {process_words(os.getpid())}"
    await lease.release()
    assert (await ask(before=before, env=env))[1].startswith("True process ")


@LINUX
@pytest.mark.parametrize(
    ("one", "other"), [(0, NOBODY), (NOBODY, 0)], ids=["root holds it", "a user holds it"]
)
async def test_root_and_a_user_see_each_others_leases(ask: Ask, one: int, other: int) -> None:
    holder, told = await ask(HOLDER, before=as_user(one))
    words = process_words(holder.pid, one)
    assert told == f"True {words}"
    assert words.endswith(", user root)") is (one == 0)
    assert (await ask(before=as_user(other)))[1] == f"False {words}"


@LINUX
@pytest.mark.parametrize(
    "program", [HOLDER, RUNS_A_PROGRAM, FORKS], ids=["alone", "a program of it", "a fork of it"]
)
async def test_a_killed_holder_loses_its_lease_at_once_and_nothing_that_outlives_it_keeps_it(
    ask: Ask, token: str, program: str
) -> None:
    holder, told = await ask(program, start_new_session=True)
    assert told.startswith("True ")
    lease = MachineLease(URL, token, lease_folder())
    assert not await lease.acquire()
    holder.kill()
    await holder.wait()
    assert await lease.acquire()
    await lease.release()
    if program is not HOLDER:
        os.killpg(holder.pid, signal.SIGKILL)  # its child lived all the time


@LINUX
async def test_in_another_network_namespace_the_lock_in_the_folder_is_seen_where_that_is_shared(
    ask: Ask, token: str
) -> None:
    lease = MachineLease(URL, token, lease_folder())
    assert await lease.acquire()
    assert (await ask(before=apart()))[1] == f"False {process_words(os.getpid())}"
    await lease.release()


@LINUX
@pytest.mark.parametrize("url", ["HTTP://Octo.TEST:80/api", "http://octo.test", "http://octo.test:80/other"])
async def test_a_server_is_the_same_however_its_address_is_written(
    token: str, tmp_path: Path, url: str
) -> None:
    one, two = MachineLease(URL, token, tmp_path / "one"), MachineLease(url, token, tmp_path / "two")
    elsewhere = MachineLease("https://octo.test/api", token, tmp_path / "three")
    assert await one.acquire()
    assert not await two.acquire()
    assert await elsewhere.acquire()
    for each in (one, elsewhere):
        await each.release()


async def test_a_process_of_the_version_before_is_waited_for_and_waits(token: str, tmp_path: Path) -> None:
    before, after = FileLease(tmp_path, f"{URL} {token}"), MachineLease(URL, token, tmp_path)
    assert await before.acquire()
    assert not await after.acquire()
    assert after.holder() == process_words(os.getpid())
    await before.release()
    assert await after.acquire()
    assert not await before.acquire()
    await after.release()


async def test_who_was_refused_holds_nothing(token: str, tmp_path: Path) -> None:
    before = FileLease(tmp_path, f"{URL} {token}")
    assert await before.acquire()
    assert not await MachineLease(URL, token, tmp_path).acquire()
    other = MachineLease(URL, token, tmp_path / "other")
    assert await other.acquire()
    for each in (before, other):
        await each.release()


@LINUX
async def test_names_tell_nothing_of_a_token(token: str) -> None:
    lease = SocketLease(f"octo.test:80 {token}")
    assert await lease.acquire()
    listed = Path("/proc/net/unix").read_text()
    await lease.release()
    assert "@openclaw-octo/" in listed
    assert token not in listed
    assert token[3:] not in listed


@LINUX
async def test_who_looks_again_and_again_is_told_each_time(token: str) -> None:
    lease = SocketLease(token)
    assert await lease.acquire()
    for _ in range(300):  # more than connections may wait
        assert lease.holder() == process_words(os.getpid(), os.getuid())
        await asyncio.sleep(0)
    await lease.release()
    assert lease.holder() == UNKNOWN


@LINUX
async def test_a_holders_name_cannot_forge_a_line(ask: Ask, token: str) -> None:
    await ask(f"open('/proc/self/comm', 'w').write('a\\nb \\x1b[2J')\n{HOLDER}")
    assert " (a?b ?[2J, user " in SocketLease(f"octo.test:80 {token}").holder()


def test_a_process_of_which_nothing_is_known_is_told_by_its_id() -> None:
    assert process_words(0) == "a process of another container"
    assert process_words(2**22 + 1) == f"process {2**22 + 1}"
    assert process_words(2**22 + 1, 2**31) == f"process {2**22 + 1} (user {2**31})"


def everybodys(folder: Path) -> Path:
    """Return a folder in which all users make files, and change only their own."""
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    return folder / "tmp"


SHARED_HOLDER = """
import asyncio, sys, time
from pathlib import Path
from openclaw_channel_octo.runtime.connection.file_lease import FileLease
lease = FileLease(Path(sys.argv[1]), sys.argv[2], shared=True)
print(asyncio.run(lease.acquire()), lease.holder(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("one", "other"), [(0, NOBODY), (NOBODY, 0)], ids=["root holds it", "a user holds it"]
)
async def test_where_names_of_sockets_are_files_root_and_a_user_see_each_other_in_a_file_of_all(
    ask: Ask, token: str, tmp_path: Path, one: int, other: int
) -> None:
    folder = everybodys(tmp_path)
    holder, told = await ask(SHARED_HOLDER, before=as_user(one), place=folder)
    assert told == f"True {process_words(holder.pid)}"
    assert (await ask(SHARED_HOLDER, before=as_user(other), place=folder))[
        1
    ] == f"False {process_words(holder.pid)}"
    holder.kill()
    await holder.wait()
    assert (await ask(SHARED_HOLDER, before=as_user(other), place=folder))[1].startswith("True ")


def no_unix_sockets(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Injected: a service may be kept from Unix sockets, or have no descriptors for them."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("openclaw_channel_octo.runtime.connection.socket_lease.socket.socket", refuse)


@LINUX
async def test_without_unix_sockets_the_lock_in_the_folder_is_held_and_what_is_missing_told(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, other = MachineLease(URL, token, tmp_path), FileLease(tmp_path, f"{URL} {token}")
    with monkeypatch.context() as patch:
        no_unix_sockets(patch, errno.EAFNOSUPPORT)
        with pytest.raises(StoreError, match="AF_UNIX") as caught:
            await lease.acquire()
        assert not await other.acquire()
        nothing = MachineLease(URL, token, tmp_path / "no" / "folder")
        with pytest.raises(StoreError, match=r"AF_UNIX.*XDG_RUNTIME_DIR"):
            await nothing.acquire()
    assert not caught.value.retryable
    await lease.release()
    assert await other.acquire()
    await other.release()


@LINUX
async def test_without_descriptors_nothing_is_held_and_waiting_helps(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = MachineLease(URL, token, tmp_path)
    with monkeypatch.context() as patch:
        no_unix_sockets(patch, errno.EMFILE)
        with pytest.raises(StoreError, match="ulimit -n") as caught:
            await lease.acquire()
    assert caught.value.retryable
    assert await FileLease(tmp_path, f"{URL} {token}").acquire()


async def test_without_names_of_sockets_a_lease_is_the_file_of_all_and_that_of_the_user(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Injected: another system than this one."""
    monkeypatch.setattr(leases, "SHARED_FOLDER", everybodys(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "other")
        one, two = (MachineLease(URL, token, tmp_path / name) for name in ("one", "two"))
    assert await one.acquire()
    assert not await two.acquire()
    assert two.holder() == process_words(os.getpid())
    await one.release()
    assert await two.acquire()
    await two.release()


def as_a_link(file: Path) -> None:
    file.symlink_to(file.parent / "elsewhere")


def as_a_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("put", [as_a_link, as_a_folder])
async def test_a_file_of_all_that_somebody_spoilt_is_told_with_what_to_do(
    token: str, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    put(everybodys(tmp_path) / "openclaw-octo-leases")
    with pytest.raises(StoreError, match=r"openclaw-octo-leases.*administrator remove it"):
        await FileLease(tmp_path / "tmp", token, shared=True).acquire()
