"""`openclaw-octo gateway check`, and `run --openclaw`: what an operator reads."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from openclaw_channel_octo.cli.gateway import check as gateway_command
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from tests.cli.asking import command
from tests.programs import ended, launched, write
from tests.tls import self_signed

BOT = "bf_0123456789abcdef"
KINDS = {"octo.json": "config", "openclaw.json": "openclaw"}


def configured(folder: Path, gateway: FakeGateway, **host: Any) -> Path:
    settings = {
        "kind": "gateway",
        "url": gateway.url,
        "token": gateway.token,
        "stateDir": str(folder / "state"),
    }
    return write(folder, {"channels": {"octo": {"botToken": BOT}}, "host": settings | host})


def openclaw(folder: Path, gateway: FakeGateway, **blocks: Any) -> Path:
    port = int(gateway.url.rpartition(":")[2])
    content = {
        "gateway": {"port": port, "auth": {"token": gateway.token}},
        "channels": {"octo": {"botToken": BOT}},
    }
    file = folder / "openclaw.json"
    file.write_text(json.dumps(content | blocks))
    return file


async def invoke(*arguments: object, home: Path, code: int = 0) -> Result:
    return await command(*arguments, code=code, env={"XDG_STATE_HOME": str(home), "HOME": str(home)})


async def checked(file: Path, *options: str, code: int = 0) -> Result:
    """Check the gateway that one of its files, or of the bots', is about."""
    return await invoke(
        "gateway", "check", f"--{KINDS[file.name]}", file, *options, home=file.parent, code=code
    )


async def test_a_check_says_what_keeps_the_gateway_from_starting_again_also_where_it_does_not_run(
    tmp_path: Path,
) -> None:
    async with FakeGateway() as gateway:
        file = openclaw(tmp_path, gateway)
        running = await checked(file)
    told = (
        f"{file}: channels.octo: a gateway that has no plugin for this channel does not start with this block"
    )
    assert f"note: {told}" in running.stdout
    assert told in (await checked(file, code=2)).stderr


