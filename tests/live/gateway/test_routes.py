"""Our routing against the gateway's own code: the same agent and session for every configuration and conversation."""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.openclaw import read_openclaw
from openclaw_channel_octo.config.secrets import SecretContext
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.session.route import DM_SCOPES, GROUP_SCOPES
from tests.live.gateway.install import CURRENT, VERSIONS, CannotInstall, install

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="asks the code of a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

# A file goes through the gateway's own loader first: routing sees what that makes of it (mainKey, variables, defaults).
ASK = """
const { writeFileSync } = await import("node:fs");
const { resolveAgentRoute } = await import(process.argv[1]);
const { clearConfigCache, clearRuntimeConfigSnapshot, loadConfig } = await import(process.argv[2]);
let text = "";
for await (const part of process.stdin) text += part;
const route = (cfg, { accountId, peer, parentPeer }) => {
  try {
    const { agentId, sessionKey } = resolveAgentRoute({ cfg, channel: "octo", accountId, peer, parentPeer });
    return [agentId, sessionKey];
  } catch (error) {
    if (error.code !== "AGENT_SELECTION_REQUIRED") throw error;
    return "refused";
  }
};
const answers = JSON.parse(text).map(({ file, conversations }) => {
  writeFileSync(process.env.OPENCLAW_CONFIG_PATH, JSON.stringify(file));
  clearConfigCache();
  clearRuntimeConfigSnapshot();
  let cfg;
  try {
    cfg = loadConfig();
  } catch (error) {
    return String(error.message);
  }
  return conversations.map((one) => route(cfg, one));
});
console.log(JSON.stringify(answers));
"""
ENV = {"OCTO_TEST_GROUP": "g1"}
AGENTS = {"list": [{"id": "main"}, {"id": "work", "default": True}, {"id": "other"}]}
OWNED = {
    "ownership": "explicit",
    "entries": {"work": {}, "other": {}},
    "defaults": {"systemAgent": {"agentId": "other"}},
}
UNOWNED = {"ownership": "explicit", "entries": {"work": {}, "other": {}}}
CONVERSATIONS = tuple(
    itertools.product(
        ("default", "helper", "Helper_2", "Röd 1", "--"),
        (
            ChannelRef("ann", ChannelType.PERSON),
            ChannelRef("Ann-B", ChannelType.PERSON),
            ChannelRef("g1", ChannelType.GROUP),
            ChannelRef("G1", ChannelType.GROUP),
            ChannelRef("g1____77", ChannelType.THREAD),
            ChannelRef("g2____77", ChannelType.THREAD),
        ),
    )
)
COMPARED_AT_LEAST = 3_000

Conversation = tuple[str, ChannelRef]
Answer = list[str] | str


def rule(
    agent: str,
    account: str | None = "*",
    peer: tuple[str, Any] | None = None,
    channel: str = "octo",
    **session: str,
) -> dict[str, Any]:
    match: dict[str, Any] = {"channel": channel}
    if account is not None:
        match["accountId"] = account
    if peer is not None:
        match["peer"] = {"kind": peer[0], "id": peer[1]}
    return {"agentId": agent, "match": match} | ({"session": session} if session else {})


RULES = (
    rule("main"),
    rule("other", "helper"),
    rule("main", None),
    rule("other", "*", ("group", "g1")),
    rule("main", "*", ("group", "g1____77")),
    rule("main", "*", ("channel", "g1")),
    rule("other", "*", ("direct", "ann")),
    rule("other", "*", ("direct", "Ann-B")),
    rule("main", "HELPER_2", ("group", "*")),
    rule("main", "*", ("direct", "*"), dmScope="per-account-channel-peer"),
    rule("main", "helper", None, groupScope="main"),
    rule("main", "Röd 1"),
    rule("main", "*", ("group", "g1"), channel="telegram"),
    rule("other", "*", ("group", "${OCTO_TEST_GROUP}")),
)


def files() -> Iterator[dict[str, Any]]:
    yield {}
    for dm_scope in DM_SCOPES:
        yield {"session": {"dmScope": dm_scope, "mainKey": "Home"}}
        for links in (
            {"Anna": ["octo:ann", "telegram:5"], "Bea": ["ANN-B"]},
            {"First": ["octo:ann"], "Second": ["ann"]},
            {"First": ["ann"], "Second": ["OCTO:Ann"]},
        ):
            yield {"agents": AGENTS, "session": {"dmScope": dm_scope, "identityLinks": links}}
        for group_scope in GROUP_SCOPES:
            yield {"session": {"dmScope": dm_scope, "groupScope": group_scope, "scope": "global"}}
    yield {"agents": AGENTS}
    yield {"agents": {"list": [{"id": "solo"}]}}
    yield {"agents": {"entries": {"one": {}, "two": {"default": True}}}}
    yield {"agents": OWNED}
    yield {"agents": UNOWNED}
    yield {"agents": UNOWNED, "bindings": [rule("other")]}
    for size in (1, 2):
        for chosen in itertools.permutations(RULES, size):
            yield {"agents": AGENTS, "bindings": list(chosen)}


def ours(file: dict[str, Any], account: str, channel: ChannelRef) -> Answer:
    read = read_openclaw(file, Path("/openclaw.json"), SecretContext(base=Path("/"), env=ENV), Findings())
    if read is None:
        return "refused"
    route = read.routing.route(account, channel)
    return [route.agent_id, route.session_key]


def asked(account: str, channel: ChannelRef) -> dict[str, Any]:
    kind = "direct" if channel.type == ChannelType.PERSON else "group"
    thread = split_thread(channel.id)
    parent = {"parentPeer": {"kind": "group", "id": thread.group_no}} if thread else {}
    return {"accountId": account, "peer": {"kind": kind, "id": channel.id}, **parent}


def theirs(version: str, table: list[dict[str, Any]], home: Path) -> list[list[Answer] | str]:
    """Return for every file the gateway's answers, or the words it refuses the file with."""
    try:
        installed = install(version)
    except CannotInstall as missing:
        pytest.skip(str(missing))
    sdk = installed.entry.parent / "dist" / "plugin-sdk"
    modules = [(sdk / name).as_uri() for name in ("routing.js", "config-runtime.js")]
    conversations = [asked(*one) for one in CONVERSATIONS]
    places = {"HOME": home, "OPENCLAW_STATE_DIR": home, "OPENCLAW_CONFIG_PATH": home / "openclaw.json"}
    answer = subprocess.run(
        [str(installed.node), "--input-type=module", "-e", ASK, *modules],
        input=json.dumps([{"file": file, "conversations": conversations} for file in table]),
        env={"PATH": os.environ["PATH"], **ENV, **{key: str(place) for key, place in places.items()}},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found: list[list[Answer] | str] = json.loads(answer.stdout.strip().splitlines()[-1])
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_route_equals_the_gateways_own(version: str, tmp_path: Path) -> None:
    table = list(files())
    compared, wrong = 0, []
    for file, answers in zip(table, theirs(version, table, tmp_path), strict=True):
        if isinstance(
            answers, str
        ):  # the older release does not know the newer settings and refuses the file
            assert version != CURRENT, f"{file}: {answers}"
            continue
        for conversation, answer in zip(CONVERSATIONS, answers, strict=True):
            compared += 1
            if answer != ours(file, *conversation):
                wrong.append((file, conversation, answer, ours(file, *conversation)))
    assert not wrong, f"{len(wrong)} of {compared} differ, the first: {wrong[0]}"
    assert compared >= COMPARED_AT_LEAST
