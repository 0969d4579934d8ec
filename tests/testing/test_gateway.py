"""The fake gateway says what a real one said: its frames against the recorded ones."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw_channel_octo.testing.gateway.frames import FAULTS, close_code, device_fault
from openclaw_channel_octo.testing.gateway.runs import INTERRUPTED
from openclaw_channel_octo.testing.gateway.server import Asked, Break, FakeGateway, Hang, Reply, Say, TimeOut
from tests.host.gateway.transcripts import FOLDER, answers, frames

Frame = Mapping[str, Any]
CLIENT = {"id": "gateway-client", "version": "0", "platform": "linux", "mode": "backend"}
KEY = "agent:main:octo:group:g2"
OTHER = "agent:main:octo:group:g3"
READ_WRITE = ["operator.read", "operator.write"]


class Talk:
    """A client without any cleverness, that keeps every frame it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.got: list[dict[str, Any]] = []

    async def send(self, method: str, **params: Any) -> str:
        request_id = f"{method}-{len(self.got)}-{id(params)}"
        await self._socket.send(
            json.dumps({"type": "req", "id": request_id, "method": method, "params": params})
        )
        return request_id

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(60):
            self.got.append(json.loads(await self._socket.recv()))
        return self.got[-1]

    async def ask(self, method: str, answers: int = 1, **params: Any) -> list[dict[str, Any]]:
        request_id = await self.send(method, **params)
        found: list[dict[str, Any]] = []
        while len(found) < answers:
            if (frame := await self.read()).get("id") == request_id:
                found.append(frame)
        return found

    async def turn(self, message: str, run_id: str, answers: int = 2, key: str = KEY) -> list[dict[str, Any]]:
        return await self.ask(
            "agent", answers, message=message, sessionKey=key, idempotencyKey=run_id, deliver=False
        )

    async def event(self, name: str, **wanted: Any) -> dict[str, Any]:
        while True:
            frame = await self.read()
            payload = frame.get("payload", {})
            if frame.get("event") == name and wanted.items() <= payload.items():
                return frame

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason the connection ends with; 1006 is a cut without a word."""
        try:
            while True:
                await self.read()
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


@asynccontextmanager
async def knocking(gateway: FakeGateway) -> AsyncIterator[Talk]:
    async with connect(gateway.url, compression=None, proxy=None) as socket:
        talk = Talk(socket)
        await talk.read()
        yield talk


async def greet(talk: Talk, gateway: FakeGateway, **connect_params: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": CLIENT,
        "role": "operator",
        "scopes": READ_WRITE,
        "caps": [],
        "auth": {"token": gateway.token},
    }
    (answer,) = await talk.ask("connect", **(known | connect_params))
    return answer


@asynccontextmanager
async def talking(gateway: FakeGateway, **connect_params: Any) -> AsyncIterator[Talk]:
    async with knocking(gateway) as talk:
        answer = await greet(talk, gateway, **connect_params)
        assert answer["ok"], answer
        yield talk


@pytest.fixture
async def talk(gateway: FakeGateway) -> AsyncIterator[Talk]:
    """A client that was let in."""
    async with talking(gateway) as client:
        yield client


class Device:
    """A device with its own key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._public = self._key.public_key().public_bytes_raw()

    def proof(self, talk: Talk, secret: str, form: str = "v3") -> dict[str, Any]:
        challenge = talk.got[0]["payload"]
        device_id, at, nonce = hashlib.sha256(self._public).hexdigest(), challenge["ts"], challenge["nonce"]
        told = [device_id, CLIENT["id"], CLIENT["mode"], "operator", ",".join(READ_WRITE), str(at)]
        where = [CLIENT["platform"], ""] if form == "v3" else []
        text = "|".join([form, *told, secret, nonce, *where])
        return {
            "id": device_id,
            "publicKey": base64.urlsafe_b64encode(self._public).decode().rstrip("="),
            "signature": base64.urlsafe_b64encode(self._key.sign(text.encode())).decode().rstrip("="),
            "signedAt": at,
            "nonce": nonce,
        }


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


async def test_every_frame_of_a_good_and_two_bad_runs_has_the_form_of_the_recorded_one(
    gateway: FakeGateway, talk: Talk
) -> None:
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


