"""Fixtures every part of the suite may use."""

import inspect
import logging
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses
from hypothesis import settings

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing import FakeGateway, ManualClock, OctoDouble, ScriptedHost
from tests.programs import Start, launched, up, write
from tests.runtime.asking import Asked, ask, people_a_city
from tests.runtime.rig import BEN, HELPER, FastClock, Rig

settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

for number, handler in {signal.SIGHUP: lambda *_: None, signal.SIGINT: signal.default_int_handler}.items():
    if signal.getsignal(number) is signal.SIG_IGN:
        # below nohup or in the background: programs under test inherit what is ignored, but no handler
        signal.signal(number, handler)

COVERED = ("openclaw_channel_octo", "asyncio", "aiohttp", "websockets")
_WANTS_WRITER = "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters


class _MockedResponse(aiohttp.ClientResponse):
    """A response aioresponses 0.7.9 can build: aiohttp 3.14 wants a writer, which it does not give."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _WANTS_WRITER:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True, scope="session")
def _own_leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the leases of the suite's bots, and of the programs it starts, out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _patience() -> Iterator[None]:
    """Wait a minute where the test kit by itself waits ten seconds: machines do other things too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openclaw_channel_octo.testing.clock.WAIT_LIMIT_S", 60.0)
        for waiting in (vars(OctoDouble)["wait_for"], vars(ScriptedHost)["wait_for_turns"]):
            patch.setitem(waiting.__kwdefaults__, "timeout", 60.0)
        yield


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Take back where a command that ran inside the suite sent log lines: later tests look for theirs."""
    loggers = [logging.getLogger(name) for name in COVERED]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers[:] = handlers
        logger.propagate = propagate
        logger.setLevel(level)


@pytest.fixture
def http_mock(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """Answer every aiohttp request from a script; bodies above 128 kB need a loopback server instead."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _MockedResponse)
    with aioresponses() as mock:
        yield mock


@pytest.fixture
async def octo() -> AsyncIterator[OctoDouble]:
    async with OctoDouble() as double:
        yield double


@pytest.fixture
async def rig(octo: OctoDouble, tmp_path: Path) -> AsyncIterator[Rig]:
    deployment = Rig(octo, tmp_path / "state", SystemClock())
    yield deployment
    await deployment.stop()
    assert deployment.left_open() == []


@pytest.fixture
async def fast_rig(octo: OctoDouble, tmp_path: Path) -> AsyncIterator[Rig]:
    """A deployment whose channel and host live twenty-five times as fast as the test."""
    deployment = Rig(octo, tmp_path / "state", FastClock())
    yield deployment
    await deployment.stop()
    assert deployment.left_open() == []


@pytest.fixture
async def host(rig: Rig) -> ScriptedHost:
    """The host of the deployment, which is online; it repeats what it is told."""
    return await rig.start_with(ScriptedHost())


@pytest.fixture
async def away(rig: Rig, host: ScriptedHost) -> None:
    """The bot has met the group, and was stopped."""
    await rig.meet()
    await rig.stop()


@pytest.fixture
async def start(rig: Rig, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the program with a configuration, and wait until a bot is online."""
    started: list[Process] = []

    async def run(
        config: Mapping[str, Any], *options: str | Path, online: str = HELPER, **settings: Any
    ) -> Process:
        process = await launched(write(tmp_path, config), *options, **settings)
        started.append(process)
        if online:
            await up(rig.octo, process, online)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def city(rig: Rig) -> Rig:
    """The deployment with a group of Ann's, one of Ben's, and a stranger to both."""
    people_a_city(rig)
    return rig


@pytest.fixture
async def asked(city: Rig) -> Asked:
    """A turn of Ben's, whose agent uses the outbound API."""
    return await ask(city, BEN)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway(agents=("main", "work")) as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def plain_user_folder() -> Iterator[Path]:
    """A folder of a user without privileges, who the test runs as: nothing is read-only to root."""
    nobody = 65534
    is_root = os.geteuid() == 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        if is_root and not all(parent.stat().st_mode & 0o001 for parent in folder.parents):
            pytest.skip("the folder for temporary files is closed to other users")
        if is_root:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)
