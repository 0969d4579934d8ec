"""What the agents of a fake gateway ask leave for, in the shape of recorded frames (decision 0051)."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.testing.gateway import frames
from openclaw_channel_octo.testing.gateway.client import Client

__all__ = ["METHODS", "FakeApprovals"]

METHODS = (
    "exec.approval.list",
    "exec.approval.resolve",
    "plugin.approval.list",
    "plugin.approval.resolve",
    "approval.get",
    "approval.resolve",
)
"""What it can be asked; the last two on newer releases only."""
_SINCE_2026_7 = frozenset({"approval.get", "approval.resolve"})
EXPIRES_MS = 1_800_000
_GONE = {"reason": "APPROVAL_NOT_FOUND"}
_DECIDED = {"reason": "APPROVAL_ALREADY_RESOLVED"}


class _Pending(Struct):
    record: Mapping[str, Any]
    decided: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class FakeApprovals:
    """The requests of a fake gateway, which its clients with ``operator.admin`` hear of and decide.

    Args:
        newer: whether it is of release 2026.7 or later: it tells only clients with the cap ``approvals``, and knows how
            a request ended.
        clock: the times in the frames.
        clients: the connections.

    Attributes:
        pending: ids of the requests that can be decided, oldest first.
        ended: decisions by id, ``expired`` where there was none.
        expires_ms: how long a request can be decided.
    """

    def __init__(self, *, newer: bool, clock: Clock, clients: Iterable[Client]) -> None:
        self.newer = newer
        self._clock = clock
        self._clients = clients
        self._pending: dict[str, _Pending] = {}
        self.ended: dict[str, str] = {}
        self.expires_ms = EXPIRES_MS

    @property
    def pending(self) -> list[str]:
        """Ids of the requests that can be decided, oldest first."""
        return list(self._pending)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of this release."""
        return tuple(method for method in METHODS if self.newer or method not in _SINCE_2026_7)

    async def ask(self, key: str, run_id: str, request: Mapping[str, Any], *, may: bool) -> str:
        """Ask for leave; return the decision, empty where nobody decides in time or nobody can be asked.

        Args:
            key: the session that asks.
            run_id: its run.
            request: what differs from a command that can be allowed once or always.
            may: whether the run may ask at all.
        """
        if self.newer and not (may and self._reviewers()):
            return ""
        now_ms, kind = self._clock.wall_ms(), "exec" if "title" not in request else "plugin"
        approval_id = ("plugin:" if kind == "plugin" else "") + self._clock.new_id()
        known = {
            "host": "gateway",
            "cwd": "/work",
            "agentId": key.split(":")[1],
            "allowedDecisions": ["allow-once", "allow-always", "deny"],
        }
        about = {
            **(known if kind == "exec" else {"agentId": key.split(":")[1]}),
            **request,
            "sessionKey": key,
        }
        record = {
            "id": approval_id,
            "request": about | ({"runId": run_id} if self.newer else {}),
            "createdAtMs": now_ms,
            "expiresAtMs": now_ms + self.expires_ms,
        }
        pending = self._pending[approval_id] = _Pending(record)
        await self._tell(f"{kind}.approval.requested", record)
        try:
            return await within(self._clock, self.expires_ms / 1000, pending.decided)
        except TimeoutError:
            self.ended[approval_id] = "expired"
            return ""
        finally:
            self._pending.pop(approval_id, None)

    async def decide(self, approval_id: str, decision: str) -> None:
        """Decide a request, as another client does."""
        pending = self._pending.pop(approval_id)
        self.ended[approval_id] = decision
        pending.decided.set_result(decision)
        kind = "plugin" if approval_id.startswith("plugin:") else "exec"
        event = {"id": approval_id, "decision": decision, "resolvedBy": "gateway-client"}
        await self._tell(f"{kind}.approval.resolved", {**event, "request": pending.record["request"]})

    async def take(self, client: Client, request_id: str, method: str, params: Mapping[str, Any]) -> None:
        """Answer a request of a client."""
        approval_id = str(params.get("id"))
        if method.endswith(".list"):
            kind = method.partition(".")[0]
            records = [one.record for name, one in self._pending.items() if _kind(name) == kind]
            await client.answer(request_id, records)
        elif method == "approval.get":
            await self._answer_outcome(client, request_id, approval_id, applied=None)
        elif method == "approval.resolve":
            applied = approval_id in self._pending
            if applied:
                await self.decide(approval_id, params["decision"])
            await self._answer_outcome(client, request_id, approval_id, applied=applied)
        elif approval_id in self._pending:
            await self.decide(approval_id, params["decision"])
            await client.answer(request_id, {"ok": True})
        elif self.ended.get(approval_id) == params["decision"]:
            await client.answer(request_id, {"ok": True})
        elif self.ended.get(approval_id, "expired") != "expired":
            await client.refuse(
                request_id, frames.fault("INVALID_REQUEST", "approval already resolved", _DECIDED)
            )
        else:
            words = "unknown or expired approval id"
            await client.refuse(request_id, frames.fault("INVALID_REQUEST", words, _GONE))

    async def _answer_outcome(
        self, client: Client, request_id: str, approval_id: str, *, applied: bool | None
    ) -> None:
        ended = self.ended.get(approval_id)
        if ended is None:
            await client.refuse(request_id, frames.fault("INVALID_REQUEST", "approval not found", _GONE))
            return
        decision = {} if ended == "expired" else {"decision": ended}
        status = {"expired": "expired", "deny": "denied"}.get(ended, "allowed")
        more = {} if applied is None else {"applied": applied}
        await client.answer(
            request_id, {"approval": {"id": approval_id, "status": status, **decision}, **more}
        )

    def _reviewers(self) -> list[Client]:
        return [
            client
            for client in self._clients
            if "operator.admin" in client.scopes and (not self.newer or "approvals" in client.caps)
        ]

    async def _tell(self, event: str, payload: Mapping[str, Any]) -> None:
        for client in self._reviewers():
            await client.tell(event, payload)


def _kind(approval_id: str) -> str:
    return "plugin" if approval_id.startswith("plugin:") else "exec"
