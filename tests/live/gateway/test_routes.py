"""Our routing against the gateway's own code: the same agent and session for every configuration and conversation."""

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.findings import Findings
from openclaw_channel_octo.config.openclaw import read_openclaw
from openclaw_channel_octo.config.secrets import Surroundings
from openclaw_channel_octo.ids import ChannelRef, ChannelType, split_thread
from openclaw_channel_octo.session.route import DM_SCOPES, GROUP_SCOPES
from tests.live.gateway.install import VERSIONS, CannotInstall, install

pytestmark = pytest.mark.skipif(
    not os.environ.get("OCTO_LIVE_GATEWAY"),
    reason="asks the code of a real OpenClaw gateway from npm: set OCTO_LIVE_GATEWAY=1 or call `make test-gateway`",
)

ASK = """
const { resolveAgentRoute } = await import(process.argv[1]);
let text = "";
for await (const part of process.stdin) text += part;
const answers = JSON.parse(text).map(({ cfg, accountId, peer, parentPeer }) => {
  const route = resolveAgentRoute({ cfg, channel: "octo", accountId, peer, parentPeer });
  return [route.agentId, route.sessionKey];
});
console.log(JSON.stringify(answers));
"""
AGENTS = {"list": [{"id": "main"}, {"id": "work", "default": True}, {"id": "Other"}]}
CONVERSATIONS = (
    ChannelRef("ann", ChannelType.PERSON),
    ChannelRef("Ann-B", ChannelType.PERSON),
    ChannelRef("g1", ChannelType.GROUP),
    ChannelRef("G1", ChannelType.GROUP),
    ChannelRef("g1____77", ChannelType.THREAD),
    ChannelRef("g2____77", ChannelType.THREAD),
)
ACCOUNTS = ("default", "helper", "Helper_2")


def rule(
    agent: str, account: str | None = "*", peer: tuple[str, Any] | None = None, **session: str
) -> dict[str, Any]:
    match: dict[str, Any] = {"channel": "octo"}
    if account is not None:
        match["accountId"] = account
    if peer is not None:
        match["peer"] = {"kind": peer[0], "id": peer[1]}
    return {"agentId": agent, "match": match} | ({"session": session} if session else {})


def configurations() -> Iterator[dict[str, Any]]:
    yield {}
    for dm_scope, group_scope in itertools.product(DM_SCOPES, GROUP_SCOPES):
        yield {"session": {"dmScope": dm_scope, "groupScope": group_scope, "mainKey": "Home"}}
        links = {"Anna": ["octo:ann", "telegram:5"], "Bea": ["ANN-B"]}
        yield {"agents": AGENTS, "session": {"dmScope": dm_scope, "identityLinks": links}}
    yield {"agents": AGENTS}
    yield {"agents": {"list": [{"id": "solo"}]}}
    rules = (
        rule("main"),
        rule("other", "helper"),
        rule("main", None),
        rule("other", "*", ("group", "g1")),
        rule("main", "*", ("group", "g1____77")),
        rule("main", "*", ("channel", "g1")),
        rule("other", "*", ("direct", "ann")),
        rule("other", "*", ("dm", "Ann-B")),
        rule("main", "HELPER_2", ("group", "*")),
        rule("main", "*", ("direct", "*"), dmScope="per-account-channel-peer"),
        rule("main", "helper", None, groupScope="main"),
    )
    for size in (1, 2):
        for chosen in itertools.permutations(rules, size):
            yield {"agents": AGENTS, "bindings": list(chosen)}


def cases() -> Iterator[tuple[dict[str, Any], str, ChannelRef]]:
    return itertools.product(configurations(), ACCOUNTS, CONVERSATIONS)


def ours(cfg: dict[str, Any], account: str, channel: ChannelRef) -> list[str]:
    findings = Findings()
    read = read_openclaw(cfg, Surroundings(base=Path("/"), env={}), findings)
    assert read is not None, findings.problems
    route = read.routing.route(account, channel)
    return [route.agent_id, route.session_key]


def asked(cfg: dict[str, Any], account: str, channel: ChannelRef) -> dict[str, Any]:
    kind = "direct" if channel.type == ChannelType.PERSON else "group"
    thread = split_thread(channel.id)
    parent = {"parentPeer": {"kind": "group", "id": thread.group_no}} if thread else {}
    return {"cfg": cfg, "accountId": account, "peer": {"kind": kind, "id": channel.id}, **parent}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_route_equals_the_gateways_own(version: str, tmp_path: Path) -> None:
    try:
        installed = install(version)
    except CannotInstall as missing:
        pytest.skip(str(missing))
    table = list(cases())
    answer = subprocess.run(
        [
            str(installed.node),
            "--input-type=module",
            "-e",
            ASK,
            (installed.entry.parent / "dist" / "plugin-sdk" / "routing.js").as_uri(),
        ],
        input=json.dumps([asked(*case) for case in table]),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENCLAW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    theirs = json.loads(answer.stdout.strip().splitlines()[-1])
    wrong = [
        (case, found, ours(*case))
        for case, found in zip(table, theirs, strict=True)
        if not (version != VERSIONS[0] and uses_newer_settings(case[0])) and found != ours(*case)
    ]
    assert not wrong, f"{len(wrong)} of {len(table)} differ, the first: {wrong[0]}"


def uses_newer_settings(cfg: dict[str, Any]) -> bool:
    """Return whether a configuration says what only newer releases understand."""
    return "groupScope" in json.dumps(cfg) or any("session" in rule for rule in cfg.get("bindings", ()))
