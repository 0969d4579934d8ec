"""The control socket: its protocol, its bounds, and who may own it."""

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.server import CONNECTIONS, LARGE, LINE_BYTES, ControlServer, socket_path
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.testing.clock import ManualClock


async def echo(params: Mapping[str, Any]) -> Any:
    return dict(params)


async def broken(_: Mapping[str, Any]) -> Any:
    raise RuntimeError("the secret of the machine room")


async def endless(_: Mapping[str, Any]) -> Any:
    await asyncio.Event().wait()


async def large(_: Mapping[str, Any]) -> Any:
    return "x" * LINE_BYTES


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    made = ControlServer(tmp_path, SystemClock(), hide=lambda text: text.replace("hunter2", "[hidden]"))
    for handler in (echo, broken, endless, large):
        made.register(handler.__name__, handler)
    await made.start()
    yield made
    await made.stop()


async def told(store: Path, *lines: bytes) -> list[Any]:
    """Return every answer to what a client writes before it ends its side."""
    reader, writer = await asyncio.open_unix_connection(socket_path(store), limit=4 * LINE_BYTES)
    try:
        writer.write(b"".join(lines))
        await writer.drain()
        writer.write_eof()
        return [json.loads(line) for line in (await reader.read()).splitlines()]
    finally:
        writer.transport.abort()


def request(call: str, **params: Any) -> bytes:
    return json.dumps({"v": 1, "id": "a", "call": call, "params": params}).encode() + b"\n"


async def test_calls_of_one_connection_are_answered_in_order(server: ControlServer, tmp_path: Path) -> None:
    first, second, pong = await told(tmp_path, request("echo", a=1), request("echo", b=[2]), request("ping"))
    assert first == {"v": 1, "id": "a", "ok": True, "result": {"a": 1}}
    assert second["result"] == {"b": [2]}
    assert pong["result"]["pid"] == os.getpid()
    assert "echo" in pong["result"]["calls"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello\n", "bad-request"),
        (b"[]\n", "bad-request"),
        (b"\xff\xfe\n", "bad-request"),
        (b"[" * 100_000 + b"\n", "bad-request"),
        (b'{"v": 1, "id": [], "call": "ping"}\n', "bad-request"),
        (b'{"v": 1, "call": 7}\n', "bad-request"),
        (b'{"v": 1, "call": []}\n', "bad-request"),
        (b'{"v": 1, "call": "ping", "params": []}\n', "bad-request"),
        (b'{"v": 2, "call": "ping"}\n', "unknown-version"),
        (b'{"v": 1, "call": "format"}\n', "unknown-call"),
        (request("broken"), "internal"),
        (request("large"), "too-large"),
    ],
)
async def test_what_cannot_be_done_gets_an_error_and_the_connection_goes_on(
    server: ControlServer, tmp_path: Path, line: bytes, code: str
) -> None:
    refused, after = await told(tmp_path, line, request("echo"))
    assert refused["ok"] is False
    assert refused["error"]["code"] == code
    assert "machine room" not in json.dumps(refused)
    assert after["ok"] is True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.binary(max_size=300))
async def test_any_bytes_are_answered_line_by_line_with_errors(
    server: ControlServer, tmp_path: Path, garbage: bytes
) -> None:
    answers = await told(tmp_path, garbage)
    assert len(answers) == garbage.count(b"\n")
    assert all(answer["ok"] is False for answer in answers)


async def test_a_line_without_end_is_refused_once_and_nothing_behind_it_is_carried_out(
    server: ControlServer, tmp_path: Path
) -> None:
    (answer,) = await told(tmp_path, b"x" * (3 * LINE_BYTES) + b"\n", request("echo"))
    assert answer["error"]["code"] == "too-large"
    assert (await told(tmp_path, request("echo")))[0]["ok"] is True


async def test_a_secret_is_in_no_answer(server: ControlServer, tmp_path: Path) -> None:
    (answer,) = await told(tmp_path, request("echo", hunter2=["it is hunter2", {"deep": "hunter2"}]))
    assert answer["ok"] is True
    assert "hunter2" not in json.dumps(answer)


