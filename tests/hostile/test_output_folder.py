"""An agent program that wants to send files of the host: what it puts in the place of its folder is never read."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from openclaw_channel_octo.host.base import Accepted, Final
from openclaw_channel_octo.runtime.delivery.removal import remove
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, ScriptedHost
from tests.runtime.delivery.test_files_out import NOTE, item, payloads, shown, stored
from tests.runtime.rig import HELPER, Rig, python_agent
from tests.until import until

CONFINED = Path(__file__).parents[2] / "examples" / "confined-agent.sh"
GONE = "it is not there"
LINK = "it is a link, which I do not follow"
ODD = "it is not an ordinary file"

HEAD = """
import shutil
out = os.environ["OPENCLAW_OUTPUT"]
around, run = os.path.split(out)
precious = os.environ["PRECIOUS"]
os.makedirs(precious + "/" + run, exist_ok=True)
for name in ("shadow", run + "/shadow"):
    open(precious + "/" + name, "w").write("root:x")
"""

ATTACKS = {
    "its folder is a link": ("shutil.rmtree(out); os.symlink(precious, out)", "./shadow", GONE),
    "its folder was moved and is a link": (
        "os.rename(out, out + '-'); os.symlink(precious, out)",
        "./shadow",
        GONE,
    ),
    "its folder is another one": ("shutil.rmtree(out); shutil.copytree(precious, out)", "./shadow", GONE),
    "the one around it is a link": (
        "os.rename(around, around + '-'); os.symlink(precious, around)",
        "./shadow",
        GONE,
    ),
    "named in full": ("shutil.rmtree(out); os.symlink(precious, out)", "{out}/shadow", GONE),
    "a folder in it is a link": ("os.symlink(precious, out + '/sub')", "./sub/shadow", GONE),
    "a link": ("os.symlink(precious + '/shadow', out + '/shadow')", "./shadow", LINK),
    "a hard link": ("os.link(precious + '/shadow', out + '/shadow')", "./shadow", LINK),
    "a hard link in a folder": (
        "os.mkdir(out + '/sub'); os.link(precious + '/shadow', out + '/sub/shadow')",
        "./sub/shadow",
        LINK,
    ),
    "a pipe": ("os.mkfifo(out + '/shadow')", "./shadow", ODD),
    "a socket": (
        "import socket; os.chdir(out); socket.socket(socket.AF_UNIX).bind('shadow')",
        "./shadow",
        ODD,
    ),
    "its own standard input": ("os.symlink('/proc/self/fd/0', out + '/shadow')", "./shadow", LINK),
}
"""What an agent does, the file it names then, and what people read."""


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="the system does not list open files"
)


@pytest.fixture
def precious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "precious"
    monkeypatch.setenv("PRECIOUS", str(folder))
    return folder


def agent(doing: str, *names: str) -> dict[str, object]:
    lines = "".join(f"\nprint(f'MEDIA:{name}')" for name in names)
    return python_agent(f"{HEAD}{doing}\n{lines}")


def kept_open(rig: Rig) -> list[str]:
    """Return the folders of runs that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(f"{rig.state_dir}/output")]


@pytest.mark.parametrize("how", ATTACKS)
async def test_whatever_a_run_makes_of_its_folder_no_file_of_the_host_leaves(
    rig: Rig, precious: Path, how: str
) -> None:
    doing, named, reason = ATTACKS[how]
    await rig.start(rig.config(agent=agent(doing, named)))
    await rig.mentioned("go")
    assert shown(rig) == [f"{NOTE} `shadow` ({reason})"]
    assert rig.octo._storage.files == {}
    await rig.stop(drain_s=600)
    assert (precious / "shadow").read_text() == "root:x"
    assert kept_open(rig) == []