DECORATION = {
    "server": {"buildId", "controlUiBuildSource"},
    "snapshot": {"presence", "health", "stateVersion", "appliedConfigHash", "updateSchedule", "authMode"}
    | {"configPath", "stateDir"},
    "sessionDefaults": {"modelConfigured", "ownership", "selectionRequired"},
    "auth": {"recoveryScope"},
    "policy": {"attachments", "allowedSessionVisibilities", "hasMultipleSessionSharingIdentities"},
    "payload": {"controlUiWidgetKinds", "controlUiLinkReaders", "pluginSurfaceUrls"},
}
"""What a real hello carries for people and not for a channel."""


def left_out(theirs: Mapping[str, Any], ours: Mapping[str, Any], name: str = "payload") -> Iterator[str]:
    """Yield the recorded keys that the fake's frame has not, decoration aside."""
    for key, inner in theirs.items():
        if key not in ours:
            if key not in DECORATION.get(name, set()):
                yield f"{name}.{key}"
        elif isinstance(inner, Mapping):
            yield from left_out(inner, ours[key], key)


async def test_a_hello_leaves_out_nothing_but_decoration(talk: Talk) -> None:
    ours = talk.got[-1]["payload"]
    theirs = recorded("s1-connect-agent-ok", protocol=4)["payload"]
    assert list(left_out(theirs, ours)) == []


def told(got: Sequence[Frame], run_id: str) -> list[str]:
    """Return what was said about a run in its order, each repeated kind once, the two ends as one.

    A real gateway says much more of what goes on inside: preparations, tools, usage.
    """
    kinds: list[str] = []
    for frame in got:
        payload = frame.get("payload") or {}
        kind = meaning(frame, payload) if payload.get("runId") == run_id else ""
        if kind and kind not in kinds:
            kinds.append(kind)
    return kinds


def meaning(frame: Frame, payload: Frame) -> str:
    match frame.get("event", "answer"):
        case "answer":
            return f"answer {payload['status']}" if {"summary", "acceptedAt"} & payload.keys() else ""
        case "chat":
            return "delta" if payload["state"] == "delta" else "end"
        case "agent":
            phase = payload["data"].get("phase", "")
            return {"start": "start", "end": "end", "error": "end"}.get(phase, "")
        case _:
            return ""


@pytest.mark.parametrize(
    ("message", "run_id", "kinds"),
    [
        ("first", "s2-a", ["answer accepted", "start", "delta", "end", "answer ok"]),
        ("second (400)", "s2-b", ["answer accepted", "start", "end", "answer error"]),
        ("fourth (hang)", "s2-d", ["answer accepted", "start", "end", "answer timeout"]),
    ],
)
async def test_a_run_is_told_in_the_order_of_the_recorded_one(
    message: str, run_id: str, kinds: list[str]
) -> None:
    theirs = [frame for way, frame in frames("s2-failed-then-ok") if way == "in"]
    async with FakeGateway() as gateway, talking(gateway) as talk:
        gateway.answer(reply)
        await talk.turn(message, run_id)
        assert told(talk.got, run_id) == told(theirs, run_id) == kinds


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        ("s7-auth-bad-client-id", "client id"),
        ("s7-auth-bad-token", "token"),
        ("s7-auth-no-auth", "no token"),
        ("s7-auth-proto-3", "protocol"),
        ("s7-auth-device-badsig", "signature"),
    ],
)
async def test_a_recorded_connect_that_was_refused_is_refused_with_the_same_frame_and_close(
    scenario: str, why: str
) -> None:
    ((request, (answer,)),) = answers(scenario, "connect")
    last = json.loads((FOLDER / f"{scenario}.jsonl").read_text().splitlines()[-1])["frame"]
    async with FakeGateway(token="loopback-test-token") as gateway, knocking(gateway) as talk:
        (ours,) = await talk.ask("connect", **request)
        assert ours["error"] == answer["error"] == FAULTS[why]
        assert await talk.closed() == (last["code"], last["reason"])


