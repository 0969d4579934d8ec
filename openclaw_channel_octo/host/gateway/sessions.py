"""Which of a gateway's sessions a conversation goes on in (decision 0038).

A session that its gateway will not run any more is left, and so is one that a person resets. The conversation goes on
under a successor session key, which is kept in a file.
"""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cachetools import FIFOCache, LRUCache
from msgspec import Struct

from openclaw_channel_octo.errors import HostError, HostUnavailable
from openclaw_channel_octo.host.fields import mapping, text
from openclaw_channel_octo.host.files import write_private_json
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.outcome import message_text
from openclaw_channel_octo.host.gateway.settings import SettingsOfSessions
from openclaw_channel_octo.message.text import indented

__all__ = ["GatewaySessions", "SuccessorFile"]

_log = logging.getLogger(__name__)

HISTORY_LIMIT = 50
"""Messages of a left session that its successor is told."""
MOST_MEMORY = 12_000
"""Characters of them; the newest ones stay."""
MOST_LEFT = 3
"""Left sessions of one conversation whose messages are told."""
MEMORIES_HELD = 200
MOST_NAMES = 5_000
"""Sessions whose names are kept."""

_NUMBER = re.compile(r"~[0-9]+\Z")


class Successor(Struct, frozen=True):
    """Where a conversation goes on.

    Attributes:
        key: the session key its runs use.
        memory_of: keys of the sessions it was in before, oldest first, whose messages the agent is told.
    """

    key: str
    memory_of: tuple[str, ...] = ()


class SuccessorFile:
    """Keeps successors by the session key they stand for, and the names sessions were given, mode 0600.

    Args:
        path: the file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loaded = False
        self._successors: dict[str, Successor] = {}
        self._names: FIFOCache[str, str] = FIFOCache(MOST_NAMES)
        self._writing = threading.Lock()

    def load(self) -> None:
        """Read the file, once. Raises `HostError` where it cannot be read, or holds something else."""
        if self._loaded:
            return
        try:
            content = json.loads(self._path.read_bytes())
            self._successors = {
                str(key): Successor(str(one["key"]), tuple(map(str, one["memoryOf"])))
                for key, one in content["sessions"].items()
            }
            self._names.update((str(key), str(name)) for key, name in content.get("names", {}).items())
        except FileNotFoundError:
            pass
        except OSError as error:
            raise HostError(f"{self._path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HostError(
                f"{self._path} is not the list of sessions it should be: repair it, or move it away, "
                "and conversations go on in their first sessions"
            ) from None
        self._loaded = True

    def get(self, session_key: str) -> Successor:
        """Return where the conversation of a session key goes on; under the key itself where nothing is kept."""
        return self._successors.get(session_key) or Successor(session_key)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield each session key that goes on elsewhere, and where."""
        return ((key, one.key) for key, one in self._successors.items())

    def put(self, session_key: str, successor: Successor) -> None:
        """Keep a successor. Raises `HostError` where it cannot be written; it holds until the process ends then."""
        with self._writing:
            self._successors[session_key] = successor
            self._write()

    def name(self, session_key: str) -> str:
        """Return the name that a session in the gateway was given last, empty where it was given none."""
        return str(self._names.get(session_key, ""))

    def put_name(self, session_key: str, name: str) -> None:
        """Keep the name that a session in the gateway is given. Raises `HostError` as `put` does."""
        with self._writing:
            self._names[session_key] = name
            self._write()

    def _write(self) -> None:
        kept = {
            key: {"key": one.key, "memoryOf": list(one.memory_of)} for key, one in self._successors.items()
        }
        content = {"version": 1, "sessions": kept, "names": dict(self._names)}
        write_private_json(self._path, content)