async def test_clients_that_do_not_read_or_go_away_leave_the_others_served(
    server: ControlServer, tmp_path: Path
) -> None:
    deaf = [await asyncio.open_unix_connection(socket_path(tmp_path)) for _ in range(4)]
    for _, writer in deaf:
        writer.write(request("echo", text="x" * 100_000) * 50)
    for _, writer in deaf[:2]:
        writer.transport.abort()
    assert (await told(tmp_path, request("echo", here=True)))[0]["result"] == {"here": True}
    for _, writer in deaf[2:]:
        writer.transport.abort()


async def test_more_connections_than_fit_are_told_so(server: ControlServer, tmp_path: Path) -> None:
    held = [await asyncio.open_unix_connection(socket_path(tmp_path)) for _ in range(CONNECTIONS)]
    for reader, writer in held:
        writer.write(request("ping"))
        await reader.readline()
    (answer,) = await told(tmp_path)
    assert answer["error"]["code"] == "busy"
    for _, writer in held:
        writer.transport.abort()


async def test_few_large_requests_are_held_at_once_and_all_are_answered(
    server: ControlServer, tmp_path: Path
) -> None:
    held, most = 0, 0

    async def slow(params: Mapping[str, Any]) -> Any:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0)
        held -= 1
        return len(params["text"])

    server.register("slow", slow)
    size = LINE_BYTES // 2
    answers = await asyncio.gather(*(told(tmp_path, request("slow", text="x" * size)) for _ in range(20)))
    assert [answer["result"] for (answer,) in answers] == [size] * 20
    assert most <= LARGE


async def test_a_silent_client_and_an_endless_call_are_ended_by_the_clock(tmp_path: Path) -> None:
    clock = ManualClock()
    server = ControlServer(tmp_path, clock)
    server.register("endless", endless)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(socket_path(tmp_path))
    writer.write(request("endless"))
    answer = asyncio.ensure_future(reader.readline())
    while not answer.done():
        await clock.advance(30)
    assert json.loads(answer.result())["error"]["code"] == "timeout"
    silence = asyncio.ensure_future(reader.read())
    while not silence.done():
        await clock.advance(30)
    assert silence.result() == b""
    writer.transport.abort()
    await server.stop()


async def test_the_socket_is_for_its_user_alone_and_gone_afterwards(tmp_path: Path) -> None:
    store = tmp_path / "new" / "state"
    server = ControlServer(store, SystemClock())
    await server.start()
    assert stat.S_IMODE((store / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    await server.stop()
    assert not (store / "control.sock").exists()
    await server.stop()


async def test_a_second_owner_is_refused_and_the_first_goes_on(server: ControlServer, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=f"in use by process {os.getpid()}"):
        await ControlServer(tmp_path, SystemClock()).start()
    assert (await told(tmp_path, request("echo")))[0]["ok"] is True


async def test_the_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    program = (
        "import socket, sys, os; socket.socket(socket.AF_UNIX).bind(sys.argv[1]); os.kill(os.getpid(), 9)"
    )
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "control.sock")
    )
    await killed.wait()
    assert (tmp_path / "control.sock").is_socket()
    server = ControlServer(tmp_path, SystemClock())
    await server.start()
    assert (await told(tmp_path, request("ping")))[0]["ok"] is True
    await server.stop()


async def test_a_path_too_long_for_a_socket_leads_to_one_in_the_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    store = tmp_path / ("deep" * 30)
    with socket.socket(socket.AF_UNIX) as plain, pytest.raises(OSError, match="too long"):
        plain.bind(str(store / "control.sock"))
    server = ControlServer(store, SystemClock())
    await server.start()
    monkeypatch.delenv("XDG_RUNTIME_DIR")  # somebody else's shell need not know it
    target = socket_path(store)
    assert target.parent == tmp_path / "openclaw-octo"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (await told(store, request("ping")))[0]["ok"] is True
    await server.stop()
    assert not target.exists()
    assert not (store / "control.sock").is_symlink()
