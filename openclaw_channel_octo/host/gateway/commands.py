"""Commands in the chat that a gateway answers: looked up and carried out by its calls, put into words here.

None needs more than ``operator.read`` and ``operator.write``, and no word of the person who asks reaches the gateway's
command parser: a model is one of ``models.list``, a level one of the session's (decision 0052).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import HostError, HostUnavailable
from openclaw_channel_octo.host.commands import CommandCall, HostCommand
from openclaw_channel_octo.host.fields import mapping, number, text
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.sessions import GatewaySessions
from openclaw_channel_octo.host.gateway.settings import COMMAND_KEY, NOT_TAKEN, USUAL, Settings, model_of
from openclaw_channel_octo.policy.commands import plain_words
from openclaw_channel_octo.session.status import Status

__all__ = ["COMMANDS", "OLD_COMMANDS", "GatewayCommands"]

_log = logging.getLogger(__name__)

_FACTS = "/status"
"""Adds to what the channel tells, which waits for no gateway."""
COMMANDS = (
    HostCommand(name=_FACTS),
    HostCommand(name="/models", words=("/模型列表",)),
    HostCommand(name="/context", words=("/上下文",)),
    HostCommand(name="/model", words=("/模型",), changes=True, shows=True),
    HostCommand(name="/think", words=("/thinking", "/t", "/思考"), changes=True, shows=True),
    HostCommand(name="/compact", words=("/压缩", "/壓縮"), changes=True, waits=True),
    HostCommand(name="/verbose", words=("/v",)),
)
"""What people can command in a gateway. ``/verbose`` needs ``operator.admin`` there, so it is refused."""
OLD_COMMANDS = tuple(replace(one, waits=True) if one.changes else one for one in COMMANDS)
"""The same before 2026.7, where the end of a run takes back what was changed while it ran."""
LEVELS = ("off", "minimal", "low", "medium", "high", "xhigh", "adaptive", "max")
"""Thinking levels of gateways, for a session that does not exist yet (docs/tools/thinking.md of OpenClaw)."""
_CHOICES = frozenset({"/model", "/think"})
READY_WITHIN_S = 20.0
"""How long a command waits for a gateway that is away."""
MODELS_SHOWN = 50
"""Models that one answer lists."""
_PARTS = (
    ("context_prompt", "systemPrompt", "chars"),
    ("context_files", "systemPrompt", "projectContextChars"),
    ("context_skills", "skills", "promptChars"),
    ("context_tools", "tools", "schemaChars"),
)
"""Texts about the parts of a context, each with its place in the ``contextWeight`` of ``sessions.usage``."""

Row = Mapping[str, Any]


class Model(Struct, frozen=True):
    """A model of the gateway.

    Attributes:
        ref: ``provider/id``.
        names: what else it is called, in the spelling of `plain_words`, `ref` included.
    """

    ref: str
    names: frozenset[str]


class GatewayCommands:
    """Answers commands about the sessions of a gateway.

    Args:
        connection: to the gateway.
        sessions: which session a conversation is in.
        clock: time.
    """

    def __init__(self, connection: GatewayConnection, sessions: GatewaySessions, clock: Clock) -> None:
        self._clock = clock
        self._connection = connection
        self._sessions = sessions
        self._settings = sessions.settings
        self._in_order: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By session key: of two choices the later one counts."""

    async def answer(self, call: CommandCall) -> str:
        """Carry out a command and return what people read; one that does something waits a moment for the gateway.

        Raises:
            HostError: the gateway is away, or does not do it.
        """
        if call.name != _FACTS:
            try:
                await within(self._clock, READY_WITHIN_S, self._connection.ready())
            except TimeoutError:
                raise HostUnavailable("there is no connection to the gateway") from None
        in_order = self._in_order.setdefault(call.session_key, asyncio.Lock())
        async with in_order if call.name in _CHOICES else nullcontext():
            return await self._answer(call, self._sessions.key(call.session_key))

    async def _answer(self, call: CommandCall, key: str) -> str:
        match call.name:
            case name if name == _FACTS:
                return "\n".join(_facts(call.texts, await self._settings.row(key)))
            case "/models":
                return await self._models(call, key)
            case "/context":
                return await self._context(call, key)
            case "/model":
                return await self._model(call, key)
            case "/think":
                return await self._think(call, key)
            case "/compact":
                return await self._compact(call, key)
            case _:
                return call.texts.host_refuses

    async def _known_models(self) -> Sequence[Model]:
        """Return the models that can be chosen; not those whose names could be read as more than one word."""
        found = (await self._connection.call("models.list", {})).get("models")
        models = [_model(mapping(one)) for one in (found if isinstance(found, list) else ())]
        return [one for one in models if one is not None]

    async def _models(self, call: CommandCall, key: str) -> str:
        texts, models = call.texts, await self._known_models()
        shown = [one for one in models if any(call.argument in name for name in one.names)]
        if not shown:
            return texts.models_none
        current = model_of(await self._settings.row(key))
        lines = [f"{'*' if one.ref == current else '-'} {one.ref}" for one in shown[:MODELS_SHOWN]]
        if left_out := len(shown) - len(lines):
            lines.append(texts.models_more.replace("%s", str(left_out)))
        return "\n".join((texts.models, *lines))

    async def _model(self, call: CommandCall, key: str) -> str:
        texts, wish = call.texts, call.argument
        if not wish:
            row = await self._settings.row(key)
            return texts.model_is.replace("%s", model_of(row) or USUAL)
        if wish != USUAL:
            found = [one.ref for one in await self._known_models() if wish in one.names]
            if len(found) != 1:
                return "\n".join((texts.model_unknown, *found))
            wish = found[0]
        row = await self._settings.change(key, Settings(model=wish), f"{COMMAND_KEY}{call.key}")
        return texts.model_set.replace("%s", model_of(row) or wish)

    async def _think(self, call: CommandCall, key: str) -> str:
        texts, wish, row = call.texts, call.argument, await self._settings.row(key)
        levels = _levels(row)
        if not wish:
            now = text(row.get("thinkingLevel")) or text(row.get("thinkingDefault")) or USUAL
            return texts.thinking_is.replace("%s", now).replace("%d", ", ".join(levels))
        if wish not in {USUAL, *levels}:
            return texts.thinking_unknown.replace("%s", ", ".join(levels))
        await self._settings.change(key, Settings(thinking=wish), f"{COMMAND_KEY}{call.key}")
        return texts.thinking_set.replace("%s", wish)

    async def _context(self, call: CommandCall, key: str) -> str:
        texts, row = call.texts, await self._settings.row(key)
        if not row:
            return texts.context_new
        weight = await self._weight(key)
        lines = [
            getattr(texts, name).replace("%s", f"{size:,}")
            for name, part, field in _PARTS
            if (size := number(mapping(weight.get(part)).get(field)))
        ]
        return "\n".join((*_facts(texts, row), *lines))

    async def _weight(self, key: str) -> Row:
        """Return what the parts of a session's context weigh, empty where a busy gateway does not tell in time."""
        request = {"key": key, "includeContextWeight": True}
        try:
            found = (await self._connection.call("sessions.usage", request)).get("sessions")
        except HostError as error:
            _log.warning("the parts of a context are left out: %s", error)
            return {}
        return mapping(mapping(found[0] if isinstance(found, list) and found else {}).get("contextWeight"))

    async def _compact(self, call: CommandCall, key: str) -> str:
        """Have the gateway sum up a session that nothing runs in: it would end that run first.

        Releases before 2026.7 answer before they have begun, so that nobody knows when the session can be used.
        """
        texts, row = call.texts, await self._settings.row(key)
        if self._settings.old:
            return texts.host_refuses
        if not row:
            return texts.compact_nothing
        run_key = f"{COMMAND_KEY}{call.key}"
        if text(row.get("status")) == Status.RUNNING or row.get("activeRunIds"):
            return texts.compact_busy
        await self._settings.say(key, "/compact", run_key)
        said = await self._settings.answer(key, run_key)
        if "Compaction skipped" in said:
            return texts.compact_nothing
        if "Compaction finished" in said or "Compacted" in said:
            return texts.compacted
        raise HostError(f"the gateway did not compact the session: {said or NOT_TAKEN}")