def test_a_recorded_device_proof_holds_and_no_other_text_does() -> None:
    ((request, _),) = answers("s7-auth-cli-device-v3", "connect")
    device = request["device"]
    assert device_fault(request, device, device["nonce"]) == ""
    assert device_fault({**request, "role": "node"}, device, device["nonce"]) == "signed text"
    assert device_fault(request, {**device, "id": "0" * 64}, device["nonce"]) == "device id"
    assert device_fault(request, {**device, "signature": "?"}, device["nonce"]) == "signed text"
    assert device_fault(request, device, "another") == "signature"


@pytest.mark.parametrize("form", ["v3", "v2"])
async def test_a_device_is_let_in_with_the_token_and_later_with_the_one_it_was_given(form: str) -> None:
    device = Device()
    async with FakeGateway() as gateway:
        async with knocking(gateway) as talk:
            hello = await greet(talk, gateway, device=device.proof(talk, gateway.token, form))
        assert hello["payload"]["auth"]["method"] == "token"
        secret = hello["payload"]["auth"]["deviceToken"]
        auth = {"deviceToken": secret}
        async with knocking(gateway) as talk:
            hello = await greet(talk, gateway, auth=auth, device=device.proof(talk, secret, form))
            assert hello["payload"]["auth"]["method"] == "device-token"
        async with knocking(gateway) as talk:
            answer = await greet(talk, gateway, auth=auth, device=Device().proof(talk, secret, form))
            assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"


async def test_a_password_lets_in_where_one_is_set(gateway: FakeGateway) -> None:
    gateway.password = "sesame"
    async with talking(gateway, auth={"password": "sesame"}) as talk:
        assert talk.got[-1]["payload"]["auth"]["method"] == "password"
    async with knocking(gateway) as talk:
        answer = await greet(talk, gateway, auth={"password": "other"})
        assert answer["error"] == FAULTS["token"]


async def test_a_client_mode_nobody_knows_is_refused() -> None:
    async with FakeGateway() as gateway, knocking(gateway) as talk:
        answer = await greet(talk, gateway, client=CLIENT | {"mode": "bridge"})
        assert "/client/mode" in answer["error"]["message"]


async def test_a_client_that_does_not_begin_with_connect_is_shown_out() -> None:
    async with FakeGateway() as gateway, knocking(gateway) as talk:
        (answer,) = await talk.ask("health")
        assert not answer["ok"]
        assert (await talk.closed())[0] == 1008


@pytest.mark.parametrize("why", ["pairing", "token", "protocol", "starting"])
async def test_every_connect_is_refused_while_it_is_told_to(gateway: FakeGateway, why: str) -> None:
    gateway.refusing = why
    async with knocking(gateway) as talk:
        answer = await greet(talk, gateway)
        assert answer["error"] == FAULTS[why]
        assert await talk.closed() == (close_code(why), FAULTS[why]["message"])
    gateway.refusing = ""
    async with talking(gateway):
        assert gateway.connects == 1


async def test_the_first_connects_after_a_start_are_told_to_come_again(gateway: FakeGateway) -> None:
    await gateway.kill()
    await gateway.start(startup_sidecars=1)
    async with knocking(gateway) as talk:
        answer = await greet(talk, gateway)
        assert answer["error"]["retryable"]
        assert answer["error"]["details"]["reason"] == "startup-sidecars"
        assert (await talk.closed())[0] == 1013
    async with talking(gateway):
        pass


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


async def test_a_wait_for_a_run_nobody_knows_ends_without_an_end_time(talk: Talk) -> None:
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


async def test_runs_of_one_session_take_turns_and_sessions_do_not_wait_for_each_other(
    gateway: FakeGateway, talk: Talk
) -> None:
    gateway.answer(Hang())
    gateway.answer(Say("at once"), session_key=OTHER)
    await talk.turn("one", "a", answers=1)
    await talk.turn("two", "b", answers=1)
    other = await talk.turn("three", "c", key=OTHER)
    assert other[1]["payload"]["result"]["payloads"][0]["text"] == "at once"
    assert started(talk.got) == ["a", "c"]
    gateway.runs.release()
    await talk.event("agent", runId="b", stream="lifecycle")
    gateway.runs.release()
    await talk.event("chat", runId="b", state="final")
    assert started(talk.got) == ["a", "c", "b"]


