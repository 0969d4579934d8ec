"""The fake gateway says what a real one said: its frames against the recorded ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from openclaw_channel_octo.testing.gateway import Asked, Break, FakeGateway, Reply, Say, TimeOut
from openclaw_channel_octo.testing.gateway_frames import FAULTS
from tests.host.gateway.transcripts import frames

Frame = Mapping[str, Any]
CLIENT = {"id": "gateway-client", "version": "0", "platform": "linux", "mode": "backend"}
KEY = "agent:main:octo:group:g2"


class Talk:
    """A client without any cleverness, that keeps every frame it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.got: list[dict[str, Any]] = []

    async def ask(self, method: str, answers: int = 1, **params: Any) -> list[dict[str, Any]]:
        request_id = f"{method}-{len(self.got)}"
        await self._socket.send(
            json.dumps({"type": "req", "id": request_id, "method": method, "params": params})
        )
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while len(found) < answers:
                self.got.append(json.loads(await self._socket.recv()))
                if self.got[-1].get("id") == request_id:
                    found.append(self.got[-1])
        return found


@asynccontextmanager
async def talking(gateway: FakeGateway, **connect_params: Any) -> AsyncIterator[Talk]:
    async with connect(gateway.url, compression=None) as socket:
        talk = Talk(socket)
        talk.got.append(json.loads(await socket.recv()))
        known: dict[str, Any] = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": CLIENT,
            "role": "operator",
            "scopes": ["operator.read", "operator.write"],
            "caps": [],
            "auth": {"token": gateway.token},
        }
        await talk.ask("connect", **(known | connect_params))
        yield talk


def shape(value: Any) -> Any:
    """Return the keys of a value, all the way down."""
    if isinstance(value, Mapping):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


def missing(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Yield what the fake's frame has and the recorded one has not, or has in another form."""
    for key, inner in ours.items():
        place = f"{path}.{key}"
        if key not in theirs:
            yield place
        elif isinstance(inner, Mapping) and isinstance(theirs[key], Mapping):
            yield from missing(inner, theirs[key], place)
        elif shape(inner) != shape(theirs[key]):
            yield f"{place}: {shape(inner)} is {shape(theirs[key])}"


def recorded(scenario: str, **wanted: Any) -> Frame:
    """Return the first recorded frame to the client whose payload or self holds these values."""
    for way, frame in frames(scenario):
        values = {**frame.get("payload", {}), **frame.get("payload", {}).get("data", {}), **frame}
        if way == "in" and all(values.get(key) == value for key, value in wanted.items()):
            return frame
    raise AssertionError(wanted)


REPLIES: dict[str, Reply] = {
    "first": Say("STUB-REPLY[ok] to 3 messages"),
    "second (400)": Break(),
    "fourth (hang)": TimeOut(),
}


def reply(asked: Asked) -> Reply:
    return REPLIES[asked.message]


async def test_every_frame_of_a_good_and_two_bad_runs_has_the_form_of_the_recorded_one() -> None:
    async with FakeGateway() as gateway, talking(gateway) as talk:
        gateway.answer(reply)
        await talk.ask("sessions.subscribe")
        for number, message in enumerate(REPLIES):
            await talk.ask(
                "agent", 2, message=message, sessionKey=KEY, idempotencyKey=f"s2-{number}", deliver=False
            )
        await talk.ask("sessions.describe", key=KEY)
        wrong = list(difference(talk.got))
    assert wrong == []


def difference(got: list[dict[str, Any]]) -> Iterator[str]:
    """Yield how the fake's frames differ from the recorded frame of the same meaning."""
    for frame in got:
        payload = frame.get("payload", {})
        if frame["type"] == "event" and frame["event"] == "connect.challenge":
            yield from missing(frame, recorded("s1-connect-agent-ok", event="connect.challenge"))
        elif payload.get("type") == "hello-ok":
            yield from missing(frame, recorded("s1-connect-agent-ok", protocol=4))
        elif frame["type"] == "event":
            told = {name: payload[name] for name in ("state", "stream", "phase") if name in payload}
            if "data" in payload:
                told["phase"] = payload["data"]["phase"]
            yield from missing(frame, recorded("s2-failed-then-ok", event=frame["event"], **told))
        elif "status" in payload:
            told = {name: payload[name] for name in ("summary",) if frame["ok"] and name in payload}
            yield from missing(
                frame,
                recorded("s2-failed-then-ok", type="res", ok=frame["ok"], status=payload["status"], **told),
            )


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        ("s7-auth-bad-token", "token"),
        ("s7-auth-no-auth", "no token"),
        ("s7-auth-proto-3", "protocol"),
        ("s7-auth-device-badsig", "signature"),
    ],
)
def test_the_fakes_refusals_are_recorded_ones(scenario: str, why: str) -> None:
    error = recorded(scenario, type="res")["error"]
    ours = FAULTS[why]
    assert (ours["code"], ours["message"]) == (error["code"], error["message"])
    assert ours["details"].items() <= error["details"].items()


async def test_the_same_key_gives_the_same_outcome_without_a_second_run() -> None:
    params: dict[str, Any] = {"message": "first", "sessionKey": KEY, "idempotencyKey": "k", "deliver": False}
    async with FakeGateway() as gateway, talking(gateway) as talk:
        gateway.answer(reply)
        first = await talk.ask("agent", 2, **params)
        (again,) = await talk.ask("agent", **params)
        assert again["payload"] == first[1]["payload"]
        assert len(gateway.asked) == 1


async def test_what_a_connection_may_not_do_is_refused_with_the_missing_scope() -> None:
    async with FakeGateway() as gateway, talking(gateway, scopes=["operator.read"]) as talk:
        (answer,) = await talk.ask("agent", message="x", sessionKey=KEY, idempotencyKey="k")
    assert answer["error"]["code"] == "FORBIDDEN"
    assert answer["error"]["details"]["missingScope"] == "operator.write"


async def test_a_wait_for_a_run_nobody_knows_ends_without_an_end_time() -> None:
    async with FakeGateway() as gateway, talking(gateway) as talk:
        (answer,) = await talk.ask("agent.wait", runId="nobody", timeoutMs=1)
    assert answer["payload"] == {"runId": "nobody", "status": "timeout"}


async def test_histories_keep_run_ids_only_from_2026_7_on() -> None:
    for version, keeps in (("2026.9.6", True), ("2026.5.22", False)):
        async with FakeGateway(version=version) as gateway, talking(gateway) as talk:
            gateway.answer(reply)
            await talk.ask("agent", 2, message="first", sessionKey=KEY, idempotencyKey="k")
            (answer,) = await talk.ask("chat.history", sessionKey=KEY)
        question, said = answer["payload"]["messages"]
        assert ("idempotencyKey" in question) is keeps
        assert said["content"][0]["text"] == "STUB-REPLY[ok] to 3 messages"