def _model(row: Row) -> Model | None:
    provider, model = text(row.get("provider")), text(row.get("id"))
    ref = f"{provider}/{model}"
    if not provider or not model or row.get("available") is False or ref.split() != [ref]:
        return None
    names: Iterable[str] = (ref, model, text(row.get("alias")), text(row.get("name")))
    return Model(ref, frozenset(filter(None, map(plain_words, names))))


def _levels(row: Row) -> Sequence[str]:
    """Return the thinking levels of a session's model."""
    found = row.get("thinkingOptions")
    options = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    return [one for one in options if one.isidentifier()] or LEVELS


def _facts(texts: Texts, row: Row) -> list[str]:
    """Return the lines about a session's model, context and cost, as far as the gateway knows them."""
    lines = []
    if model := model_of(row):
        lines.append(texts.model_is.replace("%s", model))
    if (limit := number(row.get("contextTokens"))) is not None:
        used = number(row.get("totalTokens")) if row.get("totalTokensFresh") is True else None
        counted = texts.context.replace("%s", f"{used or 0:,}").replace("%d", f"{limit:,}")
        lines.append(counted if used is not None else texts.context_unknown.replace("%s", f"{limit:,}"))
    cost = row.get("estimatedCostUsd")
    if isinstance(cost, int | float) and cost > 0:
        lines.append(texts.cost.replace("%s", f"{cost:.4f}" if cost < 1 else f"{cost:.2f}"))
    return lines