async def test_a_run_whose_predecessor_put_a_link_around_the_folders_answers_and_nothing_there_is_touched(
    rig: Rig, precious: Path, caplog: pytest.LogCaptureFixture
) -> None:
    precious.mkdir()
    (precious / "old").mkdir()
    os.utime(precious / "old", (0, 0))
    rig.state_dir.mkdir(mode=0o700)
    (rig.state_dir / "output").symlink_to(precious)
    await rig.start_with(ScriptedHost([Accepted("r"), Final("hello", (item("a.txt"),))]))
    await rig.mentioned("go")
    await until(lambda: "remove it by hand" in caplog.text)
    assert shown(rig) == ["hello", f"{NOTE} `a.txt` ({GONE})"]
    assert [path.name for path in precious.iterdir()] == ["old"]
    assert caplog.text.count("remove it by hand") == 1


async def test_what_a_run_made_is_sent_by_every_spelling_and_its_folder_is_gone_then(
    rig: Rig, tmp_path: Path, precious: Path
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    rig.state_dir.symlink_to(real)  # where state lies is the operator's choice
    names = ("a.txt", "./b", "{out}/c", "{os.path.realpath(out)}/d", "file://{out}/e", "./sub/f")
    made = """
os.mkdir(out + '/sub')
for name in ('a.txt', 'b', 'c', 'd', 'e', 'sub/f'):
    open(f'{out}/{name}', 'w').write(name)
"""
    await rig.start(rig.config(agent=agent(made, *names)))
    await rig.mentioned("go")
    assert [stored(rig, found) for found in payloads(rig)] == [b"a.txt", b"b", b"c", b"d", b"e", b"sub/f"]
    await rig.stop(drain_s=600)
    assert list((real / "output").iterdir()) == []


async def _stopped_in_the_middle(rig: Rig) -> tuple[str, Path]:
    """Let the bot stop while it sends a file of its run's folder; return the message and that folder."""
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("text", (item("sub/made.txt"),))]))
    rig.octo.fail_next("upload", Hang())
    message_id = await rig.under_way("go")
    output = host.turns[0].output
    assert output is not None
    (output / "sub").mkdir()
    (output / "sub" / "made.txt").write_text("made")
    assert len(kept_open(rig)) == 1
    host.release()
    await rig.octo.wait_for(lambda: rig.calls("presignUpload"))
    await rig.stop()
    rig.octo.heal()  # it may have stopped before it reached the upload
    assert kept_open(rig) == []
    return message_id, output


def _untouched(_: Path, __: Path) -> None:
    """Do nothing."""


def _folder_linked(output: Path, precious: Path) -> None:
    output.rename(precious.parent / "aside")
    output.symlink_to(precious)


def _around_linked(output: Path, precious: Path) -> None:
    shutil.copytree(precious, precious / output.name)
    output.parent.rename(precious.parent / "aside")
    output.parent.symlink_to(precious)


def _step_linked(output: Path, precious: Path) -> None:
    shutil.rmtree(output / "sub")
    (output / "sub").symlink_to(precious / "sub")


def _hard_linked(output: Path, precious: Path) -> None:
    (output / "sub" / "made.txt").unlink()
    (output / "sub" / "made.txt").hardlink_to(precious / "sub" / "made.txt")


@pytest.mark.parametrize(
    ("meanwhile", "then"),
    [
        (_untouched, "made.txt"),
        (_folder_linked, f"{NOTE} `made.txt` ({GONE})"),
        (_around_linked, f"{NOTE} `made.txt` ({GONE})"),
        (_step_linked, f"{NOTE} `made.txt` ({GONE})"),
        (_hard_linked, f"{NOTE} `made.txt` ({LINK})"),
    ],
)
async def test_a_file_that_waits_for_the_next_start_is_looked_for_below_the_state_folder_without_links(
    rig: Rig, precious: Path, meanwhile: Callable[[Path, Path], None], then: str
) -> None:
    (precious / "sub").mkdir(parents=True)
    (precious / "sub" / "made.txt").write_text("root:x")
    message_id, output = await _stopped_in_the_middle(rig)
    meanwhile(output, precious)
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(message_id, "answered")
    assert shown(rig) == ["text", then]
    assert [file.content for file in rig.octo._storage.files.values()] == [b"made"] * (
        meanwhile is _untouched
    )
    assert kept_open(rig) == []


