"""A running OpenClaw gateway as the agent host (openclaw-host §4, design §6)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from cachetools import FIFOCache, LRUCache

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import HostError, HostRefused, HostUnavailable
from openclaw_channel_octo.host.approvals import Outcome
from openclaw_channel_octo.host.base import Final, Recovery, Turn, TurnEvent
from openclaw_channel_octo.host.commands import CommandCall, HostCommand
from openclaw_channel_octo.host.fields import mapping, number, snapshot_of, text
from openclaw_channel_octo.host.gateway.approvals import APPROVALS_SCOPE, GatewayApprovals
from openclaw_channel_octo.host.gateway.commands import COMMANDS, OLD_COMMANDS, GatewayCommands
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.frames import Event
from openclaw_channel_octo.host.gateway.identity import DeviceFile
from openclaw_channel_octo.host.gateway.places import Places
from openclaw_channel_octo.host.gateway.protocol import Gap, Hello, Login, release_of
from openclaw_channel_octo.host.gateway.resumed import resumed_in
from openclaw_channel_octo.host.gateway.runs import GatewayRun
from openclaw_channel_octo.host.gateway.sessions import GatewaySessions, SuccessorFile
from openclaw_channel_octo.host.gateway.settings import COMMAND_KEY, SettingsOfSessions
from openclaw_channel_octo.host.gateway.workspaces import with_whole_paths
from openclaw_channel_octo.session.status import RECOVERABLE, SessionSnapshot

__all__ = ["FIXED_IN", "GatewayHost", "missing_scopes"]

_log = logging.getLogger(__name__)

FIXED_IN = (2026, 7, 1)
"""First release that clears a failed session away by itself when a new run comes (openclaw-host §0)."""

READ_SCOPE, WRITE_SCOPE = "operator.read", "operator.write"
"""What a bot needs. Never more: with ``operator.admin`` everybody who writes to it would be the gateway's owner."""
MOST_SESSIONS = 2_000
"""Sessions whose rows are held; the least recently used give way."""
RUNS_REMEMBERED = 2_000
"""Sessions whose last run of ours is remembered: releases before 2026.7 do not tell it in their rows."""

Row = Mapping[str, Any]


