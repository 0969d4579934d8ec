"""Private folders, locks and whole files."""

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.embedded.session_content import stamp_from, stamp_of
from openclaw_channel_octo.host.files import (
    append_file,
    claim_state_folder,
    private_folder,
    replace_file,
)
from openclaw_channel_octo.host.locks import OwnerLock, locked

OWNER = """
import sys
from pathlib import Path
from openclaw_channel_octo.host.locks import OwnerLock
lock = OwnerLock(Path(sys.argv[1]))
lock.acquire()
print("owned", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_owner(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", OWNER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"owned\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_owns_the_state_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "host.lock"
    with another_owner(path) as process, pytest.raises(HostError) as caught:
        OwnerLock(path).acquire()
    assert f"in use by process {process.pid}: if that runs the same bots, this one is not needed" in str(
        caught.value
    )
    assert "host.stateDir" in str(caught.value)


def test_somebody_who_only_looks_for_the_owner_keeps_nobody_from_owning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "host.lock"
    path.touch()
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
    lock = OwnerLock(path)
    lock.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()
    os.close(looking)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "host.lock"
    with another_owner(path) as process:
        process.kill()
        process.wait()
        lock = OwnerLock(path)
        lock.acquire()
        assert path.read_text() == f"{os.getpid()}\n"
        lock.release()


def test_a_released_lock_can_be_taken_again_and_names_nobody(tmp_path: Path) -> None:
    lock = OwnerLock(tmp_path / "host.lock")
    lock.release()
    for _ in range(2):
        lock.acquire()
        lock.release()
    assert (tmp_path / "host.lock").read_text() == ""


def test_a_lock_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be opened"):
        OwnerLock(tmp_path / "no" / "host.lock").acquire()


def test_missing_parents_are_made_private_and_existing_ones_stay_as_they_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_folder(tmp_path / "a" / "b")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (".", "a", "a/b")]
    assert modes == [0o755, 0o700, 0o700]


def test_a_state_folder_is_closed_however_deep_it_is_and_a_link_to_it_is_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "real"
    for name in ("a/b/c", "d"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch(mode=0o666)
    (tmp_path / "outside").touch(mode=0o644)
    (folder / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "state").symlink_to(folder)
    folder.chmod(0o775)
    for _ in range(2):
        claim_state_folder(tmp_path / "state")
    found = {stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*") if not path.is_symlink()}
    assert found == {0o700, 0o600}
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o644
    assert caplog.text.count(f"{tmp_path}/state was open to other users (mode 0775)") == 1


@pytest.mark.parametrize(
    ("work", "told"),
    [
        pytest.param(lambda path: OwnerLock(path).acquire(), "cannot be", id="a lock that is taken"),
        pytest.param(lambda path: OwnerLock(path).holder(), "cannot be", id="a lock that is looked at"),
        pytest.param(lambda path: append_file(path, b"x"), "symbolic links", id="a transcript"),
    ],
)
def test_a_file_that_is_a_link_is_an_error_and_not_followed(
    tmp_path: Path, work: Callable[[Path], object], told: str
) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises((HostError, OSError), match=told):
        work(tmp_path / "link")
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_folder_that_is_not_ours_to_close_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    private_folder(tmp_path)
    assert "chmod 700" in caplog.text


def test_a_failed_replacement_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def refuse() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"new", before_rename=refuse)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_stamp_of_a_replaced_file_is_the_stamp_it_has(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert stamp_of(path) is None
    status = replace_file(path, b"content")
    assert stamp_of(path) == stamp_from(status)


def test_appending_makes_a_private_file_and_ends_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert [append_file(path, data) for data in (b"one\n", b"tw", b"three\n")] == [4, 6, 13]
    assert path.read_bytes() == b"one\ntw\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_held_lock_is_waited_for_only_so_long(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = locked(path, 1.0)
    with held, pytest.raises(TimeoutError, match="locked by another process"), locked(path, 0.001):
        pass
    with locked(path, 0.001):
        pass
