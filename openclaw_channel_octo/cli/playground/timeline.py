"""What happens in each conversation, noted in the order it happens."""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from itertools import count
from textwrap import shorten
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.host.base import Accepted, Failed, Final, Recovery, Skipped, Turn, TurnEvent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.records import RestCall
from openclaw_channel_octo.testing.octo.view import conversations

__all__ = ["Kind", "Timeline", "WatchedHost"]

KEPT = 400
"""Entries a timeline keeps."""

_short = partial(shorten, width=80, placeholder=" …")
"""Returns what is shown of a message."""


class Kind(StrEnum):
    """What an entry is about."""

    SAID = "said"
    TURN = "turn"
    STATUS = "status"
    CALL = "call"
    NOTICE = "notice"
    CONNECTION = "connection"


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Attributes:
        number: counts the entries up.
        at_ms: when, Unix milliseconds.
        session_key: the conversation's session; empty for what concerns the whole bot.
        kind: what it is about.
        says: what happened, in English words with the names of ``told`` in braces; the page has other languages.
        told: what stands in the place of those names.
        bad: whether it is a failure.
        run_id: the run that begins with this, else empty.
    """

    number: int
    at_ms: int
    session_key: str
    kind: Kind
    says: str
    told: Mapping[str, str]
    bad: bool = False
    run_id: str = ""


class Timeline:
    """The latest of what happened: what is noted, what people say, what the bot asks of its server, whether it is up.

    Args:
        octo: the server.
        bot: the bot's uid.
        clock: gives the entries their times.
        key_of: gives the session key of a conversation as the bot addresses it.
        announcement: the text that tells of a restart.

    Attributes:
        entries: oldest first.
    """

    def __init__(
        self, octo: OctoDouble, bot: str, clock: Clock, key_of: Callable[[ChannelRef], str], announcement: str
    ) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self._octo = octo
        self._bot = bot
        self._clock = clock
        self._key_of = key_of
        self._announcement = announcement
        self._numbers = count(1)
        self._lines_seen: dict[str, int] = {}
        self._calls_seen = 0
        self._unanswered: list[int] = []
        self._online = False

    def note(
        self, session_key: str, kind: Kind, says: str, *, bad: bool = False, run_id: str = "", **told: str
    ) -> None:
        """Add what has happened at this moment; see `Entry`."""
        entry = Entry(
            number=next(self._numbers),
            at_ms=self._clock.wall_ms(),
            session_key=session_key,
            kind=kind,
            says=says,
            told=told,
            bad=bad,
            run_id=run_id,
        )
        self.entries.append(entry)

    async def follow(self) -> None:
        """Note everything at once when it happens; never returns."""
        while True:
            changed = self._octo.changed()
            online = bool(self._octo.online(self._bot))
            if online != self._online:
                self._online = online
                words = "the bot is connected" if online else "the bot's connection is gone"
                self.note("", Kind.CONNECTION, words, bad=not online)
            self._note_lines()
            self._note_calls()
            await changed

    def _note_lines(self) -> None:
        for found in conversations(self._octo):
            for line in self._octo.chat(found.channel, found.bot, after=self._lines_seen.get(found.key, 0)):
                self._lines_seen[found.key] = line.message_seq
                if line.from_uid and line.from_uid != self._bot:
                    key, text = self._key_of(found.channel), _short(line.text)
                    self.note(key, Kind.SAID, "{name}: {text}", name=line.name, text=text)

    def _note_calls(self) -> None:
        calls = self._octo.calls
        self._unanswered += range(self._calls_seen, len(calls))
        self._calls_seen = len(calls)
        for number in [number for number in self._unanswered if calls[number].status is not None]:
            self._unanswered.remove(number)
            self._note_call(calls[number])

    def _note_call(self, call: RestCall) -> None:
        body = call.body if isinstance(call.body, Mapping) else {}
        payload = body.get("payload")
        text = payload.get("content", "") if isinstance(payload, Mapping) else ""
        announced = call.name == "sendMessage" and text == self._announcement
        words = f"{call.name} {_short(str(text))}".strip()
        failed = call.status != HTTPStatus.OK
        try:
            key = self._key_of(ChannelRef(body["channel_id"], ChannelType(body["channel_type"])))
        except (KeyError, TypeError, ValueError):
            key = ""  # a call about no conversation
        says = "{call}" if not failed else "{call} → {status}" if call.status else "{call} → no answer"
        kind = Kind.NOTICE if announced else Kind.CALL
        self.note(key, kind, says, bad=failed, call=words, status=str(call.status))


class WatchedHost(EmbeddedHost):
    """An embedded host whose turns, recoveries and statuses are noted.

    Args:
        timeline: takes the notes.
        settings: those of `EmbeddedHost`.
    """

    def __init__(self, timeline: Timeline, **settings: Any) -> None:
        super().__init__(**settings)
        self._timeline = timeline
        self._statuses: dict[str, str] = {}

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        """See `AgentHost.recover`."""
        recovery = await super().recover(snapshot)
        self._timeline.note(snapshot.session_key, Kind.TURN, "session {recovery}", recovery=recovery)
        await self._note_status(snapshot.session_key)
        return recovery

    async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent, None]:
        """See `AgentHost.run`."""
        stream = super().run(turn)
        try:
            async for event in stream:
                await self._note_event(turn, event)
                yield event
        finally:
            await stream.aclose()
            await self._note_status(turn.session_key)

    async def reset(self, session_key: str) -> SessionSnapshot:
        """See `AgentHost.reset`."""
        renewed = await super().reset(session_key)
        self._timeline.note(session_key, Kind.TURN, "session reset: a new, empty memory")
        await self._note_status(session_key)
        return renewed

    async def _note_event(self, turn: Turn, event: TurnEvent) -> None:
        note = partial(self._timeline.note, turn.session_key, Kind.TURN, run=turn.run_id[:8])
        match event:
            case Accepted():
                name = turn.sender.name or turn.sender.uid
                note("run {run} starts for {name}", name=name, run_id=turn.run_id)
                await self._note_status(turn.session_key)
            case Final():
                note("run {run} ends")
            case Failed(status=status, message=message):
                note("run {run} ends {status}: {why}", status=status, why=message, bad=True)
            case Skipped(reason=reason):
                note("run {run} skipped by the host: {why}", why=reason, bad=True)

    async def _note_status(self, session_key: str) -> None:
        snapshot = await self.describe(session_key)
        status = (snapshot.status if snapshot else None) or "idle"
        if self._statuses.get(session_key) != status:
            self._statuses[session_key] = status
            bad = status not in {"idle", "running", "done"}
            self._timeline.note(session_key, Kind.STATUS, "session status {status}", status=status, bad=bad)
