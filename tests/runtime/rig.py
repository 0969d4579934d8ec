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
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.records import ChatLine, RawMessage, RestCall

ANN, BEN, HELPER, OTHER = "ann", "ben", "helper_bot", "other_bot"
TOKEN, OTHER_TOKEN = "bf_0123456789abcdef", "bf_fedcba9876543210"
PATIENCE = 12_000  # looks, 5 ms apart: a minute, for machines that do other things too
RESTART = "⚠️ Previous session failed, restarting..."

_Host = TypeVar("_Host", bound=AgentHost)


class FastClock(SystemClock):
    """A clock on which everything takes a fraction of its time.

    Args:
        factor: how many of its seconds pass in a real one.
    """

    def __init__(self, factor: float = 50.0) -> None:
        self._factor = factor

    def now(self) -> float:
        """Return its monotonic seconds."""
        return time.monotonic() * self._factor

    async def sleep(self, seconds: float) -> None:
        """Sleep for the real part of ``seconds``."""
        await asyncio.sleep(seconds / self._factor)


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
        self.patience_s = 10.0
        """Real seconds `until_said` waits."""
        self.host: AgentHost | None = None
        self.channel: OctoChannel | None = None

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
        self, config: Mapping[str, Any], host: AgentHost | None = None, online: str = HELPER
    ) -> None:
        """Start the channel with every configured bot and wait until the bot ``online`` is."""
        await self.start_blind(config, host)
        await self.octo.wait_for(lambda: self.octo.online(online))

    async def start_with(self, host: _Host, **settings: Any) -> _Host:
        """Start the channel as `config` gives it with ``settings``, and a host; return the host."""
        await self.start(self.config(**settings), host)
        return host

    async def start_blind(self, config: Mapping[str, Any], host: AgentHost | None = None) -> None:
        """Start the channel with every configured bot, wherever they connect."""
        loaded = parse_config(config, base=self.state_dir).config
        if host is None:
            host = host_from_config(loaded.host, self.clock, secrets=loaded.secrets())
        await host.start()
        self.host = host
        self.channel = OctoChannel(loaded, clock=self.clock)
        for name in loaded.accounts:
            await self.channel.start(name, host)

    async def stop(self, drain_s: float = 0) -> None:
        """Stop what was started, once turns have ended or this time is over."""
        if self.channel is not None:
            await self.channel.stop(drain_s)
        if self.host is not None:
            await self.host.stop()
        self.channel = self.host = None

    async def mention(self, text: str, *, who: str = ANN, where: ChannelRef | None = None) -> str:
        """Let a person mention the bot; return the message id."""
        return await self.octo.say(who, where or self.group, text, mention=[HELPER])

    def said(self, where: ChannelRef | None = None, who: str = HELPER) -> list[str]:
        """Return what a bot has said in a conversation, oldest first."""
        lines = self.octo.chat(where) if where else self.octo.chat(self.group)
        return [line.text for line in lines if line.from_uid == who]

    async def until_said(self, count: int, where: ChannelRef | None = None, who: str = HELPER) -> list[str]:
        """Wait until the bot has said ``count`` things there and return them."""
        await self.octo.wait_for(lambda: len(self.said(where, who)) >= count, timeout=self.patience_s)
        return self.said(where, who)

    def calls(self, *names: str) -> list[RestCall]:
        """Return the bot's REST calls of the given names, in order."""
        return [call for call in self.octo.calls if call.name in names]

    def rows(self) -> dict[str, tuple[str, str]]:
        """Return the journal's rows that address a bot: message id to state and detail."""
        db = sqlite3.connect(self.state_dir / "octo.sqlite")
        try:
            found = db.execute(
                "SELECT message_id, state, detail FROM inbound WHERE session_key != '' ORDER BY id"
            )
            return {message_id: (state, detail) for message_id, state, detail in found}
        finally:
            db.close()

    def left_open(self) -> list[tuple[str, str, str]]:
        """Return the chunks of ended rows that are neither sent nor given up: message, row's state, chunk's state."""
        query = (
            "SELECT inbound.message_id, inbound.state, delivery.state FROM delivery"
            " JOIN inbound ON inbound.id = inbound_id WHERE delivery.state IN ('planned', 'sending')"
            " AND inbound.state NOT IN ('received', 'queued', 'running')"
        )
        path = self.state_dir / "octo.sqlite"
        if not path.exists():
            return []
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as db:
            return db.execute(query).fetchall()
        return []  # a test has put something else in its place

    def recorded(self) -> int:
        """Return how many messages of people the journal holds, whether they address a bot or not."""
        db = sqlite3.connect(self.state_dir / "octo.sqlite")
        try:
            (count,) = db.execute(
                "SELECT count(*) FROM inbound WHERE decision IN ('turn', 'context')"
            ).fetchone()
            return int(count)
        finally:
            db.close()

    async def until_row(self, message_id: str, state: str) -> str:
        """Wait until a message's row has reached ``state`` and return its detail."""
        for _ in range(PATIENCE):
            row = self.rows().get(message_id)
            if row is not None and row[0] == state:
                return row[1]
            await SystemClock().sleep(0.005)
        raise AssertionError(f"row {message_id} never became {state}: {self.rows()}")

    async def until_attempt(self, message_id: str, attempt: int) -> None:
        """Wait until the journal counts so many runs of a message."""
        for _ in range(PATIENCE):
            db = sqlite3.connect(self.state_dir / "octo.sqlite")
            found = db.execute("SELECT attempt FROM inbound WHERE message_id = ?", (message_id,)).fetchone()
            db.close()
            if found == (attempt,):
                return
            await SystemClock().sleep(0.005)
        raise AssertionError(f"row {message_id} never had {attempt} attempts")

    async def until_session(self, status: str) -> None:
        """Wait until the group's session has a status."""
        for _ in range(PATIENCE):
            if self.sessions_file.exists() and self.session().get("status") == status:
                return
            await SystemClock().sleep(0.005)
        raise AssertionError(f"the session never became {status}: {self.session()}")

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
        found = None
        for _ in range(PATIENCE):
            db = sqlite3.connect(self.state_dir / "octo.sqlite")
            found = db.execute("SELECT seq FROM cursor WHERE channel_id = ?", (where.id,)).fetchone()
            db.close()
            if found is not None and found[0] >= seq:
                return
            await SystemClock().sleep(0.005)
        raise AssertionError(f"the cursor never reached {seq}: {found}")

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