def started(got: Sequence[Frame]) -> list[str]:
    events = [frame["payload"] for frame in got if frame.get("event") == "agent"]
    return [event["runId"] for event in events if event["data"]["phase"] == "start"]


async def test_a_text_is_an_answer_too(gateway: FakeGateway, talk: Talk) -> None:
    gateway.answer("plain")
    (_, end) = await talk.turn("x", "k")
    assert end["payload"]["result"]["payloads"][0]["text"] == "plain"


async def test_events_of_a_run_are_numbered_without_a_hole_and_name_its_agent(talk: Talk) -> None:
    await talk.turn("hello", "k")
    events = [frame["payload"] for frame in talk.got if frame.get("event") in {"agent", "chat"}]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["agentId"] for event in events} == {"main"}


async def test_a_connection_without_the_right_to_read_hears_of_no_runs() -> None:
    async with FakeGateway() as gateway, talking(gateway, scopes=["operator.write"]) as deaf:
        async with talking(gateway) as talk:
            await talk.turn("hello", "k")
        await gateway.tick()
        assert (await deaf.read())["event"] == "tick"


async def test_left_out_events_are_seen_as_a_hole_in_their_numbers(gateway: FakeGateway, talk: Talk) -> None:
    await gateway.tick()
    gateway.skip_events(3)
    await gateway.tick()
    assert [(await talk.event("tick"))["seq"] for _ in range(2)] == [1, 5]


async def test_a_key_without_an_agent_means_the_default_agent(talk: Talk) -> None:
    (accepted, _) = await talk.turn("x", "k", key="octo:group:g4b")
    assert accepted["payload"]["sessionKey"] == "agent:main:octo:group:g4b"


async def test_an_agent_nobody_configured_is_refused(gateway: FakeGateway, talk: Talk) -> None:
    (answer,) = await talk.turn("x", "k", answers=1, key="agent:ghost:octo:group:g1")
    assert "no longer exists in configuration" in answer["error"]["message"]
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sessions.reset", {"key": "agent:main:octo:group:g8", "expectedSessionId": "nope"}),
        (
            "agent",
            {
                "message": "x",
                "sessionKey": "agent:main:octo:group:g8",
                "idempotencyKey": "k",
                "expectedExistingSessionId": "bogus",
            },
        ),
    ],
)
async def test_a_session_that_is_not_the_expected_one_is_refused_as_recorded(
    method: str, params: dict[str, Any]
) -> None:
    wanted = {key for key in params if key.startswith("expected")}
    theirs = next(found for asked, found in answers("s8-maintenance", method) if wanted <= asked.keys())
    scopes = [*READ_WRITE, "operator.admin"]
    async with FakeGateway() as gateway, talking(gateway, scopes=scopes) as talk:
        await talk.turn("first", "before", key="agent:main:octo:group:g8")
        (ours,) = await talk.ask(method, **params)
    assert ours["error"] == theirs[0]["error"]


async def test_both_ways_to_abort_name_the_run_that_ended(gateway: FakeGateway, talk: Talk) -> None:
    gateway.answer(Hang())
    for run_id, method, expected in (
        ("a", "sessions.abort", {"ok": True, "abortedRunId": "a", "status": "aborted"}),
        ("b", "chat.abort", {"ok": True, "aborted": True, "runIds": ["b"]}),
    ):
        await talk.turn("x", run_id, answers=1)
        await talk.event("agent", runId=run_id, stream="lifecycle")
        (answer,) = await talk.ask(method, key=KEY, sessionKey=KEY)
        assert answer["payload"] == expected
        assert gateway.sessions[KEY]["status"] == "killed"
    (answer,) = await talk.ask("sessions.abort", key=KEY)
    assert answer["payload"] == {"ok": True, "abortedRunId": None, "status": "no-active-run"}


async def test_a_kill_cuts_the_connection_and_leaves_the_row_running(gateway: FakeGateway) -> None:
    where = gateway.url
    async with talking(gateway) as talk:
        gateway.answer(Hang())
        await talk.turn("x", "old", answers=1)
        await talk.event("agent", stream="lifecycle")
        await gateway.kill()
        assert (await talk.closed())[0] == 1006
    assert gateway.sessions[KEY]["status"] == "running"
    gateway.answer("taken up")
    await gateway.start()
    assert gateway.url == where


