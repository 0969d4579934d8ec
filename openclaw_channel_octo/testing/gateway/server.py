"""A fake OpenClaw gateway for tests: protocol version 4 on a loopback socket, without Node (openclaw-host §4).

Over 350 lines: the handshake, the requests and the events of a connection share its state.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

import websockets
from websockets.asyncio.server import Server, ServerConnection, serve

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.testing.gateway import commands, frames
from openclaw_channel_octo.testing.gateway.approvals import FakeApprovals
from openclaw_channel_octo.testing.gateway.channels import agent_listing, channel_status, unfit
from openclaw_channel_octo.testing.gateway.client import Client
from openclaw_channel_octo.testing.gateway.runs import (
    FIRST_WITH_KEYS,
    Ask,
    Asked,
    Break,
    GatewayRuns,
    Hang,
    Reply,
    Say,
    TimeOut,
)

__all__ = ["Ask", "Asked", "Break", "FakeGateway", "Hang", "Reply", "Say", "TimeOut"]

SCOPES = ("operator.read", "operator.write", "operator.approvals", "operator.admin")
_DEVICE_TOKEN = "device-token"  # noqa: S105  # of a fake


class FakeGateway:
    """A gateway in this process; an async context manager that listens on a free port of loopback.

    Args:
        version: the release it says it is; before 2026.7 it keeps no run ids in rows and histories.
        token: the shared token clients must show.
        agents: ids of its agents, the default one first.
        scopes: the scopes it grants of those asked for.
        recovers: whether it takes up runs a `kill` interrupted, under new run ids, once a client is there again.
        clock: the times in rows and events.

    Attributes:
        runs: its runs and sessions.
        models: which model each session is set to, and its command parser.
        approvals: what its agents ask leave for.
        asked: every run that was asked for and taken, oldest first.
        sessions: rows by session key.
        connects: how many connections were let in.
        calls: the methods it was asked, in order.
        password: a password that lets in as the token does; empty for none.
        refusing: a key of `gateway_frames.FAULTS`: what every connect is answered; empty to let in.
        draining: whether runs are refused as while a gateway shuts down.
        tombstoned: sessions it gave up after restarts: runs in them are refused, ``sessions.recover`` replaces them.
        sees_pictures: whether the model takes pictures; requests with any are refused otherwise.
        channels: names of the bots by its channels: runs that name another channel are refused.
        refused_labels: names it gives no session.
    """

    def __init__(  # settings, each with a name at every call
        self,
        *,
        version: str = "2026.9.6",
        token: str = "gateway-token",  # noqa: S107  # of a fake
        agents: tuple[str, ...] = ("main",),
        scopes: tuple[str, ...] = SCOPES,
        recovers: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self.version = version
        self.token = token
        self.connects = 0
        self.calls: list[str] = []
        self.password = ""
        self.refusing = ""
        self.draining = False
        self.tombstoned: set[str] = set()
        self.sees_pictures = True
        self.channels: dict[str, tuple[str, ...]] = {}
        self.refused_labels: set[str] = set()
        self._agents = agents
        self._granted = frozenset(scopes)
        self._recovers = recovers
        self._clock = clock or SystemClock()
        self._connected = asyncio.Event()
        self._clients: set[Client] = set()
        self.approvals = FakeApprovals(
            newer=version >= FIRST_WITH_KEYS, clock=self._clock, clients=self._clients
        )
        self.runs = GatewayRuns(version, self._clock, self.tell, self._connected.wait, self.approvals)
        self.models = commands.GatewayModels(self.runs, self.tell)
        self.asked = self.runs.asked
        self.sessions = self.runs.sessions
        self._port, self._boot, self._booted_ms = 0, "", 0
        self._server: Server | None = None
        self._waits: set[asyncio.Task[None]] = set()
        self._paired: set[str] = set()
        self._starting = 0
        self._numbers: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where clients connect; the same after every start."""
        return f"ws://127.0.0.1:{self._port}"

    def answer(
        self, reply: Reply | str | Callable[[Asked], Reply], *, session_key: str | None = None
    ) -> None:
        """Set what becomes of the runs from now on, of one session's where a key is given; a text is said."""
        scripted = reply if callable(reply) else lambda _: Say(reply) if isinstance(reply, str) else reply
        before, key = self.runs.reply, (session_key or "").lower()
        self.runs.reply = lambda asked: (scripted if key in {"", asked.session_key} else before)(asked)

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        await self.kill()

    async def start(self, *, startup_sidecars: int = 0) -> None:
        """Listen, again after `kill` or `terminate`: a new boot that has forgotten every outcome.

        The first ``startup_sidecars`` connects are told to come again, as while a real one starts up.
        """
        self._starting = startup_sidecars
        self._boot = self._clock.new_id() if self.runs.keeps_keys else ""
        self._booted_ms = self._clock.wall_ms()
        self.draining = False
        self._connected.clear()
        self._server = await serve(self._serve, "127.0.0.1", self._port, compression=None)
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        if self._recovers:
            self.runs.take_up()

    async def kill(self) -> None:
        """End as SIGKILL does: connections are cut, runs stop, their rows stay ``running``."""
        self.drop_connections()
        for task in self._waits:
            task.cancel()
        if self._server is not None:
            await self._stop_listening(self._server)
            self._server = None
        await self.runs.stop()

    async def _stop_listening(self, server: Server) -> None:
        """Close the server after the connections it is just accepting: asyncio would leave those open."""
        loop = asyncio.get_running_loop()
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(3):
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()

    async def terminate(self) -> None:
        """End as SIGTERM does: new runs are refused, those under way may end, then everybody is told."""
        self.draining = True
        await self.runs.settle()
        for client in list(self._clients):
            await client.tell("shutdown", {"reason": "gateway stopping"})
            await client.socket.close(1012, "service restart")
        await self.kill()

    def drop_connections(self) -> None:
        """Cut every connection; runs go on."""
        for client in self._clients:
            client.socket.transport.abort()
        self._clients.clear()

    def skip_events(self, count: int) -> None:
        """Leave a hole in the numbers of every connection's events."""
        for client in self._clients:
            client.seq += count

    async def tick(self) -> None:
        """Send the sign of life a real one sends every half minute."""
        await self.tell("tick", {"ts": self._clock.wall_ms()})

    async def tell(self, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event to everybody who may hear it; ``sessions.changed`` to those who asked for it."""
        if event in {"agent", "chat"}:
            self._numbers[payload["runId"]] += 1
            payload = {**payload, "seq": self._numbers[payload["runId"]]}
        for client in list(self._clients):
            if _hears(client, event):
                await client.tell(event, payload)

    async def _serve(self, socket: ServerConnection) -> None:
        client = None
        try:
            client = await self._welcome(socket)
            if client is not None:
                async for message in socket:
                    await self._take(client, json.loads(message))
        except websockets.ConnectionClosed:
            return  # the other side's way to end
        finally:
            if client is not None:
                self._clients.discard(client)

    async def _welcome(self, socket: ServerConnection) -> Client | None:
        nonce = self._clock.new_id()
        challenge = {"nonce": nonce, "ts": self._clock.wall_ms(), "capabilities": []}
        await socket.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": challenge}))
        request = json.loads(await socket.recv())
        params = request.get("params", {})
        scopes = self._granted & frozenset(params.get("scopes", ()))
        client = Client(socket, scopes, frozenset(params.get("caps", ())))
        if why := self._refusal(request, nonce):
            error = frames.FAULTS[why]
            await client.refuse(request["id"], error)
            await socket.close(frames.close_code(why), error["message"])
            return None
        await client.answer(request["id"], self._hello(client, params))
        self._clients.add(client)
        self.connects += 1
        self._connected.set()
        return client

    def _hello(self, client: Client, params: Mapping[str, Any]) -> dict[str, Any]:
        device, now_ms = params.get("device"), self._clock.wall_ms()
        server = {"version": self.version, "connId": self._clock.new_id()}
        auth: dict[str, Any] = {"method": self._way_in(params), "scopes": sorted(client.scopes)}
        if self._boot:
            server["bootId"] = self._boot
        if device:
            self._paired.add(device["id"])
            auth |= {"deviceToken": _DEVICE_TOKEN, "issuedAtMs": now_ms}
        return frames.hello(
            server=server,
            uptime_ms=now_ms - self._booted_ms,
            auth=auth,
            agent_id=self._agents[0],
            methods=(*frames.METHODS, *self.approvals.methods),
        )

    def _refusal(self, request: Mapping[str, Any], nonce: str) -> str:
        """Return why a connection is refused, empty to let it in."""
        if self.refusing:
            return self.refusing
        if request["method"] != "connect":
            return "first frame"
        if self._starting > 0:
            self._starting -= 1
            return "starting"
        return self._objection(request["params"], nonce)

    def _objection(self, params: Mapping[str, Any], nonce: str) -> str:
        """Return what is wrong with a connect request, empty when nothing is."""
        if not params["minProtocol"] <= 4 <= params["maxProtocol"]:  # noqa: PLR2004  # the protocol's version
            return "protocol"
        if params["client"]["id"] not in frames.CLIENT_IDS:
            return "client id"
        if params["client"]["mode"] not in frames.CLIENT_MODES:
            return "client mode"
        if not params.get("auth"):
            return "no token"
        device = params.get("device")
        return (device and frames.device_fault(params, device, nonce)) or (
            "" if self._way_in(params) else "token"
        )

    def _way_in(self, params: Mapping[str, Any]) -> str:
        """Return the secret that lets a client in, empty when it shows none that fits."""
        auth, device = params["auth"], params.get("device") or {}
        if auth.get("token") == self.token:
            return "token"
        if self.password and auth.get("password") == self.password:
            return "password"
        known = auth.get("deviceToken") == _DEVICE_TOKEN and device.get("id") in self._paired
        return "device-token" if known else ""

    async def _take(self, client: Client, request: Mapping[str, Any]) -> None:
        method, params, request_id = request["method"], request.get("params", {}), request["id"]
        self.calls.append(method)
        if (scope := commands.scope_of(method, params, old=not self.runs.keeps_keys)) not in client.scopes:
            await client.refuse(request_id, frames.missing_scope(scope))
        elif method in self.approvals.methods:
            await self.approvals.take(client, request_id, method, params)
        else:
            await self._do(client, request_id, method, params)

    async def _do(self, client: Client, request_id: str, method: str, params: Mapping[str, Any]) -> None:
        if method == "agent":
            await self._ask(client, request_id, params)
        elif method == "agent.wait":
            task = asyncio.create_task(self.runs.wait(client, request_id, params))
            self._waits.add(task)
            task.add_done_callback(self._waits.discard)
        elif (error := self._fault(method, params)) is not None:
            await client.refuse(request_id, error)
        elif method == "sessions.recover":
            successor = f"agent:{self._agents[0]}:dashboard:{self._clock.new_id()}"
            await client.answer(request_id, self.runs.recover(params["key"].lower(), successor))
        elif method in commands.METHODS:
            await client.answer(request_id, await self.models.answer(method, _key(params), params))
        else:
            await client.answer(request_id, await self._plain(client, method, params))

    def _fault(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return why a request that needs one look is refused, ``None`` where it is not."""
        details: Mapping[str, Any] = {}
        words = ""
        if method == "sessions.reset" and self._changed(params["key"], params.get("expectedSessionId")):
            words = f"Session {params['key']} changed before reset. Retry."
            details = {"reason": "session-changed"}
        elif method == "sessions.recover" and params["key"].lower() not in self.tombstoned:
            words = "Session recovery requires a restart-tombstoned session."
        elif method == "sessions.patch":
            words = self.models.objection(_key(params), params)
        elif method not in frames.METHODS and method not in commands.METHODS:
            words = f"unknown method: {method}"
        return frames.fault("INVALID_REQUEST", words, details) if words else None

    async def _ask(self, client: Client, request_id: str, params: Mapping[str, Any]) -> None:
        asked = params["sessionKey"]
        key = asked if asked.startswith("agent:") else f"agent:{self._agents[0]}:{asked}"
        agent_id = key.split(":")[1]
        if self.draining:
            await client.refuse(request_id, frames.FAULTS["restarting"])
        elif agent_id not in self._agents:
            words = f'Agent "{agent_id}" no longer exists in configuration'
            await client.refuse(request_id, frames.fault("INVALID_REQUEST", words))
        elif key.lower() in self.tombstoned:
            words = f'Session "{key}" ended during restart recovery. Use /new or /reset to start a replacement session.'
            await client.refuse(request_id, frames.fault("INVALID_REQUEST", words))
        elif self._changed(key, params.get("expectedExistingSessionId")):
            words = f'Session "{key}" changed before expected work could start.'
            await client.refuse(request_id, frames.fault("UNAVAILABLE", words))
        elif words := unfit(params, self.channels, self.refused_labels, sees_pictures=self.sees_pictures):
            await client.refuse(request_id, frames.fault("INVALID_REQUEST", words))
        else:
            await self.runs.ask(client, request_id, {**params, "sessionKey": key})

    def _changed(self, key: str, expected: str | None) -> bool:
        """Return whether a session is not the one a request expects."""
        return expected is not None and self.sessions.get(key.lower(), {}).get("sessionId") != expected

    async def _plain(self, client: Client, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer what needs one look."""
        key = _key(params)
        match method:
            case "sessions.subscribe":
                client.subscribed = True
                return {"subscribed": True}
            case "sessions.describe":
                return {"session": self.models.row(key, self.runs.describe(key))}
            case "sessions.list":
                return frames.listing(list(self.sessions.values()), params, self._clock.wall_ms())
            case "chat.history":
                return frames.history(self.sessions.get(key, {}), self.runs.histories[key], params)
            case "agents.list":
                return agent_listing(self._agents)
            case "sessions.reset":
                return {"ok": True, "key": key, "entry": self.runs.reset(key), "resolved": {}}
            case "sessions.abort" | "chat.abort":
                return await self._abort(method, key, params.get("runId"))
            case _:
                known = {"ok": True, "ts": self._clock.wall_ms(), "defaultAgentId": self._agents[0]}
                return known | channel_status(self.channels)

    async def _abort(self, method: str, key: str, run_id: str | None) -> Mapping[str, Any]:
        told = await self.runs.abort(key, run_id)
        if method == "sessions.abort":
            return told
        ended = [told["abortedRunId"]] if told["abortedRunId"] else []
        return {"ok": True, "aborted": bool(ended), "runIds": ended}


def _key(params: Mapping[str, Any]) -> str:
    return str(params.get("key") or params.get("sessionKey") or "").lower()


def _hears(client: Client, event: str) -> bool:
    if event == "sessions.changed":
        return client.subscribed
    return event not in {"agent", "chat"} or "operator.read" in client.scopes
