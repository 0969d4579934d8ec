"""One bot, one connection: programs of one machine that have neither user nor environment in common."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.connection.holders import process_words
from openclaw_channel_octo.testing import ScriptedHost
from tests.cli.asking import command, controlled
from tests.others import NOBODY, apart, as_user
from tests.programs import PROGRAM, Start, launched, stopped, write
from tests.runtime.rig import HELPER, Rig
from tests.until import PATIENCE_S, until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a file of all users is in its place"
)

Change = dict[str, str | None]
WAYS: dict[str, tuple[Change, int]] = {
    "another XDG_RUNTIME_DIR": ({"XDG_RUNTIME_DIR": "{}"}, 0),
    "another TMPDIR": ({"XDG_RUNTIME_DIR": None, "TMPDIR": "{}"}, 0),
    "no HOME": ({"XDG_RUNTIME_DIR": None, "HOME": None}, 0),
    "another user": ({"XDG_RUNTIME_DIR": None}, NOBODY),
}


def elsewhere(rig: Rig) -> Path:
    """Write the configuration of the same bot with another state folder, which every user may make; return its file."""
    folder = rig.state_dir.parent / "elsewhere"
    folder.mkdir()
    folder.chmod(0o1777)
    return write(folder, rig.config(host={"stateDir": str(folder / "state")}))


def changed(folder: Path, change: Change) -> dict[str, str]:
    """Return an environment that differs from the suite's."""
    changes = {name: value and value.format(folder) for name, value in change.items()}
    return {name: value for name, value in (os.environ | changes).items() if value is not None}


async def said(process: Process, words: str) -> str:
    """Return the first line of a program that has these words in it."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stderr:
            if words in line.decode():
                return line.decode()
    raise AssertionError(f"ended without a word of {words!r}")


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Start the program; it and its children end with the test."""
    started: list[Process] = []

    async def run(file: Path, **how: Any) -> Process:
        process = await launched(file, start_new_session=True, **how)
        started.append(process)
        return process

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@pytest.mark.parametrize(("change", "uid"), WAYS.values(), ids=WAYS)
async def test_whoever_looks_or_runs_beside_a_bot_leaves_it_alone_and_gets_it_when_it_is_killed(
    rig: Rig, start: Start, launch: Callable[..., Awaitable[Process]], change: Change, uid: int
) -> None:
    before, file = as_user(uid), elsewhere(rig)
    around = changed(file.parent, change)
    running = await start(rig.config())
    holder = process_words(running.pid, os.getuid())

    looked = await asyncio.create_subprocess_exec(
        *before, PROGRAM, "doctor", "--config", file, stdout=PIPE, stderr=PIPE, env=around
    )
    found, progress = (each.decode() for each in await looked.communicate())
    assert f"helper: process: {holder} on this machine runs this bot" in found
    assert f"helper: login: not looked at: logging in would kick {holder}" in found
    assert "registering now" not in progress

    second = await launch(file, program=(*before, PROGRAM), env=around)
    assert holder in await said(second, "waiting until it ends")
    assert len(rig.calls("register")) == 1
    await rig.until_row(await rig.mention("still there?"), "answered")

    running.kill()
    await running.wait()
    await rig.octo.wait_for(lambda: len(rig.calls("register")) == 2 and rig.octo.online(HELPER) == 1)