class GatewaySessions:
    """Knows and changes the sessions that conversations run in.

    Args:
        file: keeps successors.
        connection: to the gateway.
        settings: what sessions are set to; successors are set like the sessions before them.
    """

    def __init__(
        self, file: SuccessorFile, connection: GatewayConnection, settings: SettingsOfSessions
    ) -> None:
        self.file = file
        self.settings = settings
        self._connection = connection
        self._memories: LRUCache[tuple[str, ...], str] = LRUCache(MEMORIES_HELD)

    async def start(self) -> None:
        """Read what is kept. Raises `HostError`."""
        await asyncio.to_thread(self.file.load)

    def key(self, session_key: str) -> str:
        """Return the session key in the gateway under which a conversation runs now."""
        return self.file.get(session_key).key

    def conversation_key(self, session_key: str) -> str:
        """Return the session key of the conversation that runs, or has run, under a key of the gateway.

        Args:
            session_key: as the gateway writes it, in any case.
        """
        wanted = session_key.casefold()
        found = (ours for ours, current in self.file if current.casefold() == wanted)
        return next(found, _NUMBER.sub("", session_key))

    async def memory(self, session_key: str) -> str:
        """Return what was said in the sessions a conversation has left, for its agent; empty where it left none.

        Raises:
            HostUnavailable: the gateway is away.
        """
        left = self.file.get(session_key).memory_of
        if not left:
            return ""
        if (known := self._memories.get(left)) is None:
            lines = [line for key in left for line in await self._said(key)]
            known = self._memories[left] = _newest(lines)
        return known

    async def leave(self, session_key: str, why: str) -> None:
        """Let a conversation go on in another session, with its memory.

        A gateway that gave up a session after restarts makes a successor itself, with the whole transcript
        (``sessions.recover``, openclaw-host §4.4). Any other session gets one that is told the newest messages.

        Args:
            session_key: the conversation's.
            why: why its session cannot be used any more, for the operator.

        Raises:
            HostUnavailable: the gateway is away.
        """
        now = self.file.get(session_key)
        if recovered := await self._recovered(now.key):
            successor = Successor(recovered, now.memory_of)
        else:
            successor = Successor(_following(session_key, now.key), (*now.memory_of, now.key)[-MOST_LEFT:])
            await self.settings.carry(now.key, successor.key)
        _log.warning("session %s goes on as %s: %s", session_key, successor.key, why)
        await self._keep(session_key, successor)

    async def forget(self, session_key: str) -> None:
        """Let a conversation go on in a new session without memory, with the model and thinking level it was set to."""
        now = self.file.get(session_key).key
        successor = Successor(_following(session_key, now))
        await self.settings.carry(now, successor.key)
        await self._keep(session_key, successor)

    async def _keep(self, session_key: str, successor: Successor) -> None:
        try:
            await asyncio.to_thread(self.file.put, session_key, successor)
        except HostError as error:
            _log.error("the session of %s is the one before after a restart: %s", session_key, error)

    async def _recovered(self, key: str) -> str:
        """Return the successor the gateway makes of a session it gave up, empty where it makes none."""
        try:
            answer = await self._connection.call("sessions.recover", {"key": key})
            successor = text(answer.get("key"))
            if successor:  # it begins to run what was interrupted: people were told how that ended
                await self._connection.call("sessions.abort", {"key": successor})
        except HostUnavailable:
            raise
        except HostError:
            return ""
        return successor

    async def _said(self, key: str) -> Sequence[str]:
        params = {"sessionKey": key, "limit": HISTORY_LIMIT}
        try:
            messages = (await self._connection.call("chat.history", params)).get("messages")
        except HostUnavailable:
            raise
        except HostError as error:
            _log.warning("what was said in the session %s cannot be read: %s", key, error)
            return ()
        return list(_lines(messages if isinstance(messages, list) else ()))


def _following(session_key: str, current: str) -> str:
    """Return the key of a session nobody has used: the conversation's with a number behind it."""
    number = current.removeprefix(f"{session_key}~")
    return f"{session_key}~{int(number) + 1 if number.isdecimal() else 2}"


def _lines(messages: Sequence[Any]) -> Iterator[str]:
    for message in map(mapping, messages):
        role, said = text(message.get("role")), message_text(message)
        if said and role in {"user", "assistant"}:
            yield f"{'You' if role == 'assistant' else 'They'}: {indented(said)}"


def _newest(lines: Sequence[str]) -> str:
    """Return the lines from the end that fit."""
    kept: list[str] = []
    room = MOST_MEMORY
    for line in reversed(lines):
        room -= len(line)
        if room < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))