class GatewayHost:
    """Runs turns in a gateway over one connection for all bots; the gateway keeps the sessions and orders the turns.

    Args:
        url: where the gateway listens, ``ws://`` or ``wss://``.
        login: what is shown to get in.
        device: this installation's identity.
        successors: keeps which sessions conversations go on in.
        approvals: decides what its agents ask leave for; ``None`` where nobody in the chat is asked.
        clock: time and ids.
    """

    queues_turns = True
    keeps_runs = True

    def __init__(  # what it is made of, each with a name at every call
        self,
        *,
        url: str,
        login: Login,
        device: DeviceFile,
        successors: SuccessorFile,
        clock: Clock,
        approvals: GatewayApprovals | None = None,
    ) -> None:
        self._clock = clock
        self._approvals = approvals
        self.connection = GatewayConnection(
            url=url, login=login, device=device, clock=clock, heard=self._hear, opened=self._opened
        )
        self._old = False
        settings = SettingsOfSessions(self.connection, clock, lambda: self._old)
        self.sessions = GatewaySessions(successors, self.connection, settings)
        self._commands = GatewayCommands(self.connection, self.sessions, clock)
        self._places = Places(self.connection, successors, self._named_row, clock)
        self._runs: dict[str, GatewayRun] = {}
        self._last_runs: FIFOCache[str, str] = FIFOCache(RUNS_REMEMBERED)
        self._ended_badly: FIFOCache[str, bool] = FIFOCache(RUNS_REMEMBERED)
        """Session keys whose last run did, and whether a session was left since one ended well."""
        self._rows: LRUCache[str, Row] = LRUCache(MOST_SESSIONS)  # by key in any case, as events told of them
        self._subscribed = False
        self._subscribing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect; a gateway that cannot be reached yet is waited for in the background.

        Raises:
            HostRefused: the gateway does not let us in.
            HostError: what is kept in the state folder cannot be read or written.
        """
        await self.sessions.start()
        await self.connection.start()
        if self._approvals is not None:
            await self._approvals.start()

    async def stop(self) -> None:
        """Close the connection; runs go on in the gateway and are taken up at the next start."""
        if self._subscribing is not None:
            self._subscribing.cancel()
            await asyncio.wait({self._subscribing})
        if self._approvals is not None:
            await self._approvals.stop()
        await self.connection.stop()

    @property
    def asks_here(self) -> bool:
        """Whether people in the chat are asked what its agents want leave for."""
        return self._approvals is not None

    async def decide(self, approval_id: str, decision: str) -> Outcome:
        """Take a decision to the gateway. Raises `HostError`."""
        if self._approvals is None:
            return Outcome.GONE
        return await self._approvals.decide(approval_id, decision)

    async def ready(self) -> None:
        """Return when the gateway takes turns, waiting as long as it takes.

        Raises:
            HostRefused: the gateway does not let us in, or not do what a bot needs.
        """
        hello = await self.connection.ready()
        if missing := missing_scopes(hello):
            raise HostRefused(missing)

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        """Return the session's state: as its events told it, else as the gateway answers when asked.

        Raises:
            HostError: the gateway cannot be asked.
        """
        current = self.sessions.key(session_key)
        key = current.casefold()
        row = self._rows.get(key) if self._subscribed else None
        if row is None and not (row := await self._ask_row(current)):
            return None
        if not row.get("lastRunId"):
            row = {**row, "lastRunId": self._last_runs.get(key)}
        return _snapshot(session_key, row)

    async def _ask_row(self, key: str) -> Row:
        """Return a session's row as the gateway answers when asked, empty where there is no such session."""
        payload = await self.connection.call("sessions.describe", {"key": key})
        if row := mapping(payload.get("session")):
            self._rows.setdefault(key.casefold(), row)  # an event may have told of something newer meanwhile
        return row

    async def _named_row(self, key: str) -> Row:
        """Return a session's row with its name; not every event tells it."""
        row = self._rows.get(key.casefold(), {}) if self._subscribed else {}
        return row if "label" in row else await self._ask_row(key)

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        """Make room for a new run: from 2026.7.1 on the run's fresh id does that by itself.

        An older gateway may hold the failed run's place; what still holds it is told to end. Raises `HostError`.
        """
        if self._old and snapshot.status in RECOVERABLE:
            await self.connection.call("sessions.abort", {"key": self.sessions.key(snapshot.session_key)})
        return Recovery.RECOVERED

    async def run(self, turn: Turn) -> AsyncGenerator[TurnEvent, None]:
        """Run a turn; letting go of the stream leaves the run to the gateway, where `abort` reaches it."""
        # a session that was left for nothing says that the gateway is slow, not that the next one is held
        suspect = self._old and self._ended_badly.get(turn.session_key) is False
        run = GatewayRun(turn, self.connection, self.sessions, self._places, self._clock, suspect=suspect)
        self._runs[turn.run_id] = run
        if self._approvals is not None:
            self._approvals.follow(run)
        self._last_runs[run.session_key.casefold()] = turn.run_id
        left = self._ended_badly.setdefault(turn.session_key, False)
        driver = asyncio.create_task(run.drive(), name=f"octo:gateway:{turn.run_id}")
        try:
            while (event := await run.events.get()) is not None:
                if isinstance(event, Final):
                    self._ended_badly.pop(turn.session_key, None)
                    event = await with_whole_paths(event, turn.agent_id, self.connection)
                yield event
            await driver
        finally:
            if turn.session_key in self._ended_badly:
                self._ended_badly[turn.session_key] = left or run.left > 0
            del self._runs[turn.run_id]
            if self._approvals is not None:
                self._approvals.leave(run)
            self._last_runs[run.session_key.casefold()] = (
                turn.run_id
            )  # it may have left the session it began in
            driver.cancel()
            await asyncio.wait({driver})

    async def abort(self, session_key: str, run_id: str) -> bool:
        """End a run, also where the gateway is away; return whether it was under way. Raises `HostError`."""
        run = self._runs.get(run_id)
        if run is not None:
            run.stop()
        params = {
            "key": self.sessions.key(session_key),
            "runId": run.key if run is not None else run_id,
        }
        try:
            answer = await self.connection.call("sessions.abort", params)
        except HostUnavailable:
            if run is None:
                raise
            return True
        if self._approvals is not None:
            await self._approvals.withdraw(params["key"])
        return run is not None or text(answer.get("status")) == "aborted"

    async def reset(self, session_key: str) -> SessionSnapshot:
        """Let the conversation go on in a new session; the one before stays in the gateway as it is.

        The gateway's own reset would need the scope ``operator.admin``.
        """
        await self.sessions.forget(session_key)
        return SessionSnapshot(session_key=session_key)

    async def resumed(self, session_key: str) -> Mapping[str, Sequence[str]]:
        """Return what the gateway's own recovery has said in a conversation; see `host.base.ResumesRuns`."""
        said: dict[str, Sequence[str]] = {}
        for key in {session_key, self.sessions.key(session_key)}:
            said |= await resumed_in(key, self.connection, self._clock)
        return said

    def conversation_key(self, session_key: str) -> str:
        """Return the session key of the conversation that a session of the gateway belongs to."""
        return self.sessions.conversation_key(session_key)

    @property
    def commands(self) -> Sequence[HostCommand]:
        """The commands in the chat that it answers."""
        return OLD_COMMANDS if self._old else COMMANDS

    async def command(self, call: CommandCall) -> str:
        """Answer a command about a conversation's session. Raises `HostError`."""
        return await self._commands.answer(call)

    def _opened(self, hello: Hello) -> None:
        """Begin a connection: nothing that was known of sessions holds, until events are subscribed."""
        self._rows.clear()
        self._subscribed = False
        self._places.forget()
        if missing := missing_scopes(hello):
            _log.error("%s", missing)
        if self._approvals is not None and APPROVALS_SCOPE not in hello.scopes:
            _log.error(
                "host.approvals: the gateway did not grant %s to turns, so agents cannot ask for leave; "
                "run on its machine: openclaw devices approve --latest",
                APPROVALS_SCOPE,
            )
        release = release_of(hello.version)
        if release and release < FIXED_IN and not self._old:
            _log.warning(
                "gateway release %s can hold on to a failed run and drop the next message: 2026.7.1 and later do not",
                hello.version,
            )
        self._old = bool(release) and release < FIXED_IN
        if self._subscribing is not None:
            self._subscribing.cancel()
        self._subscribing = asyncio.get_running_loop().create_task(
            self._subscribe(), name="octo:gateway:subscribe"
        )

    async def _subscribe(self) -> None:
        """Ask for the sessions' events; without them every session is asked for when it is needed."""
        await self.connection.ready()
        try:
            await self.connection.call("sessions.subscribe", {})
        except HostUnavailable:
            return  # the next connect asks again
        except HostError as error:
            _log.warning("no events of sessions from this gateway, they are asked for one by one: %s", error)
            return
        self._rows.clear()
        self._subscribed = True

    def _hear(self, event: Event | Gap) -> None:
        match event:
            case Gap(missed):
                _log.warning("%d events of the gateway were lost", missed)
                self._rows.clear()
            case Event(name="sessions.changed"):
                self._take_row(event.payload)
            case Event(name="chat" | "agent"):
                key = text(event.payload.get("sessionKey")).casefold()
                run_id = text(event.payload.get("runId"))
                if run_id.startswith(COMMAND_KEY):
                    return  # of no turn
                for run in self._runs.values():
                    if run_id == run.key or (key and key == run.session_key.casefold()):
                        run.on_event(event.name, event.payload)
                        return
                if not run_id.startswith(self._last_runs.get(key, run_id)):
                    del self._last_runs[key]

    def _take_row(self, change: Row) -> None:
        """Take a ``sessions.changed`` event (openclaw-host §4.5).

        One that does not tell the state makes us forget the session; some are about no one session.
        """
        inner = mapping(change.get("session"))
        row = inner if "status" in inner else change
        key = (text(change.get("sessionKey")) or text(inner.get("key"))).casefold()
        if "status" in row and text(change.get("reason")) not in {"delete", "reset"}:
            self._rows[key] = row
        else:
            self._rows.pop(key, None)


def missing_scopes(hello: Hello) -> str:
    """Return what to do about scopes the gateway did not grant, empty where it granted what a bot needs."""
    missing = [scope for scope in (READ_SCOPE, WRITE_SCOPE) if scope not in hello.scopes]
    if not missing:
        return ""
    return (
        f"the gateway did not grant {' and '.join(missing)}, no turn can run: host.scopes must be left out or name "
        f"{READ_SCOPE} and {WRITE_SCOPE}; where it does, run on the gateway's machine: "
        "openclaw devices approve --latest"
    )


def _snapshot(session_key: str, row: Row) -> SessionSnapshot:
    """Return a gateway's row as the guard reads it (openclaw-host §1.4, §2.2).

    Args:
        session_key: the key as we write it; gateways answer with a lower-cased one.
        row: the row, of ``sessions.describe`` or of a ``sessions.changed`` event.
    """
    active = row.get("activeRunIds")
    running = active[0] if isinstance(active, list) and active else row.get("lastRunId")
    known = {**row, "status": text(row.get("status")) or None, "lastRunId": running}
    return snapshot_of(session_key, known, number(row.get("lastActivityAt")))
