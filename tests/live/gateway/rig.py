"""A real OpenClaw gateway, headless, on a free port of loopback, in a folder of its own."""

import asyncio
import atexit
import json
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from openclaw_channel_octo import __version__
from openclaw_channel_octo.host.plugin import files as plugin
from tests.live.gateway.install import BEFORE_THE_FIX, Installed, install
from tests.live.gateway.model import MODEL

_START_S = 240.0
_TRIES, _TOO_SLOW = 3, "state lease heartbeat did not become ready"
"""Starts in all, and the words of 2026.9.6 that gives up where something of its own took five seconds."""
_LOOK_EVERY_S = 0.1
_TAIL_LINES = 40
_GROUPS: set[int] = set()


class GatewayFailed(Exception):
    """The gateway ended or did not become ready; the message ends with the last lines it printed."""


class RealGateway:
    """One gateway of one release; an async context manager that starts it and ends all it started.

    Args:
        version: the release; it is installed if it is not there yet.
        model_url: base URL of the model server.
        run_budget_s: seconds a run may take before the gateway ends it as ``timeout``.
        config: settings laid over the minimal configuration, mappings key by key.
        control: the control socket of the bots, for a gateway that has the plugin; None for one without channels.

    Attributes:
        url: where clients connect, ``ws://``.
        token: the shared token they show.
        folder: everything the gateway writes.
        state_dir: its state folder.
        config_path: its configuration file, ``openclaw.json``.
        pid: of the running gateway, None when it does not run.
        started_in_s: seconds the last start took.
    """

    def __init__(
        self,
        version: str,
        *,
        model_url: str,
        run_budget_s: int = 15,
        config: Mapping[str, Any] | None = None,
        control: Path | None = None,
    ) -> None:
        self.version = version
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="octo-gateway-"))
        self.state_dir = self.folder / "state"
        self.config_path = self.state_dir / "openclaw.json"
        self.started_in_s = 0.0
        self._control = control
        settings = _laid_over(
            self._minimal(model_url, run_budget_s), _with_plugin(control) if control else {}
        )
        self._settings = _laid_over(settings, config or {})
        self._installed: Installed | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Install what is missing, write the configuration, start.

        Raises:
            CannotInstall: npm cannot bring it.
            GatewayFailed: it did not become ready.
        """
        try:
            self._installed = await asyncio.to_thread(install, self.version)
            for name in ("state", "home", "workspace", "tmp"):
                (self.folder / name).mkdir()
            self.config_path.write_text(json.dumps(self._settings, indent=2))
            if self._control is not None:
                plugin.install(self.state_dir, __version__)
            if self.version == BEFORE_THE_FIX:
                await self._index_plugins(self._installed)
            await self.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill it if it still runs and remove its folder."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it, again after ``kill`` or ``terminate``, on the same port and state; return when it is ready.

        Raises:
            GatewayFailed: it ended, or was not ready in four minutes.
        """
        if self._process is not None or self._installed is None:
            raise GatewayFailed("start() is for a gateway that was entered and does not run")
        began = asyncio.get_running_loop().time()
        for tries_left in reversed(range(_TRIES)):
            self._process = await self._openclaw(self._installed, "gateway", "run", "--port", str(self.port))
            try:
                async with asyncio.timeout(_START_S):
                    await self._ready(self._process)
                break
            except TimeoutError as error:
                raise GatewayFailed(f"not ready after {_START_S:.0f} s\n{self.log_tail()}") from error
            except GatewayFailed as error:
                if _TOO_SLOW not in str(error) or not tries_left:
                    raise
        self.started_in_s = asyncio.get_running_loop().time() - began

    async def kill(self) -> None:
        """End it and its children at once with SIGKILL; nothing happens when it does not run."""
        await self._end(signal.SIGKILL, limit_s=10.0)

    async def terminate(self, limit_s: float = 30.0) -> None:
        """Ask it to end with SIGTERM, kill what is left after ``limit_s``; it drains runs for up to 315 s."""
        await self._end(signal.SIGTERM, limit_s=limit_s)

    async def openclaw(self, *arguments: str) -> str:
        """Run a command of the gateway's program to its end and return what it printed. Raises `GatewayFailed`."""
        if self._installed is None:
            raise GatewayFailed("there is no gateway to ask")
        process = await self._openclaw(self._installed, *arguments, log="command.log")
        code = await process.wait()
        _kill_group(process.pid)
        printed = (self.folder / "command.log").read_text(errors="replace")
        if code != 0:
            raise GatewayFailed(f"openclaw {arguments[0]} ended with code {code}\n{printed}")
        return printed

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last lines it printed."""
        return "\n".join((self.folder / "gateway.log").read_text(errors="replace").splitlines()[-lines:])

    async def _openclaw(
        self, installed: Installed, *arguments: str, log: str = ""
    ) -> asyncio.subprocess.Process:
        """Start the program in a process group of its own; it prints into a new file, else into ``gateway.log``."""
        with (self.folder / (log or "gateway.log")).open("wb" if log else "ab") as out:
            process = await asyncio.create_subprocess_exec(
                *(str(installed.node), str(installed.entry), *arguments),
                cwd=self.folder,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        _GROUPS.add(process.pid)
        return process

    async def _index_plugins(self, installed: Installed) -> None:
        """Let 2026.5.22 remember its plugins; else it looks for them in every run, which then takes seconds."""
        self._process = await self._openclaw(installed, "plugins", "registry", "--refresh")
        try:
            async with asyncio.timeout(_START_S):
                code = await self._process.wait()
        except TimeoutError as error:
            raise GatewayFailed(f"no plugin index after {_START_S:.0f} s\n{self.log_tail()}") from error
        if code != 0:
            raise GatewayFailed(f"the plugin index ended with code {code}\n{self.log_tail()}")
        _kill_group(self._process.pid)
        self._process = None

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if process.returncode is not None:
                    self._process = None
                    _kill_group(process.pid)
                    raise GatewayFailed(f"it ended with code {process.returncode}\n{self.log_tail()}")
                with suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _end(self, how: signal.Signals, *, limit_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            async with asyncio.timeout(limit_s):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            _kill_group(process.pid)
        await process.wait()

    def _environment(self) -> dict[str, str]:
        """Return an environment of its own: no key or setting of the user reaches the gateway."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "OPENCLAW_HOME": str(self.folder / "home"),
            "OPENCLAW_STATE_DIR": str(self.state_dir),
            "OPENCLAW_CONFIG_PATH": str(self.config_path),
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_NO_RESPAWN": "1",
            **({} if self._control else {"OPENCLAW_SKIP_CHANNELS": "1"}),
            "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
        }

    def _minimal(self, model_url: str, run_budget_s: int) -> dict[str, Any]:
        """Return the smallest configuration that runs a turn (openclaw-host §5)."""
        model = {"id": MODEL, "name": MODEL, "contextWindow": 128_000, "maxTokens": 4096, "input": ["text"]}
        provider = {"baseUrl": model_url, "apiKey": "stub", "api": "openai-completions", "models": [model]}
        return {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": self.token},
                "controlUi": {"enabled": False},
            },
            "agents": {
                "defaults": {
                    "workspace": str(self.folder / "workspace"),
                    "model": {"primary": f"stub/{MODEL}"},
                    "skipBootstrap": True,
                    "timeoutSeconds": run_budget_s,
                    "maxConcurrent": 32,
                }
            },
            "models": {"mode": "replace", "providers": {"stub": provider}},
            "logging": {"file": str(self.folder / "openclaw.log")},
            # Loading all of its plugins costs 2026.5.22 twenty seconds after every start.
            "plugins": {"allow": ["memory-core"]},
            "cron": {"enabled": False},
            "update": {"checkOnStart": False},
        }


def _with_plugin(control: Path) -> dict[str, Any]:
    """Return the settings of a gateway with our plugin and the bots behind a control socket."""
    entry = {"enabled": True, "config": {"socket": str(control), "accounts": ["helper"]}}
    return {
        "plugins": {"allow": ["memory-core", plugin.PLUGIN], "entries": {plugin.PLUGIN: entry}},
        "channels": {"octo": {"enabled": True}},
    }


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = _laid_over(under, value)
        else:
            merged[key] = value
    return merged


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    _GROUPS.discard(pid)


@atexit.register
def _end_what_is_left() -> None:
    """End gateways of tests that were cut off before their clean-up."""
    for pid in tuple(_GROUPS):
        _kill_group(pid)
