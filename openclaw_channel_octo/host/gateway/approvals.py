"""What agents in a gateway ask leave for: heard, listed and decided over a connection of its own (decision 0051)."""

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cachetools import FIFOCache
from msgspec import Struct
from msgspec.structs import replace

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import HostError, HostUnavailable
from openclaw_channel_octo.host.approvals import Approval, ApprovalEnd, ApprovalsChanged, Outcome
from openclaw_channel_octo.host.fields import mapping, number, text
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.frames import Event
from openclaw_channel_octo.host.gateway.identity import DeviceFile
from openclaw_channel_octo.host.gateway.protocol import Gap, Hello, Login
from openclaw_channel_octo.host.gateway.runs import GatewayRun
from openclaw_channel_octo.policy.verdicts import ALWAYS, DENY, ONCE

__all__ = ["APPROVALS_SCOPE", "CAPS", "SCOPES", "GatewayApprovals", "approval_of"]

_log = logging.getLogger(__name__)

APPROVALS_SCOPE = "operator.approvals"
ADMIN_SCOPE = "operator.admin"
SCOPES = ("operator.read", APPROVALS_SCOPE, ADMIN_SCOPE)
"""Only clients with ``operator.admin`` hear what a run of another one asks leave for (2026.5.22 and 2026.9.6)."""
CAPS = ("approvals",)
"""Without it 2026.9.6 counts a client as nobody who could be asked, and denies at once."""

KINDS = ("exec", "plugin")
"""Requests to run a command, and those of plugins and of tools behind them."""
_GONE, _OTHERWISE = "APPROVAL_NOT_FOUND", "APPROVAL_ALREADY_RESOLVED"
_TELLS_OUTCOME = "approval.resolve"
"""What newer gateways can be asked, which says what was decided before."""
ENDS_REMEMBERED = 1_000
WITHDRAW_WITHIN_S = 3.0
"""How long a stop waits for a gateway that is away."""


class _Followed(Struct):
    """A run that is told of its requests: when it ends by itself, Unix milliseconds, and what it was told last."""

    ends_ms: float
    told: frozenset[str] = frozenset()


