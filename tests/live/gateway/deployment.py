"""People, a bot and a real gateway: the double, this package, and OpenClaw with the stub model behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.host import GatewayHost
from openclaw_channel_octo.host.gateway.identity import DeviceFile
from openclaw_channel_octo.host.gateway.protocol import Login
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway
from tests.runtime.rig import ANN, HELPER, Rig

BUDGET_S = 20
"""Seconds a run may take in most cells."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the bot said, and how many seconds after the first mention of the cell."""

    after_s: float
    text: str


class Deployment:
    """One gateway with one channel on it.

    Args:
        octo: the chat server.
        gateway: the gateway.
        model: the model behind it.
        state_dir: this package's folder.

    Attributes:
        operator: a connection of the gateway's own operator, who may do everything there.
    """

    def __init__(self, octo: OctoDouble, gateway: RealGateway, model: StubModel, state_dir: Path) -> None:
        self.octo = octo
        self.gateway = gateway
        self.model = model
        self.operator = GatewayConnection(
            url=gateway.url,
            login=Login(scopes=("operator.read", "operator.write", "operator.admin"), token=gateway.token),
            device=DeviceFile(state_dir / "operator.json"),
            clock=SystemClock(),
            heard=lambda _: None,
            opened=lambda _: None,
        )
        self._control: ControlServer | None = None
        self.rig = Rig(octo, state_dir, SystemClock())
        self._groups = 0

    @property
    def host(self) -> GatewayHost:
        """The host under the channel."""
        assert isinstance(self.rig.host, GatewayHost)
        return self.rig.host

    async def start(self, *, timeout_s: float = BUDGET_S, streaming: object = "off", **host: Any) -> None:
        """Start the channel; ``timeout_s`` is what a turn may take, ``streaming`` what people see of long ones."""
        roots = [str(self.gateway.folder / "workspace"), str(self.gateway.state_dir / "media" / "outbound")]
        config = self.rig.config(maxTurns=32, mediaRoots=roots, streaming=streaming)
        config["host"] = {
            "kind": "gateway",
            "url": self.gateway.url,
            "token": self.gateway.token,
            "stateDir": str(self.rig.state_dir),
            "timeoutSeconds": timeout_s,
        } | host
        config["host"] = {key: value for key, value in config["host"].items() if value is not None}
        await self.rig.start(config)
        self._control = ControlServer(self.rig.state_dir, SystemClock())
        register_calls(self._control, self.rig.channel, "gateway")
        await self._control.start()

    async def warm(self) -> None:
        """Let the gateway run its first turn, which on a busy machine takes longer than any other; then as before."""
        await self.start(timeout_s=120.0)
        cell = Cell(self)
        await cell.mention("warm up")
        assert len(await cell.until(1, within_s=120.0)) == 1
        assert cell.texts[0].startswith("echo:")
        await self.stop()

    async def stop(self) -> None:
        """Stop the channel and its control socket; the gateway goes on."""
        control, self._control = self._control, None
        if control is not None:
            await control.stop()
        await self.rig.stop()

    def runs(self, session_key: str) -> list[str]:
        """Return the ids of the channel's runs under way in a session."""
        return [run.run_id for key, run in self.rig.channel.status().turns.items() if key == session_key]

    def group(self) -> ChannelRef:
        """Return a group nobody has written in yet."""
        self._groups += 1
        return self.octo.add_group(f"cell{self._groups}", [ANN, HELPER])


class Cell:
    """One group in which something happens, and what people saw there.

    Args:
        deployment: where it happens.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.where = deployment.group()
        self._began = time.monotonic()
        self.seen: list[Said] = []

    @property
    def session_key(self) -> str:
        """The group's session in the gateway."""
        return f"agent:main:octo:group:{self.where.id}"

    @property
    def texts(self) -> list[str]:
        """What the bot has said here so far."""
        return [said.text for said in self.seen]

    def after_the_model(self, word: str) -> float:
        """Return the seconds from the last request to the model with this word in it to what the bot said last."""
        asked = max(request.at for request in self._deployment.model.requests if word in request.text)
        return self._began + self.seen[-1].after_s - asked

    async def mention(self, text: str) -> None:
        """Let a person mention the bot."""
        if not self.seen and not self._deployment.rig.said(self.where):
            self._began = time.monotonic()
        await self._deployment.rig.mention(text, where=self.where)

    async def until(self, count: int, within_s: float = 60.0) -> list[str]:
        """Return what the bot has said, as soon as it is ``count`` messages or the time is up."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.seen) < count:
                    self._look()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        return self.texts

    async def quiet(self, seconds: float = 2.0) -> list[str]:
        """Return what the bot has said by the end of some seconds more."""
        return await self.until(1_000, within_s=seconds)

    def _look(self) -> None:
        now = time.monotonic() - self._began
        for text in self._deployment.rig.said(self.where)[len(self.seen) :]:
            self.seen.append(Said(now, text))


@asynccontextmanager
async def deployed(
    version: str, state_dir: Path, *, config: Mapping[str, Any] | None = None, member: bool = False
) -> AsyncIterator[Deployment]:
    """Give a running gateway of one release with nothing on it yet; ends all it started.

    As a ``member`` the channel has its plugin in the gateway, and the deployment a connection of the operator.
    """
    control = state_dir / "control.sock" if member else None
    async with (
        StubModel() as model,
        RealGateway(version, model_url=model.url, run_budget_s=30, config=config, control=control) as gateway,
        OctoDouble() as octo,
    ):
        deployment = Deployment(octo, gateway, model, state_dir)
        try:
            if member:
                await deployment.operator.start()
                await deployment.operator.ready()
            yield deployment
        finally:
            await deployment.stop()
            await deployment.operator.stop()