async def test_descriptors_of_folders_are_given_back_however_a_turn_ends(rig: Rig) -> None:
    hang = ScriptedHost([Accepted("r"), Final("one")], [Accepted("r"), Final("two")], [Accepted("r"), HANG])
    await rig.start(rig.config(), hang)
    await rig.mentioned("answered")
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403), times=None)
    await rig.mentioned("dead", "dead")
    await rig.mention("cut off")
    await hang.wait_for_turns(3)
    assert len(kept_open(rig)) == 1
    await rig.stop()
    assert kept_open(rig) == []


async def _as_root(*command: str) -> bool:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def deep(rig: Rig) -> Iterator[None]:
    """A state folder whose deep folders are gone afterwards, whatever failed: pytest's own removal is recursive."""
    rig.state_dir.mkdir(mode=0o700)
    yield
    state = os.open(rig.state_dir, os.O_RDONLY)
    try:
        remove("output", state)
    finally:
        os.close(state)


@pytest.mark.usefixtures("deep")
async def test_one_folder_that_cannot_be_removed_ends_no_sweep_not_even_after_a_restart(
    rig: Rig, precious: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = rig.state_dir / "output"
    for name in ("a", "deep", "stuck", "z"):
        (output / name).mkdir(parents=True)
    (output / "stuck" / "file").touch()
    if not await _as_root("chattr", "+i", str(output / "stuck" / "file")):
        pytest.skip("this file system, or this user, makes no file that cannot be removed")
    nested(output / "deep", 1_500, "d" * 200)
    precious.mkdir()
    (precious / "shadow").write_text("root:x")
    (output / "linked").symlink_to(precious)
    (output / "z" / "linked").symlink_to(precious)
    for entry in output.iterdir():
        os.utime(entry, (0, 0), follow_symlinks=False)
    try:
        for start in (1, 2):
            nested(output, 1_500, "again")
            for name in ("again", "stuck"):
                os.utime(output / name, (0, 0))
            await rig.start(rig.config())
            await until(lambda: caplog.text.count(f"{output}/stuck") == start)  # noqa: B023
            await until(lambda: [path.name for path in output.iterdir()] == ["stuck"])
            await rig.stop()
        assert caplog.text.count(f"{output}/stuck") == 2
        assert (precious / "shadow").read_text() == "root:x"
    finally:
        await _as_root("chattr", "-i", str(output / "stuck" / "file"))


def nested(folder: Path, depth: int, name: str) -> None:
    """Make folders in one another, deeper than any path can be written."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.usefixtures("deep")
async def test_a_run_that_leaves_deep_folders_ends_like_any_other(rig: Rig) -> None:
    deep = "os.chdir(out)\nfor _ in range(1500):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\nprint('done')"
    await rig.start(rig.config(agent=python_agent(f"out = os.environ['OPENCLAW_OUTPUT']\n{deep}")))
    await rig.mentioned("go")
    await rig.stop(drain_s=600)
    assert list((rig.state_dir / "output").iterdir()) == []


def _confines() -> bool:
    if shutil.which("bwrap") is None:
        return False
    trial: Sequence[str] = ("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true")
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _confines(), reason="bubblewrap is not installed, or may not be used here")
async def test_a_program_in_bubblewrap_sees_its_own_folder_and_nothing_of_the_host(
    rig: Rig, precious: Path
) -> None:
    precious.mkdir()
    (precious / "shadow").write_text("root:x")
    inside = (
        "cat >/dev/null; cat $PRECIOUS/shadow; ls $OPENCLAW_STORE; rm -rf $OPENCLAW_OUTPUT;"
        " echo made >$OPENCLAW_OUTPUT/made.txt; echo MEDIA:made.txt; exit 0"
    )
    command = [str(CONFINED), "/bin/sh", "-c", f"exec 2>&1; {inside}"]
    await rig.start(rig.config(agent={"kind": "command", "command": command}))
    await rig.mentioned("go")
    said, made = shown(rig)
    assert made == "made.txt"
    assert "root:x" not in said
    assert "No such file or directory" in said
    assert "octo.sqlite" not in said
    assert [line.from_uid for line in rig.octo.chat(rig.group)].count(HELPER) == 2