class GatewayApprovals:
    """Knows the pending requests of the runs it follows, and takes decisions to the gateway.

    No turn runs over its connection.

    Args:
        url: where the gateway listens.
        login: what is shown to get in; its scopes are `SCOPES`, its caps `CAPS`.
        device: the identity of this connection, not that of the turns.
        clock: time.
    """

    def __init__(self, *, url: str, login: Login, device: DeviceFile, clock: Clock) -> None:
        self._clock = clock
        self._connection = GatewayConnection(
            url=url, login=login, device=device, clock=clock, heard=self._hear, opened=self._opened
        )
        self._pending: dict[str, tuple[str, Approval]] = {}  # with its session, in any case
        self._ends: FIFOCache[str, ApprovalEnd] = FIFOCache(ENDS_REMEMBERED)
        self._runs: dict[GatewayRun, _Followed] = {}
        self._late: dict[str, asyncio.Task[None]] = {}
        self._listing: asyncio.Task[None] | None = None
        self._listed = False
        self._tells_outcome = False
        self._warned = ""

    async def start(self) -> None:
        """Connect; a gateway that is away or does not let us in is asked again in the background.

        Raises:
            HostError: the device identity cannot be read or written.
        """
        await self._connection.begin()

    async def stop(self) -> None:
        """Close the connection; what is pending stays pending in the gateway."""
        tasks = [*self._late.values(), *([self._listing] if self._listing else [])]
        self._late.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._connection.stop()

    def follow(self, run: GatewayRun) -> None:
        """Tell a run what it asks leave for from now on; one taken up after a restart also that this is nothing."""
        since_ms = run.turn.lost_since_ms or self._clock.wall_ms()
        self._runs[run] = _Followed(since_ms + (run.turn.budget_s or math.inf) * 1000)
        if self._listed:
            self._tell(run, first=True)

    def leave(self, run: GatewayRun) -> None:
        """Tell a run nothing more."""
        self._runs.pop(run, None)

    async def decide(self, approval_id: str, decision: str) -> Outcome:
        """Decide a request. Raises `HostError` where the gateway cannot be asked, or does not take that decision."""
        await self._connection.ready()
        kind, params = _kind(approval_id), {"id": approval_id, "decision": decision}
        method = _TELLS_OUTCOME if self._tells_outcome else f"{kind}.approval.resolve"
        if self._tells_outcome:
            params["kind"] = kind
        answer = await self._connection.ask(method, params)
        if answer.fault is None:
            decided = _decision(answer.payload) if self._tells_outcome else decision
            return Outcome.DECIDED if decided == decision else Outcome.OTHERWISE if decided else Outcome.GONE
        if answer.fault.reason not in {_GONE, _OTHERWISE}:
            raise answer.fault.error(method)
        return Outcome.GONE if answer.fault.reason == _GONE else Outcome.OTHERWISE

    async def withdraw(self, session_key: str) -> None:
        """Deny what a session asks for: the run that asked was stopped, and nobody is to allow it later."""
        for approval_id in self._of(session_key):
            try:
                await within(self._clock, WITHDRAW_WITHIN_S, self.decide(approval_id, DENY))
            except (HostError, TimeoutError) as error:
                _log.warning("a request of a stopped run may still be open in the gateway: %s", error)

    def _opened(self, hello: Hello) -> None:
        self._listed, self._tells_outcome = False, _TELLS_OUTCOME in hello.methods
        if missing := [scope for scope in SCOPES if scope not in hello.scopes]:
            words = (
                f"host.approvals: the gateway did not grant {' and '.join(missing)}, so nobody in the chat is asked; "
                "run on its machine: openclaw devices approve --latest"
            )
            if words != self._warned:
                _log.error("%s", words)
            self._warned = words
            return
        self._list_soon()

    def _list_soon(self) -> None:
        if self._listing is not None:
            self._listing.cancel()
        self._listing = asyncio.get_running_loop().create_task(self._list(), name="octo:gateway:approvals")

    async def _list(self) -> None:
        """Learn what is pending; what was and is not any more has ended while nobody listened."""
        found: dict[str, tuple[str, Approval]] = {}
        try:
            await self._connection.ready()
            for kind in KINDS:
                answer = await self._connection.ask(f"{kind}.approval.list", {})
                if answer.fault is not None:
                    raise answer.fault.error(f"{kind}.approval.list")
                found |= _parsed(answer.items)
            ends = {known: await self._looked_up(known) for known in [*self._pending] if known not in found}
        except HostUnavailable:
            return  # the next connect asks again
        except HostError as error:
            _log.error("host.approvals: what agents ask leave for cannot be listed: %s", error)
            return
        for approval_id, end in ends.items():
            self._drop(approval_id, end)
        for session, approval in found.values():
            self._add(session, approval)
        self._listed = True
        for run in self._runs:
            self._tell(run, first=True)

    async def _looked_up(self, approval_id: str) -> ApprovalEnd | None:
        """Return how a request ended, ``None`` where the gateway does not tell. Raises `HostUnavailable`."""
        if not self._tells_outcome:
            return None
        answer = await self._connection.ask("approval.get", {"id": approval_id})
        decision = _decision(answer.payload)
        expired = text(mapping(answer.payload.get("approval")).get("status")) == "expired"
        return ApprovalEnd(approval_id, decision) if decision or expired else None

    def _hear(self, event: Event | Gap) -> None:
        match event:
            case Gap():
                self._list_soon()
            case Event(name="exec.approval.requested" | "plugin.approval.requested"):
                for session, approval in _parsed([event.payload]).values():
                    self._add(session, approval)
            case Event(name="exec.approval.resolved" | "plugin.approval.resolved"):
                approval_id = text(event.payload.get("id"))
                self._drop(approval_id, ApprovalEnd(approval_id, text(event.payload.get("decision"))))
            case _:
                return
        self._tell_all()

    def _add(self, session: str, approval: Approval) -> None:
        if approval.id in self._pending or approval.id in self._ends:
            return
        self._pending[approval.id] = session, approval
        self._late[approval.id] = asyncio.get_running_loop().create_task(
            self._expire(approval), name="octo:gateway:approval"
        )

    def _drop(self, approval_id: str, end: ApprovalEnd | None) -> None:
        if end is not None:
            self._ends.setdefault(approval_id, end)
        self._pending.pop(approval_id, None)
        late = self._late.pop(approval_id, None)
        if late is not None and late is not asyncio.current_task():
            late.cancel()

    async def _expire(self, approval: Approval) -> None:
        """End a request when its time is over: a gateway does not tell that."""
        while (left_ms := approval.expires_ms - self._clock.wall_ms()) > 0:
            await self._clock.sleep(left_ms / 1000)
        self._drop(approval.id, ApprovalEnd(approval.id))
        self._tell_all()

    def _of(self, session_key: str) -> Mapping[str, Approval]:
        key = session_key.casefold()
        return {one: approval for one, (session, approval) in self._pending.items() if session == key}

    def _tell_all(self) -> None:
        for run in self._runs:
            self._tell(run)

    def _tell(self, run: GatewayRun, *, first: bool = False) -> None:
        """Tell a run what is pending where that has changed."""
        pending, followed = self._of(run.session_key), self._runs[run]
        before, followed.told = followed.told, frozenset(pending)
        if followed.told == before and not (first and run.turn.lost_since_ms):
            return
        until = followed.ends_ms
        asked = tuple(replace(one, expires_ms=int(min(one.expires_ms, until))) for one in pending.values())
        ends = tuple(self._ends[one] for one in before - followed.told if one in self._ends)
        run.events.put_nowait(ApprovalsChanged(asked, ends))


