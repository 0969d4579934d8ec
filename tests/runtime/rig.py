"""A whole deployment for tests: the double on loopback, a host, and the channel between them."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.host.configure import host_from_config
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.testing import ChatLine, OctoDouble, RawMessage, RestCall, ScriptedHost
from tests.until import PATIENCE_S, until

ANN, BEN, HELPER, OTHER = "ann", "ben", "helper_bot", "other_bot"
TOKEN, OTHER_TOKEN = "bf_0123456789abcdef", "bf_fedcba9876543210"
RESTART = "⚠️ Previous session failed, restarting..."

_Host = TypeVar("_Host", bound=AgentHost)


class FastClock(SystemClock):
    """A clock on which everything takes a fraction of its time.

    Args:
        factor: how many of its seconds pass in a real one.
    """

    def __init__(self, factor: float = 25.0) -> None:
        self._factor = factor

    def now(self) -> float:
        """Return its monotonic seconds."""
        return time.monotonic() * self._factor

    async def sleep(self, seconds: float) -> None:
        """Sleep for the real part of ``seconds``."""
        await asyncio.sleep(seconds / self._factor)


class MovedClock(SystemClock):
    """The machine's clock with a time of day that tests move.

    Args:
        ahead_s: how far it is ahead.
    """

    def __init__(self, ahead_s: float = 0) -> None:
        self.ahead_s = ahead_s

    def wall_ms(self) -> int:
        """Return its time of day in milliseconds."""
        return super().wall_ms() + round(self.ahead_s * 1_000)


class Rig:
    """One deployment: people in a group and a thread, bots, a state folder, and what was seen.

    Args:
        octo: the running double.
        state_dir: the host's folder.
        clock: the channel's clock.
    """

    def __init__(self, octo: OctoDouble, state_dir: Path, clock: Clock) -> None:
        self.octo = octo
        self.state_dir = state_dir
        self.clock = clock
        octo.add_person(ANN, "Ann")
        octo.add_person(BEN, "Ben")
        octo.add_bot(HELPER, TOKEN, name="Helper", owner=ANN)
        octo.add_bot(OTHER, OTHER_TOKEN, name="Other", owner=ANN)
        self.group = octo.add_group("g1", [ANN, BEN, HELPER, OTHER])
        self.thread = octo.add_thread("g1", "2039626171074744320")
        self.dm = ChannelRef(HELPER, 1)
        self.host: AgentHost | None = None
        self.running: OctoChannel | None = None

    @property
    def channel(self) -> OctoChannel:
        """The channel, which was started and not stopped."""
        assert self.running is not None
        return self.running

    def config(
        self,
        *,
        agent: Mapping[str, Any] | None = None,
        bots: Mapping[str, str] | None = None,
        host: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        """Return an ``octo.json`` mapping for this deployment."""
        tokens = bots or {"helper": TOKEN}
        return {
            "channels": {
                "octo": {
                    "apiUrl": self.octo.api_url,
                    "accounts": {name: {"botToken": token} for name, token in tokens.items()},
                    **settings,
                }
            },
            "host": {
                "kind": "embedded",
                "stateDir": str(self.state_dir),
                "agent": agent or {"kind": "echo"},
                **(host or {}),
            },
        }

    async def start(
        self, config: Mapping[str, Any], host: AgentHost | None = None, online: str = HELPER, **parts: Any
    ) -> None:
        """Start the channel with every configured bot and wait until the bot ``online`` is."""
        await self.start_blind(config, host, **parts)
        await self.octo.wait_for(lambda: self.octo.online(online))

    async def start_with(self, host: _Host, **settings: Any) -> _Host:
        """Start the channel as `config` gives it with ``settings``, and a host; return the host."""
        await self.start(self.config(**settings), host)
        return host

    async def start_blind(
        self, config: Mapping[str, Any], host: AgentHost | None = None, **parts: Any
    ) -> None:
        """Start the channel, made with ``parts`` of a test's own, with every configured bot, wherever they connect."""
        loaded = parse_config(config, base=self.state_dir).config
        if host is None:
            host = host_from_config(loaded.host, self.clock, secrets=loaded.secrets())
        await host.start()
        self.host = host
        self.running = OctoChannel(loaded, clock=self.clock, **parts)
        for name in loaded.accounts:
            await self.channel.start(name, host)

    async def stop(self, drain_s: float = 0) -> None:
        """Stop what was started, once turns have ended or this time is over."""
        if self.running is not None:
            await self.running.stop(drain_s)
        if self.host is not None:
            await self.host.stop()
        self.running = self.host = None

    async def mention(self, text: str, *, who: str = ANN, where: ChannelRef | None = None) -> str:
        """Let a person mention the bot; return the message id."""
        return await self.octo.say(who, where or self.group, text, mention=[HELPER])

    async def mentioned(self, text: str, state: str = "answered", *, where: ChannelRef | None = None) -> str:
        """Let Ann mention the bot, wait until the message's row has reached ``state``, and return its id."""
        message_id = await self.mention(text, where=where)
        await self.until_row(message_id, state)
        return message_id

    async def under_way(self, text: str, *, who: str = ANN, where: ChannelRef | None = None) -> str:
        """Let a person mention the bot, wait until the agent of its scripted host has begun, and return the id."""
        assert isinstance(self.host, ScriptedHost)
        turns = len(self.host.turns)
        message_id = await self.mention(text, who=who, where=where)
        await self.host.wait_for_turns(turns + 1)
        return message_id

    async def meet(self) -> None:
        """Let the bot meet the group, so that it has a cursor there."""
        await self.mentioned("hello")
        await self.until_cursor(self.group, 2)

    def said(self, where: ChannelRef | None = None, who: str = HELPER) -> list[str]:
        """Return what a bot has said in a conversation, oldest first."""
        lines = self.octo.chat(where) if where else self.octo.chat(self.group)
        return [line.text for line in lines if line.from_uid == who]

    async def until_said(self, count: int, where: ChannelRef | None = None, who: str = HELPER) -> list[str]:
        """Wait until the bot has said ``count`` things there and return them."""
        await self.octo.wait_for(lambda: len(self.said(where, who)) >= count, timeout=PATIENCE_S)
        return self.said(where, who)

    def calls(self, *names: str) -> list[RestCall]:
        """Return the bot's REST calls of the given names, in order."""
        return [call for call in self.octo.calls if call.name in names]

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Carry out a statement on the journal, as another process would; return the rows it gives."""
        with closing(sqlite3.connect(self.state_dir / "octo.sqlite")) as db, db:
            return db.execute(statement, values).fetchall()

    def rows(self) -> dict[str, tuple[str, str]]:
        """Return the journal's rows that address a bot: message id to state and detail."""
        found = self.sql("SELECT message_id, state, detail FROM inbound WHERE session_key != '' ORDER BY id")
        return {message_id: (state, detail) for message_id, state, detail in found}

    def column(self, name: str) -> dict[str, Any]:
        """Return a column of the rows that address a bot, by message id."""
        return dict(self.sql(f"SELECT message_id, {name} FROM inbound WHERE session_key != ''"))

    async def until_attempts(self, count: int) -> None:
        """Wait until messages have had so many attempts together."""
        await until(lambda: sum(self.column("attempt").values()) == count, f"{count} attempts")

    def left_open(self) -> list[tuple[Any, ...]]:
        """Return the chunks of ended rows that are neither sent nor given up: message, row's state, chunk's state."""
        query = (
            "SELECT inbound.message_id, inbound.state, delivery.state FROM delivery"
            " JOIN inbound ON inbound.id = inbound_id WHERE delivery.state IN ('planned', 'sending')"
            " AND inbound.state NOT IN ('received', 'queued', 'running')"
        )
        if not (self.state_dir / "octo.sqlite").exists():
            return []
        with suppress(sqlite3.DatabaseError):
            return self.sql(query)
        return []  # a test has put something else in its place

    def recorded(self) -> int:
        """Return how many messages of people the journal holds, whether they address a bot or not."""
        ((count,),) = self.sql("SELECT count(*) FROM inbound WHERE decision IN ('turn', 'context')")
        return int(count)

    async def until_row(self, message_id: str, state: str) -> str:
        """Wait until a message's row has reached ``state`` and return its detail."""
        _, detail = await until(
            lambda: row if (row := self.rows().get(message_id)) and row[0] == state else None,
            lambda: f"{state} as the state of row {message_id}: {self.rows()}",
        )
        return detail

    async def until_answered(self, *message_ids: str) -> None:
        """Wait until the rows of messages are answered."""
        for message_id in message_ids:
            await self.until_row(message_id, "answered")

    async def broken_off(self, sends: int = 1) -> str:
        """Let Ann mention the bot, stop it once it has begun to send so much, and return the message's id."""
        message_id = await self.mention("go")
        await self.octo.wait_for(lambda: len(self.calls("sendMessage")) >= sends)
        await self.stop()
        return message_id

    async def until_ended(self, *message_ids: str) -> list[str]:
        """Wait until messages have ended, and return how, in order."""

        def ends() -> list[str] | None:
            states = [self.rows().get(one, ("",))[0] for one in message_ids]
            return states if {*states} <= {"answered", "notified", "dead"} else None

        return await until(ends, lambda: f"an end of {message_ids}: {self.rows()}")

    async def until_attempt(self, message_id: str, attempt: int) -> None:
        """Wait until the journal counts so many runs of a message."""
        await until(
            lambda: self.column("attempt").get(message_id) == attempt,
            f"attempt {attempt} of row {message_id}",
        )

    async def until_session(self, status: str) -> None:
        """Wait until the group's session has a status."""
        await until(
            lambda: self.sessions_file.exists() and self.session().get("status") == status,
            lambda: f"{status} as the status of the session: {self.session()}",
        )

    async def repeat(self, line: ChatLine) -> None:
        """Let the server push a message of the group once more."""
        raw = RawMessage(
            from_uid=line.from_uid,
            channel=self.group,
            payload=json.dumps(line.payload).encode(),
            message_id=int(line.message_id),
            message_seq=line.message_seq,
            timestamp=line.timestamp,
        )
        await self.octo.inject(HELPER, raw)

    def raw_mention(self, text: str, seq: int, *, timestamp: int | None = None) -> RawMessage:
        """Return a mention in the group with a number of its own, to be injected."""
        payload = {"type": 1, "content": f"@Helper {text}", "mention": {"uids": [HELPER]}}
        return RawMessage(
            from_uid=ANN,
            channel=self.group,
            payload=json.dumps(payload).encode(),
            message_seq=seq,
            timestamp=timestamp,
        )

    @staticmethod
    def payload_of(line: ChatLine) -> bytes:
        """Return a message's payload as it went over the wire."""
        return json.dumps(line.payload).encode()

    async def until_cursor(self, where: ChannelRef, seq: int) -> None:
        """Wait until the journal knows a conversation to be complete up to a number."""
        select = "SELECT seq FROM cursor WHERE channel_id = ? AND seq >= ?"
        await until(lambda: self.sql(select, where.id, seq), f"cursor {seq} of {where.id}")

    @property
    def sessions_file(self) -> Path:
        """The embedded host's sessions.json."""
        return self.state_dir / "agents" / "main" / "sessions" / "sessions.json"

    def session(self, key: str = "agent:main:octo:group:g1") -> dict[str, Any]:
        """Return a session's entry on disk."""
        entry = json.loads(self.sessions_file.read_text())[key]
        assert isinstance(entry, dict)
        return entry

    def write_session(self, entry: Mapping[str, Any], key: str = "agent:main:octo:group:g1") -> None:
        """Put an entry into sessions.json as somebody with an editor would."""
        self.sessions_file.parent.mkdir(parents=True, exist_ok=True)
        self.sessions_file.write_text(json.dumps({key: entry}))


def python_agent(source: str) -> dict[str, Any]:
    """Return the configuration of a command agent that runs ``source``; ``prompt`` holds what it was asked."""
    return {
        "kind": "command",
        "command": [sys.executable, "-c", f"import sys, os, time\nprompt = sys.stdin.read()\n{source}"],
    }