async def test_a_run_a_kill_interrupted_ends_under_a_new_id_after_the_restart(gateway: FakeGateway) -> None:
    async with talking(gateway) as talk:
        gateway.answer(Hang())
        await talk.turn("x", "old", answers=1)
        await talk.event("agent", stream="lifecycle")
        boot = talk.got[1]["payload"]["server"]["bootId"]
        await gateway.kill()
    gateway.answer("taken up")
    await gateway.start()
    async with talking(gateway) as talk:
        assert talk.got[1]["payload"]["server"]["bootId"] != boot
        final = (await talk.event("chat", state="final"))["payload"]
        assert final["sessionKey"] == KEY
        assert final["runId"] != "old"
        (wait,) = await talk.ask("agent.wait", runId="old", timeoutMs=1)
        assert wait["payload"] == {"runId": "old", "status": "timeout"}
        (history,) = await talk.ask("chat.history", sessionKey=KEY)
    said = [line["content"] for line in history["payload"]["messages"]]
    assert said == ["x", INTERRUPTED, [{"type": "text", "text": "taken up"}]]


async def test_a_terminated_gateway_lets_runs_end_refuses_new_ones_and_says_goodbye(
    gateway: FakeGateway, talk: Talk
) -> None:
    gateway.answer(Hang(Say("in time")))
    await talk.turn("x", "k", answers=1)
    await talk.event("agent", stream="lifecycle")
    ending = asyncio.create_task(gateway.terminate())
    await asyncio.sleep(0)
    (refused,) = await talk.turn("y", "l", answers=1)
    assert refused["error"]["details"]["reason"] == "gateway-restarting"
    assert refused["error"]["retryAfterMs"] == 1000
    gateway.runs.release()
    await talk.event("chat", state="final")
    await talk.event("shutdown")
    assert (await talk.closed())[0] == 1012
    await ending


async def test_a_run_goes_on_without_its_connection_and_its_outcome_is_given_again(
    gateway: FakeGateway,
) -> None:
    async with talking(gateway) as talk:
        gateway.answer(Hang(Say("kept")))
        await talk.turn("x", "k", answers=1)
        await talk.event("agent", stream="lifecycle")
        gateway.drop_connections()
        assert (await talk.closed())[0] == 1006
    async with talking(gateway) as talk:
        gateway.runs.release()
        await talk.event("chat", state="final", runId="k")
        (wait,) = await talk.ask("agent.wait", runId="k", timeoutMs=1000)
        assert wait["payload"]["terminalReply"] == {"disposition": "visible", "text": "kept"}
        (again,) = await talk.turn("another text", "k", answers=1)
    assert again["payload"]["result"]["payloads"][0]["text"] == "kept"
    assert len(gateway.asked) == 1


async def test_lists_and_histories_say_whether_there_is_more(talk: Talk) -> None:
    await talk.turn("one", "a")
    await talk.turn("two", "b", key=OTHER)
    (listed,) = await talk.ask("sessions.list", limit=1)
    (history,) = await talk.ask("chat.history", sessionKey=KEY, limit=1)
    (health,) = await talk.ask("health")
    assert health["payload"]["ok"]
    assert [row["key"] for row in listed["payload"]["sessions"]] == [KEY]
    assert (listed["payload"]["totalCount"], listed["payload"]["hasMore"]) == (2, True)
    assert [line["role"] for line in history["payload"]["messages"]] == ["assistant"]
    assert history["payload"]["hasMore"]
    ((_, (theirs,)), *_) = answers("s7-auth-backend-readwrite", "sessions.list")
    assert listed["payload"].keys() <= theirs["payload"].keys()


async def test_only_subscribers_are_told_of_rows() -> None:
    async with FakeGateway() as gateway, talking(gateway) as talk, talking(gateway) as other:
        await talk.ask("sessions.subscribe")
        await talk.turn("x", "k")
        changes = [frame["payload"] for frame in talk.got if frame.get("event") == "sessions.changed"]
        await other.ask("health")
    assert [(change["phase"], change["status"], change["hasActiveRun"]) for change in changes] == [
        ("start", "running", True),
        ("end", "done", False),
    ]
    assert "sessions.changed" not in {frame.get("event") for frame in other.got}
