"""Agent programs end with the process that started them, however it ends: real processes, really killed."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded import leftovers
from openclaw_channel_octo.host.embedded.agents import Prompt
from openclaw_channel_octo.host.embedded.command import CommandAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.host.embedded.programs import Programs
from tests.processes import alive, gone, processes_with

RUN = "4f6e7d0c-run"

AGENT = """
trap '' TERM
(trap '' TERM; while :; do echo work >> {work}; sleep 0.05; done) &
echo $!; echo $$
wait
"""
"""A program with a grandchild that works on and on; neither heeds SIGTERM."""

BOTS = """
import asyncio, sys, threading
from pathlib import Path
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.base import Sender, Turn
from openclaw_channel_octo.host.embedded.command import CommandAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost

state_dir, script, run_id, where = Path(sys.argv[1]), *sys.argv[2:]

async def main():
    agent = CommandAgent(["sh", "-c", script], notes=state_dir / "programs")
    host = EmbeddedHost(state_dir=state_dir, agent_id="main", agent=agent, clock=SystemClock())
    await host.start()
    print(agent._programs._watcher.pid, flush=True)
    turn = Turn(run_id=run_id, session_key="k", agent_id="main", account_id="bot", channel="octo",
        conversation="direct", channel_id="ann", message_id="1", sender=Sender(uid="ann"), text="go")
    async for event in host.run(turn):
        print(getattr(event, "text", ""), end="", flush=True)

if where == "thread":
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()
else:
    asyncio.run(main())
