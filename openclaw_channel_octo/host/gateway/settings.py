"""The model and the thinking level a session is set to, and what a gateway is told with its own commands.

Releases from 2026.7 on take both by ``sessions.patch`` with the scope ``operator.write``. Before that the same call
needs ``operator.admin``, which a bot never has; there the gateway's own command is sent by ``chat.send``, whose text
this module writes from checked words (decision 0052).
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.fields import mapping, text
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.outcome import message_text

__all__ = ["COMMAND_KEY", "NOT_TAKEN", "USUAL", "Settings", "SettingsOfSessions", "model_of"]

_log = logging.getLogger(__name__)

COMMAND_KEY = "octo-command-"
"""Begins the run id of what is sent to the gateway's command parser."""
USUAL = "default"
"""Stands for what a session has where nobody has chosen."""
WAIT_MS = 25_000
"""How long the gateway holds one call of ``agent.wait``."""
LOOK_EVERY_S, LOOKS = 0.25, 20
"""The gateway writes a command's answer down a moment after it tells that the command has ended."""
HISTORY_LIMIT = 20
ANSWER_WITHIN_S = 120.0
"""Longest wait for the lines of a session: a gateway that has just summed one up is late with them."""
NOT_TAKEN = (
    'the gateway did not take the command: put gateway-client, the client of the bots, into commands.allowFrom["*"] of '
    "its openclaw.json, and never into commands.ownerAllowFrom"
)
_COMMANDS = {"model": "/model", "thinkingLevel": "/think"}
"""The gateway's own commands by the fields of a session."""


class Settings(Struct, frozen=True, kw_only=True):
    """What somebody has set a session to; `None` leaves it as it is, `USUAL` takes it back.

    Attributes:
        model: as ``provider/id``.
        thinking: a level.
    """

    model: str | None = None
    thinking: str | None = None


class SettingsOfSessions:
    """Reads and changes what sessions of the gateway are set to.

    Args:
        connection: to the gateway.
        clock: time.
        old: returns whether the gateway's release is before 2026.7.
    """

    def __init__(self, connection: GatewayConnection, clock: Clock, old: Callable[[], bool]) -> None:
        self._connection = connection
        self._clock = clock
        self._old = old

    @property
    def old(self) -> bool:
        """Whether the gateway's release is before 2026.7."""
        return self._old()

    async def row(self, key: str) -> Mapping[str, Any]:
        """Return a session's row, empty where there is no such session. Raises `HostError`."""
        return mapping((await self._connection.call("sessions.describe", {"key": key})).get("session"))

    async def change(self, key: str, settings: Settings, run_key: str) -> Mapping[str, Any]:
        """Change what a session is set to, also one that does not exist yet; return its row.

        Args:
            key: the session key in the gateway.
            settings: what is changed.
            run_key: the same for every try of the same change.

        Raises:
            HostError: the gateway does not take it.
        """
        wishes = {"model": settings.model, "thinkingLevel": settings.thinking}
        wanted = {name: value for name, value in wishes.items() if value is not None}
        for name, value in wanted.items():  # which levels there are depends on the model
            if value.split() != [value]:
                raise HostError(f"{value!r} is no word for a command")
            if self._old():
                await self.say(key, f"{_COMMANDS[name]} {value}", f"{run_key}-{name}")
            else:
                patch = {"key": key, name: None if value == USUAL else value}
                await self._connection.call("sessions.patch", patch)
        row = await self.row(key)
        found = {"model": model_of(row), "thinkingLevel": text(row.get("thinkingLevel"))}
        if self._old() and any(value not in {USUAL, found[name]} for name, value in wanted.items()):
            raise HostError(NOT_TAKEN)
        return row

    async def carry(self, key: str, successor: str) -> None:
        """Set a session as another one is that goes on there; what the gateway does not take is left, and logged."""
        try:
            row = await self.row(key)
            model = await self._chosen(key) if self._old() else ""
            if text(row.get("modelOverrideSource")) == "user":
                model = model_of(row)
            settings = Settings(model=model or None, thinking=text(row.get("thinkingLevel")) or None)
            if settings != Settings():
                await self.change(successor, settings, f"{COMMAND_KEY}{self._clock.new_id()}")
        except HostError as error:
            _log.warning("session %s goes on without its model and thinking level: %s", key, error)

    async def _chosen(self, key: str) -> str:
        """Return the model a session of an old gateway is set to, whose rows do not tell; empty for the usual one."""
        found = (await self._connection.call("sessions.usage", {"key": key})).get("sessions")
        chosen = mapping(found[0]) if isinstance(found, list) and found else {}
        return f"{text(chosen.get('providerOverride'))}/{text(chosen.get('modelOverride'))}".strip("/")

    async def say(self, key: str, command: str, run_key: str) -> None:
        """Have the gateway's command parser take a command, and wait for its end.

        Args:
            key: the session key in the gateway.
            command: the command, made of words that are known here: never what somebody wrote.
            run_key: its idempotency key.

        Raises:
            HostError: the gateway cannot be asked.
        """
        request = {"sessionKey": key, "message": command, "idempotencyKey": run_key, "deliver": False}
        await self._connection.call("chat.send", request)
        ended = {"runId": run_key, "timeoutMs": WAIT_MS}
        while True:
            answer = await self._connection.call("agent.wait", ended, within_s=WAIT_MS / 1000 + 15)
            if text(answer.get("status")) not in {"timeout", "pending"}:
                return
            await self._clock.sleep(LOOK_EVERY_S)

    async def answer(self, key: str, run_key: str) -> str:
        """Return what the gateway answered to a command that has ended, empty where it says nothing.

        Raises:
            HostError: the gateway cannot be asked.
        """
        request = {"sessionKey": key, "limit": HISTORY_LIMIT}
        for _ in range(LOOKS):
            told = await self._connection.call("chat.history", request, within_s=ANSWER_WITHIN_S)
            messages = told.get("messages")
            for message in map(mapping, messages if isinstance(messages, list) else ()):
                if message.get("role") == "assistant" and message.get("idempotencyKey") == run_key:
                    return message_text(message)
            await self._clock.sleep(LOOK_EVERY_S)
        return ""


def model_of(row: Mapping[str, Any]) -> str:
    """Return the model of a session's row as ``provider/id``, empty where it names none."""
    provider, model = text(row.get("modelProvider")), text(row.get("model"))
    return f"{provider}/{model}" if provider and model else model