def _parsed(requests: Sequence[Any]) -> dict[str, tuple[str, Approval]]:
    """Return requests by id, each with its session; what is none is left out."""
    found = {}
    for one in map(mapping, requests):
        approval = approval_of(one)
        session = text(mapping(one.get("request")).get("sessionKey")).casefold()
        if approval is not None and session:
            found[approval.id] = session, approval
    return found


def approval_of(payload: Mapping[str, Any]) -> Approval | None:
    """Return the request in an event or a list of the gateway, ``None`` where it is none (decision 0051).

    Args:
        payload: an ``exec.approval.requested`` or ``plugin.approval.requested`` event, or an item of such a list.
    """
    request = mapping(payload.get("request"))
    approval_id, expires_ms = text(payload.get("id")), number(payload.get("expiresAtMs"))
    words = [text(request.get(name)).strip() for name in ("title", "description", "detail")]
    what = text(request.get("command")) or "\n\n".join(word for word in words if word)
    if not (approval_id and what and expires_ms):
        return None
    choices = tuple(one for one in _texts(request.get("allowedDecisions")) if one in {ONCE, ALWAYS, DENY})
    analysis = _texts(mapping(request.get("commandAnalysis")).get("warningLines"))
    return Approval(
        id=approval_id,
        what=what,
        agent_id=text(request.get("agentId")),
        where=tuple(_where(request)),
        warnings=tuple(one for one in (text(request.get("warningText")), *analysis) if one),
        choices=choices or (ONCE, ALWAYS, DENY),
        expires_ms=expires_ms,
    )


def _where(request: Mapping[str, Any]) -> Sequence[str]:
    """Return the facts about a request that decide what it does, each as ``name=value``."""
    facts = {
        "cwd": text(request.get("cwd")),
        "program": text(request.get("resolvedPath")),
        "host": " ".join(part for part in (text(request.get("host")), text(request.get("nodeId"))) if part),
        "env": " ".join(_texts(request.get("envKeys"))),
        "tool": text(request.get("toolName")),
        "plugin": text(request.get("pluginId")),
        "severity": text(request.get("severity")),
    }
    return [f"{name}={value}" for name, value in facts.items() if value]


def _kind(approval_id: str) -> str:
    return "plugin" if approval_id.startswith("plugin:") else "exec"


def _decision(payload: Mapping[str, Any]) -> str:
    """Return what was decided, by an answer of ``approval.get`` or ``approval.resolve``; empty where nothing was."""
    return text(mapping(payload.get("approval")).get("decision"))


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