async def test_a_gateway_that_is_ready_is_shown_with_its_sessions(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.sessions["agent:main:octo:group:g1"] = {"key": "agent:main:octo:group:g1", "status": "failed"}
    gateway.sessions["agent:main:main"] = {"key": "agent:main:main", "status": "done"}
    result = await checked(configured(tmp_path, gateway))
    assert result.stdout.splitlines() == [
        f"gateway   {gateway.url}, release 2026.9.6",
        "scopes    operator.read, operator.write",
        "agents    main, work",
        "sessions  1 of channel octo",
        "  failed    agent:main:octo:group:g1",
        "note: agent:main:octo:group:g1 is failed: the next mention restarts it",
        "note: whether the gateway has the plugin was not looked at: name its file, --openclaw FILE",
        "ready",
    ]


async def test_the_gateways_own_file_is_all_it_takes(gateway: FakeGateway, tmp_path: Path) -> None:
    result = await checked(openclaw(tmp_path, gateway), "--json")
    found = json.loads(result.stdout)
    assert (found["ok"], found["release"], found["agents"]) == (True, "2026.9.6", ["main", "work"])


async def test_an_agent_that_bindings_name_and_the_gateway_does_not_have_is_a_problem(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    bindings = [{"agentId": "gone", "match": {"channel": "octo", "accountId": "*"}}]
    file = openclaw(tmp_path, gateway, bindings=bindings)
    result = await checked(file, code=1)
    problem = "account default is routed to the agent gone, which the gateway does not have"
    assert f"problem: {problem}" in result.stdout
    assert result.stdout.splitlines()[-1] == "not ready"


async def test_an_old_release_is_told_of(tmp_path: Path) -> None:
    async with FakeGateway(version="2026.5.22") as gateway:
        result = await checked(configured(tmp_path, gateway))
    assert "release 2026.5.22 can hold on to a failed run" in result.stdout


@pytest.mark.parametrize(
    ("refusing", "what_to_do"),
    [("token", "compare host.token"), ("pairing", "openclaw devices approve request-1")],
)
async def test_a_refusal_says_what_to_do_and_shows_no_secret(
    gateway: FakeGateway, tmp_path: Path, refusing: str, what_to_do: str
) -> None:
    gateway.refusing = refusing
    result = await checked(configured(tmp_path, gateway), code=2)
    assert what_to_do in result.stderr
    assert gateway.token not in result.output
    assert BOT not in result.output


async def test_a_gateway_that_does_not_run_is_named_with_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_command, "CONNECT_WITHIN_S", 0.05)
    gateway = FakeGateway()
    await gateway.start()
    await gateway.kill()
    result = await checked(configured(tmp_path, gateway), code=2)
    assert f"no gateway answers at {gateway.url}" in result.stderr


async def test_a_gateway_whose_certificate_nobody_knows_is_not_said_to_have_a_wrong_address(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    async def closed(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(closed, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    file = configured(tmp_path, gateway, url=url)
    result = await checked(file, code=2)
    server.close()
    assert f"no gateway answers at {url}" in result.stderr
    assert "certificate" in result.stderr


async def test_a_secret_in_the_gateways_address_is_shown_nowhere(
    gateway: FakeGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = configured(tmp_path, gateway, url=f"{gateway.url}/?token=planted")
    ready = await checked(file)
    assert f"gateway   {gateway.url}/, release" in ready.stdout
    gateway.refusing = "token"
    refused = await checked(file, code=2)
    assert f"connecting to {gateway.url}/" in refused.stderr
    assert "planted" not in ready.output + refused.output + caplog.text


async def test_an_embedded_host_has_no_gateway_to_check(tmp_path: Path) -> None:
    file = write(tmp_path, {"channels": {"octo": {"botToken": BOT}}})
    result = await checked(file, code=2)
    assert "there is no gateway to check" in result.stderr


@pytest.mark.parametrize("command", [("run",), ("gateway", "check")])
async def test_a_command_without_any_file_says_which_ones_it_takes(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    result = await invoke(*command, home=tmp_path, code=2)
    assert "--config octo.json, or --openclaw openclaw.json" in result.stderr


async def test_run_ends_at_once_where_the_gateway_does_not_let_it_in(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.refusing = "token"
    told = await ended(await launched(configured(tmp_path, gateway)), code=75)
    assert "cannot start: connecting to" in told
    assert "compare host.token" in told


async def until_its_bots_begin(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"[octo] [" not in await process.stderr.readline():
            pass


async def test_a_folder_whose_bots_work_with_a_gateway_has_one_owner_and_its_sessions_are_not_called_fine(
    gateway: FakeGateway, tmp_path: Path
) -> None:
    key = "agent:main:octo:group:g1"
    gateway.sessions[key] = {"key": key, "status": "failed", "sessionId": "s1"}
    file, store = configured(tmp_path, gateway), str(tmp_path / "state")
    first = await launched(file)
    try:
        await until_its_bots_begin(first)
        second = await launched(file)
        assert f"is in use by process {first.pid}" in await ended(second, code=75)
        for command in ("list", "show"):
            result = await invoke("sessions", command, "--store", store, home=tmp_path, code=2)
            assert (
                "they are in the gateway; openclaw-octo gateway check --config octo.json shows them"
                in result.stderr
            )
        named = await invoke("sessions", "list", "--config", file, home=tmp_path, code=2)
        assert f"openclaw-octo gateway check --config {file} shows them" in named.stderr
        one = await invoke("sessions", "show", "--store", store, "--session", key, home=tmp_path, code=1)
        assert "status failed" in one.stdout
    finally:
        first.terminate()
        await first.communicate()
    stopped = await invoke("sessions", "show", "--store", store, home=tmp_path, code=2)
    assert "they are in the gateway" in stopped.stderr
