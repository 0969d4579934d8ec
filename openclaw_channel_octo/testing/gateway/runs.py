"""The runs and sessions of a fake gateway."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.testing.gateway import frames
from openclaw_channel_octo.testing.gateway.approvals import FakeApprovals
from openclaw_channel_octo.testing.gateway.client import Client

__all__ = ["INTERRUPTED", "Ask", "Asked", "Break", "GatewayRuns", "Hang", "Reply", "Say", "TimeOut"]

INTERRUPTED = "[System] Your previous turn was interrupted by a gateway restart."
"""What a restarted gateway tells the agent of a run it takes up."""
FIRST_WITH_KEYS = "2026.7"
"""First release that keeps run ids in rows and histories."""


class Asked(Struct, frozen=True, kw_only=True):
    """One request for a run.

    Attributes:
        message: what the agent was told.
        session_key: as the gateway writes it, lower case.
        run_id: the idempotency key.
        params: the whole request.
    """

    message: str
    session_key: str
    run_id: str
    params: Mapping[str, Any]


class Say(Struct, frozen=True):
    """The run ends well with this text, told in two parts first, and a file; both empty are an empty answer."""

    text: str = ""
    media: str = ""


class Break(Struct, frozen=True):
    """The run fails, as when the model refuses the request."""

    message: str = "LLM request failed"


class TimeOut(Struct, frozen=True):
    """The run uses up its budget."""


class Hang(Struct, frozen=True):
    """The run uses tools, goes on until `GatewayRuns.release` is called, and ends like ``then``."""

    then: Say | Break | TimeOut = field(default_factory=lambda: Say("late"))
    tools: tuple[str, ...] = ()


class Ask(Struct, frozen=True):
    """The run asks leave for something, and ends like ``then`` where that is allowed, else like ``otherwise``.

    Attributes:
        request: what differs from a command of the agent's that can be allowed once or always; see `FakeApprovals.ask`.
    """

    request: Mapping[str, Any]
    then: Say | Hang = field(default_factory=lambda: Say("done"))
    otherwise: Say | Hang = field(default_factory=lambda: Say("not allowed"))


Reply = Say | Break | TimeOut | Hang | Ask


class GatewayRuns:
    """What a fake gateway keeps: sessions, their histories, and runs, one at a time in each session.

    Args:
        version: the release it plays.
        clock: times in rows and events.
        tell: sends an event to the clients.
        connected: returns when a client is there; runs that a restart takes up wait for it.
        approvals: whom runs ask for leave.
    """

    def __init__(
        self,
        version: str,
        clock: Clock,
        tell: Callable[[str, Mapping[str, Any]], Awaitable[None]],
        connected: Callable[[], Awaitable[object]],
        approvals: FakeApprovals,
    ) -> None:
        self.reply: Callable[[Asked], Reply] = lambda asked: Say(f"echo: {asked.message}")
        self.asked: list[Asked] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.histories: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.keeps_keys = version >= FIRST_WITH_KEYS
        self.answers_aborted = True
        """Whether an aborted run gets its second answer; 2026.5.22 leaves some without."""
        self.wedges = False
        """Whether an aborted run goes on holding its session, as in 2026.5.22 at times."""
        self.waits_pending = 0
        """How many calls of ``agent.wait`` are answered at once, by ``pending``, as while a provider is tried again."""
        self._clock = clock
        self._tell = tell
        self._connected = connected
        self._approvals = approvals
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._callers: dict[str, tuple[Client, str]] = {}
        self.ends: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {}
        """Last answer and error of what has ended since the start, by run id."""
        self._lanes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let every run go on that hangs."""
        self._released.set()
        self._released = asyncio.Event()

    async def settle(self) -> None:
        """Return when the runs under way have ended."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Stop every run where it is and forget every outcome; rows stay as they are."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.ends.clear()
        self._callers.clear()
        self._lanes.clear()

    def take_up(self) -> None:
        """Begin the runs again that `stop` interrupted, under new run ids."""
        for key, row in self.sessions.items():
            if row.get("status") == "running":
                run_id = self._clock.new_id()
                self._begin(Asked(message=INTERRUPTED, session_key=key, run_id=run_id, params={}))

    def reset(self, key: str) -> Mapping[str, Any]:
        """Give a session a new, empty memory and return its row."""
        self.histories[key] = []
        self.sessions[key] = {"key": key, "sessionId": self._clock.new_id()}
        return self.sessions[key]

    def describe(self, key: str) -> Mapping[str, Any] | None:
        """Return a session's row, with the run under way there."""
        row = self.sessions.get(key)
        under_way = [one.run_id for one in self.asked if one.session_key == key and one.run_id in self._tasks]
        return {**row, "activeRunIds": under_way} if row and under_way and self.keeps_keys else row

    def recover(self, key: str, successor: str) -> Mapping[str, Any]:
        """Give a session a successor with its history, in which it begins what was interrupted."""
        self.histories[successor] = list(self.histories[key])
        going_on = Asked(message=INTERRUPTED, session_key=successor, run_id=self._clock.new_id(), params={})
        self.asked.append(going_on)
        self._begin(going_on)
        return {"ok": True, "key": successor, "continuation": {"status": "started"}}

    async def ask(self, client: Client, request_id: str, params: Mapping[str, Any]) -> None:
        """Answer ``agent``: a run that ended gives its outcome again, one under way is only named."""
        run_id, key = params["idempotencyKey"], params["sessionKey"].lower()
        if run_id in self.ends:
            await self._answer_end(client, request_id, run_id)
        elif run_id in self._tasks:
            await client.answer(request_id, {"runId": run_id, "status": "in_flight", "sessionKey": key})
        else:
            asked = Asked(message=params["message"], session_key=key, run_id=run_id, params=params)
            self.asked.append(asked)
            agent_id = key.split(":")[1]
            accepted = {"runId": run_id, "sessionKey": key, "agentId": agent_id, "status": "accepted"}
            await client.answer(request_id, {**accepted, "acceptedAt": self._clock.wall_ms()})
            self._callers[run_id] = (client, request_id)
            self._begin(asked)

    def _begin(self, asked: Asked) -> None:
        self._tasks[asked.run_id] = asyncio.create_task(self._run(asked))

    async def _run(self, asked: Asked) -> None:
        if asked.run_id not in self._callers:
            await self._connected()
        async with self._lanes[asked.session_key]:
            await self._start(asked)
            reply = self.reply(asked)
            if isinstance(reply, Ask):
                reply = await self._ask_leave(asked, reply)
            if isinstance(reply, Hang):
                for tool in reply.tools:
                    await self._use(asked, tool)
                await self._released.wait()
                reply = reply.then
            await self._finish(asked, reply)
        del self._tasks[asked.run_id]
        await self._answer_caller(asked.run_id)

    async def _ask_leave(self, asked: Asked, ask: Ask) -> Say | Hang:
        caller = self._callers.get(asked.run_id)
        may = caller is None or "operator.approvals" in caller[0].scopes
        decision = await self._approvals.ask(asked.session_key, asked.run_id, ask.request, may=may)
        return ask.then if decision.startswith("allow") else ask.otherwise

    async def _start(self, asked: Asked) -> None:
        now_ms = self._clock.wall_ms()
        row = self.sessions.setdefault(
            asked.session_key, {"key": asked.session_key, "sessionId": self._clock.new_id()}
        )
        for name in ("endedAt", "runtimeMs", "lastRunError", "lastRunId"):
            row.pop(name, None)
        if asked.params.get("label"):
            row["label"] = asked.params["label"]
        row |= {"status": "running", "startedAt": now_ms, "updatedAt": now_ms, "abortedLastRun": False}
        question = frames.user_row(asked.message, asked.run_id, now_ms, with_key=self.keeps_keys)
        self.histories[asked.session_key].append(question)
        await self._lifecycle(asked, "start")
        await self._row_changed(asked, "start")

    async def _finish(self, asked: Asked, reply: Say | Break | TimeOut) -> None:
        match reply:
            case Say(text, media):
                await self._speak(asked, text)
                await self._close(asked, "done", frames.outcome(asked.run_id, text, media), None, text)
            case Break(message):
                payload = {"runId": asked.run_id, "status": "error", "summary": message}
                await self._close(asked, "failed", payload, frames.fault("UNAVAILABLE", message), message)
            case TimeOut():
                words = "Request timed out before a response was generated."
                payload = {
                    "runId": asked.run_id,
                    "status": "timeout",
                    "summary": "aborted",
                    "timeoutPhase": "provider",
                }
                result = {"payloads": [{"text": words, "isError": True, "mediaUrl": None}], "meta": {}}
                await self._close(asked, "timeout", {**payload, "result": result}, None, words)

    async def _use(self, asked: Asked, tool: str) -> None:
        data = {"itemId": f"tool:{tool}", "kind": "tool", "name": tool, "title": f"{tool} secret arguments"}
        for phase in ("start", "end"):
            event = frames.agent_event(
                asked.run_id, asked.session_key, "item", data | {"phase": phase}, self._clock.wall_ms()
            )
            await self._tell("agent", event)

    async def _speak(self, asked: Asked, text: str) -> None:
        half = len(text) // 2
        for delta, part in ((text[:half], text[:half]), (text[half:], text)) if half else ():
            event = frames.chat_event(asked.run_id, asked.session_key, "delta", part, deltaText=delta)
            await self._tell("chat", event)
        if text:
            self.histories[asked.session_key].append(frames.assistant_row(text, self._clock.wall_ms()))

    async def _close(
        self, asked: Asked, status: str, payload: dict[str, Any], error: dict[str, Any] | None, text: str
    ) -> None:
        now_ms = self._clock.wall_ms()
        row = self.sessions[asked.session_key]
        row |= {
            "status": status,
            "endedAt": now_ms,
            "runtimeMs": now_ms - row["startedAt"],
            "updatedAt": now_ms,
        }
        if self.keeps_keys:
            row |= {"lastRunId": asked.run_id} | ({"lastRunError": text} if status != "done" else {})
        self.ends[asked.run_id] = (payload, error)
        state = {"done": "final", "killed": "aborted"}.get(status, "error")
        more = {"errorMessage": text} if state == "error" else {}
        said = text if state == "final" else ""
        await self._lifecycle(asked, "end" if status == "done" else "error")
        await self._tell("chat", frames.chat_event(asked.run_id, asked.session_key, state, said, **more))
        await self._row_changed(asked, "end" if status == "done" else "error")

    async def _lifecycle(self, asked: Asked, phase: str) -> None:
        event = frames.agent_event(
            asked.run_id, asked.session_key, "lifecycle", {"phase": phase}, self._clock.wall_ms()
        )
        await self._tell("agent", event | {"sessionId": self.sessions[asked.session_key]["sessionId"]})

    async def _row_changed(self, asked: Asked, phase: str) -> None:
        row = frames.changed(
            asked.session_key,
            self.sessions[asked.session_key],
            self._clock.wall_ms(),
            phase=phase,
            runId=asked.run_id,
        )
        await self._tell("sessions.changed", row)

    async def _answer_caller(self, run_id: str) -> None:
        if (caller := self._callers.pop(run_id, None)) is not None:
            await self._answer_end(*caller, run_id)

    async def _answer_end(self, client: Client, request_id: str, run_id: str) -> None:
        payload, error = self.ends[run_id]
        if error is None:
            await client.answer(request_id, payload)
        else:
            await client.refuse(request_id, error, payload)

    async def wait(self, client: Client, request_id: str, params: Mapping[str, Any]) -> None:
        """Answer ``agent.wait``: the run's end, or after the time that was asked for that none is known."""
        run_id = params["runId"]
        if self.waits_pending:
            self.waits_pending -= 1
            await client.answer(request_id, {"runId": run_id, "status": "pending"})
            return
        answer: dict[str, Any] = {"runId": run_id, "status": "timeout"}
        if (task := self._tasks.get(run_id)) is not None:
            await asyncio.wait({task}, timeout=params.get("timeoutMs", 30_000) / 1000)
        elif run_id not in self.ends:
            await self._clock.sleep(params.get("timeoutMs", 30_000) / 1000)
        if run_id in self.ends:
            payload, error = self.ends[run_id]
            answer = {"runId": run_id, "status": payload["status"], "endedAt": self._clock.wall_ms()}
            if error is not None:
                answer["error"] = error["message"]
            elif payload["status"] == "ok" and self.keeps_keys:
                words = "".join(part["text"] for part in payload["result"]["payloads"])
                answer["terminalReply"] = {"disposition": "visible" if words else "empty", "text": words}
        await client.answer(request_id, answer)

    async def abort(self, key: str, run_id: str | None) -> Mapping[str, Any]:
        """End a session's run, or the named one."""
        running = [one for one in self.asked if one.session_key == key and one.run_id in self._tasks]
        found = next((one for one in running if run_id in (None, one.run_id)), None)
        if found is None:
            return {"ok": True, "abortedRunId": None, "status": "no-active-run"}
        task = self._tasks.pop(found.run_id)
        task.cancel()
        await asyncio.wait({task})
        if self.wedges:
            await self._lanes[key].acquire()
        payload = {"runId": found.run_id, "status": "timeout", "summary": "aborted", "stopReason": "rpc"}
        self.sessions[key]["abortedLastRun"] = True
        await self._close(found, "killed", payload, None, "")
        if self.answers_aborted:
            await self._answer_caller(found.run_id)
        return {"ok": True, "abortedRunId": found.run_id, "status": "aborted"}