"""


class Bots(NamedTuple):
    """A process that runs the host, the process that watches over it, and the programs of the turn under way."""

    process: asyncio.subprocess.Process
    watcher: int
    programs: tuple[int, ...]

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def bots(state_dir: Path, script: str, programs: int = 2, where: str = "main") -> AsyncIterator[Bots]:
    """Start a process of ours with a turn whose program tells the ids of its processes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BOTS, str(state_dir), script, RUN, where),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            pids = [int(await process.stdout.readline()) for _ in range(1 + programs)]
        yield Bots(process, pids[0], tuple(pids[1:]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        for pid in processes_with(f"OPENCLAW_RUN_ID={RUN}"):
            os.kill(int(pid), signal.SIGKILL)


def host_of(state_dir: Path) -> EmbeddedHost:
    agent = CommandAgent(["cat"], notes=state_dir / "programs")
    return EmbeddedHost(state_dir=state_dir, agent_id="main", agent=agent, clock=SystemClock())


def run_of(run_id: str = RUN) -> Prompt:
    return Prompt(text="go", session_key="k", session_id="s", run_id=run_id)


@pytest.fixture
def script(tmp_path: Path) -> str:
    return AGENT.format(work=tmp_path / "work")


@contextmanager
def program(*words: str, run_id: str = RUN) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program as one of a run is, and kill it in the end."""
    environment = {**os.environ, "OPENCLAW_RUN_ID": run_id}
    with subprocess.Popen(
        words or ("sleep", "1000"), env=environment, start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process in a session of its own that belongs to nobody here."""
    with program(run_id="") as process:
        yield process


@pytest.mark.parametrize("where", ["main", "thread"])
async def test_a_killed_process_takes_its_agents_programs_along_grandchildren_too(
    tmp_path: Path, script: str, where: str
) -> None:
    async with bots(tmp_path / "state", script, where=where) as running:
        assert all(map(alive, running.programs))
        await running.kill()
        assert await gone(*running.programs, running.watcher)
        assert processes_with(f"OPENCLAW_RUN_ID={RUN}") == {}
        assert list((tmp_path / "state" / "programs").iterdir()) == []


async def test_what_nobody_watched_over_is_ended_by_the_next_start_before_any_turn(
    tmp_path: Path, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with bots(tmp_path / "state", script) as running:
        os.kill(running.watcher, signal.SIGKILL)
        assert await gone(running.watcher)
        await running.kill()
        assert all(map(alive, running.programs))
        host = host_of(tmp_path / "state")
        await host.start()
        assert not any(map(alive, running.programs))
        assert processes_with(f"OPENCLAW_RUN_ID={RUN}") == {}
        done = (tmp_path / "work").read_bytes()
        await host.stop()
        assert (tmp_path / "work").read_bytes() == done
    assert f"the program of run {RUN} ran on without its process; it was ended" in caplog.text


async def test_a_process_that_stops_in_peace_leaves_no_watcher_and_no_note(tmp_path: Path) -> None:
    host = host_of(tmp_path)
    await host.start()
    (own,) = (tmp_path / "programs").iterdir()
    watcher = host._seat.agent._programs._watcher  # type: ignore[attr-defined]  # it is ours
    answered = [piece async for piece in host._seat.agent.reply(run_of())]
    assert answered == ["go"]
    assert list(own.iterdir()) == []
    await host.stop()
    assert watcher.returncode == 0
    assert list((tmp_path / "programs").iterdir()) == []


async def test_a_program_is_noted_before_it_gets_its_prompt(tmp_path: Path) -> None:
    agent = CommandAgent(
        ["sh", "-c", f"read _; cat {tmp_path}/programs/*/*.run; echo $$"], notes=tmp_path / "programs"
    )
    await agent.start()
    said = "".join([piece async for piece in agent.reply(run_of())]).splitlines()
    await agent.stop()
    assert said[0] == RUN
    assert said[1].split()[0] == said[2]


async def test_a_watcher_that_was_killed_is_replaced_with_the_next_program(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    await programs.start()
    first = programs._watcher
    assert first is not None
    first.kill()
    first.wait()
    async with AsyncExitStack() as several:
        await asyncio.gather(*(several.enter_async_context(programs.noted(str(n))) for n in range(5)))
        second = programs._watcher
        assert second is not None
        assert second.poll() is None
    await programs.stop()
    assert second.returncode == 0


async def test_the_end_of_the_thread_that_started_a_program_does_not_end_it(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    thread = threading.Thread(target=asyncio.run, args=(programs.start(),))
    thread.start()
    await asyncio.to_thread(thread.join)
    with program() as running:
        assert programs._own is not None
        leftovers.note_run(programs._own / "1.run", RUN)
        leftovers.note_program(programs._own / "1.run", running.pid)
        assert programs._watcher is not None
        assert programs._watcher.poll() is None
        assert running.poll() is None
        await programs.stop()
        assert running.wait() == -signal.SIGKILL


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    starting = asyncio.ensure_future(programs.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert programs._watcher is None
    assert list(tmp_path.iterdir()) == []


async def test_a_state_folder_that_takes_no_note_keeps_no_agent_from_answering(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "programs").touch()
    agent = CommandAgent(["cat"], notes=tmp_path / "programs")
    await agent.start()
    assert [piece async for piece in agent.reply(run_of())] == ["go"]
    await agent.stop()
    assert "agent programs cannot be noted in" in caplog.text


async def test_a_note_that_cannot_be_written_is_said_and_the_program_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = CommandAgent(["cat"], notes=tmp_path / "programs")
    await agent.start()
    (own,) = (tmp_path / "programs").iterdir()
    own.rmdir()
    assert [piece async for piece in agent.reply(run_of())] == ["go"]
    await agent.stop()
    assert f"the program of run {RUN} cannot be noted" in caplog.text


def noted(folder: Path, run_id: str, line: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "1.run").write_text(f"{run_id}\n{line}")
    return folder


def test_a_process_that_only_has_the_id_of_a_noted_one_is_never_killed(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    boot = leftovers.started(stranger.pid).split()[0]
    for when in ("", "long ago", f"{boot} 1", f"other-boot {leftovers.started(stranger.pid).split()[1]}"):
        assert leftovers.end_noted(noted(tmp_path / "own", RUN, f"{stranger.pid} {when}\n")) == {}
        assert not (tmp_path / "own").exists()
    assert stranger.poll() is None


def test_the_process_that_was_noted_is_killed_by_its_start_alone_where_it_hides_its_surroundings(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    leftovers.note_run(tmp_path / "1.run", RUN)
    leftovers.note_program(tmp_path / "1.run", stranger.pid)
    assert leftovers.end_noted(tmp_path) == {RUN: True}
    assert stranger.wait() == -signal.SIGKILL


@pytest.mark.parametrize("line", ["", "123", "1 torn", "not a process\n", " \n"])
def test_a_program_whose_note_is_incomplete_is_found_by_its_run(tmp_path: Path, line: str) -> None:
    with program() as running:
        assert leftovers.end_noted(noted(tmp_path / "own", RUN, line)) == {RUN: True}
        assert running.wait() == -signal.SIGKILL


def leaderless(*words: str) -> tuple[int, int]:
    """Return the ids of a leader that has ended and of what it left in its session."""
    with program("sh", "-c", f"{' '.join(words)} sleep 1000 >/dev/null & echo $!") as leader:
        return leader.pid, int(leader.communicate()[0])


async def test_a_grandchild_whose_leader_has_ended_is_found_by_its_run_and_a_later_run_is_not(
    tmp_path: Path,
) -> None:
    leader, left = leaderless()
    assert leftovers.end_noted(noted(tmp_path / "own", "another-run", f"{leader} x y\n")) == {}
    assert alive(left)
    assert leftovers.end_noted(noted(tmp_path / "own", RUN, f"{leader} x y\n")) == {RUN: True}
    assert await gone(left)


async def test_what_left_the_session_on_purpose_lives_on_as_it_does_after_every_run(tmp_path: Path) -> None:
    leader, left = leaderless("exec", "setsid")
    try:
        while os.getsid(left) != left:  # noqa: ASYNC110  # until it has left
            await asyncio.sleep(0.002)
        assert leftovers.end_noted(noted(tmp_path / "own", RUN, f"{leader} x y\n")) == {}
        assert alive(left)
    finally:
        os.kill(left, signal.SIGKILL)


async def test_jobs_in_groups_of_their_own_are_ended_with_the_session(tmp_path: Path) -> None:
    script = (
        "import subprocess; job = subprocess.Popen(['sleep', '1000'], process_group=0);"
        " print(job.pid, flush=True); job.wait()"
    )
    with program(sys.executable, "-c", script) as leader:
        assert leader.stdout is not None
        job = int(leader.stdout.readline())
        assert os.getpgid(job) == job
        leftovers.note_run(tmp_path / "1.run", RUN)
        leftovers.note_program(tmp_path / "1.run", leader.pid)
        assert leftovers.end_noted(tmp_path) == {RUN: True}
        assert await gone(job, leader.pid)


def test_where_processes_are_not_shown_as_linux_does_the_leaders_start_decides(
    tmp_path: Path, stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_boot_id", lambda: "")
    when = leftovers.started(stranger.pid)
    assert len(when.split()) == 5
    assert leftovers.started(2**22 + 1) == ""
    for line in (f"{stranger.pid} {when} more\n", f"{stranger.pid} \n", f"{2**22 + 1} \n", ""):
        assert leftovers.end_noted(noted(tmp_path / "own", RUN, line)) == {}
    assert stranger.poll() is None
    reaped = threading.Thread(target=stranger.wait)
    reaped.start()  # as the system does for a process whose parent has died
    assert leftovers.end_noted(noted(tmp_path / "own", RUN, f"{stranger.pid} {when}\n")) == {RUN: True}
    reaped.join()
    assert stranger.returncode == -signal.SIGKILL


def test_what_cannot_be_ended_is_said_to_be_left(
    tmp_path: Path, stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(leftovers, "PAUSE_S", 0)
    monkeypatch.setattr(os, "killpg", refused)
    leftovers.note_run(tmp_path / "1.run", RUN)
    leftovers.note_program(tmp_path / "1.run", stranger.pid)
    assert leftovers.end_noted(tmp_path) == {RUN: False}
