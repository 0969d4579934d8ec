"""The playground's page and what it asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from openclaw_channel_octo.cli.playground.app import HELPER, SLOW_S, NextTurn, PlaygroundApp, Settings, seed
from openclaw_channel_octo.cli.sessions.command import verdict
from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import OctoError, StoreError
from openclaw_channel_octo.testing.octo.double import FOR_PROGRAMS, OctoDouble
from openclaw_channel_octo.testing.octo.remote import Remote
from openclaw_channel_octo.testing.octo.view import Conversation, conversations
from openclaw_channel_octo.testing.web.local_web import as_json, guarded, mistakes, page_file, refusal

__all__ = ["served"]

_PREFIX: Final = "/_playground"

UNGUARDED: Final = "the guard is off: the next message gets a receipt, a typing sign, and then silence"

_FATES: Final = 200
"""Messages of which the page is told at once what became of them."""

_PACKAGE: Final = "openclaw_channel_octo.cli.playground"


class Switches(BaseModel):
    """What the page's buttons change; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    next_turn: NextTurn | None = Field(None, alias="nextTurn")
    guard: bool | None = None
    slow: bool | None = None


class _Pages:
    """The page, what it shows and what it does, on the double's own address beside the controls of `Remote`."""

    def __init__(self, octo: OctoDouble, stage: PlaygroundApp) -> None:
        self._octo = octo
        self._stage = stage

    async def file(self, request: web.Request) -> web.StreamResponse:
        return page_file(_PACKAGE, request.match_info.get("name", "playground.html"))

    async def state(self, request: web.Request) -> web.StreamResponse:
        stage = self._stage
        asked = [name for name in request.query.get("of", "").split(",") if name][:_FATES]
        found = [each for each in conversations(self._octo) if HELPER in each.members]
        return as_json(
            {
                "bot": HELPER,
                "bot_name": next(each.name for each in self._octo.accounts() if each.uid == HELPER),
                "turn_s": stage.settings.bot.turn_budget_s(stage.settings.host.timeout_seconds),
                "next_turn": stage.agent.next_turn,
                "guard": stage.guarded,
                "slow": stage.slow,
                "slow_s": SLOW_S,
                "sessions": [await self._session(each) for each in found],
                "timeline": to_builtins(list(stage.timeline.entries)),
                "prompts": stage.prompts.runs(),
                "fates": await self._fates(asked) if asked else {},
            }
        )

    async def _session(self, found: Conversation) -> dict[str, Any]:
        key = self._stage.session_key(found.channel)
        shown: dict[str, Any] = {"conversation": found.key, "session_key": key}
        try:
            seen = await self._stage.look(key)
        except OctoError as error:
            return {**shown, "status": "", "verdict": str(error), "waiting": 0}
        status = seen.snapshot.status if seen.snapshot else None
        unguarded = not self._stage.guarded and seen.plan.forced
        return {
            **shown,
            "status": status or "new",
            "verdict": UNGUARDED if unguarded else verdict(seen.plan),
            "waiting": seen.waiting,
        }

    async def _fates(self, message_ids: list[str]) -> dict[str, Any]:
        """Return what the gate decided on messages, and how those ended that have an end."""
        try:
            rows = await self._stage.fates(message_ids)
        except StoreError:
            return {}  # it is being written anew; the page asks again
        return {
            name: {"decision": row.decision, "reason": row.reason, "state": row.state, "detail": row.detail}
            for name, row in rows.items()
        }

    async def prompt(self, request: web.Request) -> web.StreamResponse:
        try:
            parts = self._stage.prompts.of(request.match_info["run"])
        except KeyError:
            return refusal("the prompt of this run is not kept any more", HTTPStatus.NOT_FOUND)
        return as_json({"ok": True, "parts": to_builtins(parts)})

    async def switch(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = Switches.model_validate_json(await request.read())
            if wanted.next_turn is not None:
                self._stage.agent.next_turn = wanted.next_turn
            if wanted.slow is not None:
                self._stage.slow_down(slow=wanted.slow)
            if wanted.guard is not None:
                await self._stage.guard(enabled=wanted.guard)
        except ValidationError as error:
            return refusal(mistakes(error))
        except OctoError as error:
            return refusal(str(error))
        return as_json({"ok": True})


@asynccontextmanager
async def served(settings: Settings, clock: Clock, port: int = 0) -> AsyncIterator[OctoDouble]:
    """Have the playground open, page and all, for as long as the context lasts.

    Args:
        settings: bot and host.
        clock: time.
        port: where to listen on loopback, any free one by default.

    Raises:
        OSError: the port is taken.
        HostError: the state folder cannot be used, or the bot does not connect.
        ConfigError: the agent cannot be made.
    """

    def add_pages(octo: OctoDouble, app: web.Application) -> None:
        Remote(octo, clock).add_to(app)
        pages = _Pages(octo, stage)
        app.router.add_get("/", guarded(pages.file))
        app.router.add_get(_PREFIX + "/pages/{name}", guarded(pages.file))
        app.router.add_get(_PREFIX + "/state", guarded(pages.state))
        app.router.add_get(_PREFIX + "/prompts/{run}", guarded(pages.prompt))
        app.router.add_post(_PREFIX + "/switch", guarded(pages.switch))

    octo = OctoDouble(clock, port=port, also=add_pages, bounds=FOR_PROGRAMS)
    stage = PlaygroundApp(octo, settings, clock)
    seed(octo)
    async with octo, stage.running():
        yield octo
