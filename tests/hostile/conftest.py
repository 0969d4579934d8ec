"""A deployment among servers that mean harm, or that nobody may ask anything."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.testing import RawMessage, ScriptedHost
from tests.rest.test_media import Site, site
from tests.runtime.rig import ANN, HELPER, Rig
from tests.serving import serving

DM = ChannelRef(ANN, 1)


@dataclass
class Scene:
    """A bot, a file server of its deployment, and a server inside the network that is none of its business."""

    rig: Rig
    files: Site
    inside: Site
    host: ScriptedHost = field(default_factory=ScriptedHost)

    async def start(self, host: ScriptedHost | None = None, **settings: Any) -> None:
        settings = {"cdnUrl": self.files.url, "laneLength": 500, **settings}
        await self.rig.start(self.rig.config(**settings), host or self.host)

    async def tell(self, payload: Mapping[str, Any] | bytes) -> str:
        """Let Ann send a payload to the bot; return the message's id."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message = RawMessage(from_uid=ANN, channel=ChannelRef(HELPER, 1), payload=raw)
        return await self.rig.octo.inject(HELPER, message, stored=True)

    async def asked(self, payload: Mapping[str, Any] | bytes) -> str:
        """Return what the agent is asked for a payload, without the mark."""
        await self.rig.until_row(await self.tell(payload), "answered")
        return unmarked(self.host.turns[-1].text, self.host.turns[-1].mark)


@pytest.fixture
async def scene(rig: Rig) -> AsyncIterator[Scene]:
    async with site() as files, site() as inside:
        yield Scene(rig, files, inside)


@dataclass
class Model:
    """A model on loopback that keeps what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.text())
        return web.json_response({"choices": [{"message": {"content": "seen"}}]})


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    found = Model()
    async with serving("/v1/chat/completions", found.answer) as url:
        found.url = f"{url}/v1"
        yield found