async def test_a_login_that_the_operator_wants_is_done_beside_a_running_bot(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await doctor(rig, "--register", "--yes", code=1)
    assert len(rig.calls("register")) == 2


async def doctor(rig: Rig, *options: str, code: int = 0) -> str:
    """Return what the doctor finds about the rig's own configuration, in this process."""
    file = write(rig.state_dir.parent, rig.config())
    rig.state_dir.mkdir(mode=0o700, exist_ok=True)
    return (await command("doctor", "--config", file, *options, code=code)).output


async def test_a_script_that_wants_a_login_has_to_say_so_twice(rig: Rig) -> None:
    told = await doctor(rig, "--register", code=2)
    assert "--register may kick a living connection, and nobody can be asked here: add --yes" in told
    assert rig.calls() == rig.calls("register") == []


@pytest.mark.parametrize(("answer", "code", "registered"), [(b"n\n", 2, 0), (b"\n", 2, 0), (b"y\n", 1, 1)])
async def test_somebody_at_a_terminal_is_asked_before_a_login(
    rig: Rig, answer: bytes, code: int, registered: int
) -> None:
    file = write(rig.state_dir.parent, rig.config())
    terminal, end = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "doctor", "--config", file, "--register"), stdin=end, stdout=PIPE, stderr=PIPE
        )
        os.write(terminal, answer)
        found, asked = await process.communicate()
    finally:
        os.close(terminal)
        os.close(end)
    assert "Log in as helper? A living connection is kicked" in asked.decode()
    assert (process.returncode, len(rig.calls("register"))) == (code, registered), found.decode()


async def test_the_control_socket_tells_of_a_bot_whose_lease_is_not_seen_here(
    rig: Rig, tmp_path: Path
) -> None:
    await rig.start_blind(rig.config(), ScriptedHost(), leases=tmp_path / "leases")
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    lock = owner_lock(rig.state_dir)
    with lock:
        silent = await doctor(rig, code=1)
        async with controlled(rig):
            told = await doctor(rig, code=1)
    who = f"process {os.getpid()}, which has the state folder"
    assert f"logging in may kick {who} and does not say which bots it runs" in silent
    assert f"helper: process: {who}, runs this bot" in told
    assert f"helper: login: not looked at: logging in would kick process {os.getpid()}" in told
    assert len(rig.calls("register")) == 1


RELAY = """
import asyncio, fcntl, socket, struct, sys

async def copied(reader, writer):
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def relayed(reader, writer):
    there, back = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(copied(reader, back), copied(there, writer), return_exceptions=True)

async def main():
    with socket.socket() as any_socket:  # the namespace's own loopback is down: SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))
    async with await asyncio.start_server(relayed, "127.0.0.1", int(sys.argv[2])):
        program = await asyncio.create_subprocess_exec(*sys.argv[3:])
        sys.exit(await program.wait())

asyncio.run(main())
"""
"""Runs a command in a namespace that has no network, and gives it one port: what comes there goes to a socket file."""


async def test_a_bot_in_another_network_namespace_kicks_once_and_who_is_kicked_backs_off(
    rig: Rig, start: Start, launch: Callable[..., Awaitable[Process]], tmp_path: Path
) -> None:
    before, file = apart(), elsewhere(rig)
    running = await start(rig.config())
    port = int(rig.octo.api_url.rpartition(":")[2])

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copied(reader, back), copied(there, writer), return_exceptions=True)

    async with await asyncio.start_unix_server(relay, tmp_path / "relay.sock"):
        program = (
            *before,
            sys.executable,
            "-c",
            RELAY,
            str(tmp_path / "relay.sock"),
            str(port),
            str(PROGRAM),
        )
        env = changed(file.parent, {"XDG_RUNTIME_DIR": "{}"})
        second = await launch(file, program=program, env=env)
        await said(second, "registered as")
        told = await until(lambda: kicked(rig.state_dir), "a kick that the first notices")
        await rig.octo.wait_for(lambda: rig.octo.online(HELPER) == 1)
        await rig.octo.say("ann", rig.group, "who answers?", mention=[HELPER])
        await rig.until_said(1)
        assert len(rig.calls("register")) == 2
    assert "another process uses this bot or registered it again" in told
    assert "kicked" in await stopped(running)


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def kicked(state_dir: Path) -> str:
    """Return why the bot of a running program was kicked, empty as long as it was not."""
    bot = ask(state_dir, "status")["bots"]["helper"]
    return str(bot["why"]) if bot["state"] == "kicked" else ""
