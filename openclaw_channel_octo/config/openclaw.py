"""What we need of a gateway's own ``openclaw.json``; it is only ever read (design §8)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.config.findings import Findings, join
from openclaw_channel_octo.config.secrets import Surroundings, read_secret
from openclaw_channel_octo.session.key import CHANNEL
from openclaw_channel_octo.session.route import (
    ANY,
    DM_SCOPES,
    GROUP_SCOPES,
    Binding,
    Peer,
    Routing,
    canonical_id,
)

__all__ = ["OpenClawConfig", "read_openclaw"]

DEFAULT_PORT = 18789
_LARGEST_PORT = 65_535
_VARIABLE = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)\}")
_KINDS = {"direct": "direct", "dm": "direct", "group": "group", "channel": "group"}

Block = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenClawConfig:
    """What a gateway's file says that concerns this channel.

    Attributes:
        url: where the gateway listens.
        token: its shared token, ``None`` where the file names none.
        password: its password, likewise.
        channel: its ``channels.octo`` block, ``None`` where it has none.
        routing: which agent and session a conversation belongs to.
        agents: ids of its configured agents, empty where it lists none.
    """

    url: str
    token: SecretStr | None = field(default=None, repr=False)
    password: SecretStr | None = field(default=None, repr=False)
    channel: Block | None = field(default=None, repr=False)
    routing: Routing
    agents: tuple[str, ...] = ()


def read_openclaw(raw: object, around: Surroundings, findings: Findings) -> OpenClawConfig | None:
    """Return what the file says, or ``None`` with every mistake in ``findings``.

    Keys we have no use for are the gateway's business, whatever they hold.

    Args:
        raw: the decoded file.
        around: environment, and the folder of the file.
        findings: takes mistakes and warnings.
    """
    if not findings.is_object(raw, ""):
        return None
    if "$include" in raw:
        text = "is not followed: name a file that holds gateway, session, bindings and channels itself"
        findings.problem("$include", text)
        return None
    before = len(findings.problems)
    reader = _Reader(raw, around, findings)
    found = OpenClawConfig(
        url=reader.url(),
        token=reader.secret("token"),
        password=reader.secret("password"),
        channel=reader.channel(),
        routing=reader.routing(),
        agents=reader.agents(),
    )
    return found if len(findings.problems) == before else None


class _Reader:
    def __init__(self, raw: Block, around: Surroundings, findings: Findings) -> None:
        self._raw = raw
        self._around = around
        self._findings = findings
        self._gateway = self._block(raw, "gateway", "")
        self._remote = self._gateway.get("mode") == "remote"

    def url(self) -> str:
        """Return the address: the remote one in mode ``remote``, else the port on this machine."""
        if self._remote:
            url = self._block(self._gateway, "remote", "gateway").get("url")
            if isinstance(url, str) and url:
                return self._filled(url, "gateway.remote.url")
            self._findings.problem("gateway.remote.url", "missing, although gateway.mode is remote")
        tls = self._block(self._gateway, "tls", "gateway").get("enabled") is True
        return f"{'wss' if tls else 'ws'}://127.0.0.1:{self._port()}"

    def secret(self, kind: str) -> SecretStr | None:
        """Return the gateway's ``token`` or ``password``, from the file, else from the environment."""
        place = "gateway.remote" if self._remote else "gateway.auth"
        block = self._block(self._gateway, place.partition(".")[2], "gateway")
        if block.get("mode") not in (None, kind):
            return None
        value = block.get(kind)
        if isinstance(value, str):
            value = self._filled(value, f"{place}.{kind}")
        if not value:
            found = self._around.env.get(f"OPENCLAW_GATEWAY_{kind.upper()}", "").strip()
            return SecretStr(found) if found else None
        if isinstance(value, Mapping):
            value = {key: part for key, part in value.items() if key != "provider"}
        secret = read_secret(value, f"{place}.{kind}", self._around, self._findings)
        return secret.value if secret else None

    def channel(self) -> Block | None:
        """Return the channel's own block."""
        channels = self._block(self._raw, "channels", "")
        return self._block(channels, CHANNEL, "channels") if CHANNEL in channels else None

    def agents(self) -> tuple[str, ...]:
        """Return the configured agents' ids."""
        return tuple(agent_id for agent_id, _ in self._agents())

    def routing(self) -> Routing:
        """Return the rules by which the gateway itself would resolve conversations."""
        session = self._block(self._raw, "session", "")
        agents = list(self._agents())
        chosen = next((agent_id for agent_id, agent in agents if agent.get("default") is True), "")
        main_key = session.get("mainKey")
        return Routing(
            default_agent=chosen or (agents[0][0] if agents else "main"),
            bindings=tuple(self._bindings()),
            dm_scope=self._scope(session, "dmScope", DM_SCOPES, "session") or "main",
            group_scope=self._scope(session, "groupScope", GROUP_SCOPES, "session") or "per-group",
            main_key=main_key.strip().lower() if isinstance(main_key, str) and main_key.strip() else "main",
            links=dict(_links(session.get("identityLinks"))),
            lower_groups=True,
        )

    def _agents(self) -> Iterator[tuple[str, Block]]:
        """Yield the agents: a list of objects with ids, or, in newer files, an object of them by id."""
        agents = self._block(self._raw, "agents", "")
        entries, listed = agents.get("entries"), agents.get("list")
        if isinstance(entries, Mapping):
            for key, agent in entries.items():
                yield canonical_id(str(key)), agent if isinstance(agent, Mapping) else {}
        elif isinstance(listed, list):
            for agent in listed:
                if isinstance(agent, Mapping) and isinstance(agent.get("id"), str) and agent["id"].strip():
                    yield canonical_id(agent["id"]), agent

    def _bindings(self) -> Iterator[Binding]:
        """Yield this channel's rules; those that ask for what Octo does not have never match and are left out."""
        bindings = self._raw.get("bindings")
        for number, raw in enumerate(bindings if isinstance(bindings, list) else ()):
            path = f"bindings[{number}]"
            if not isinstance(raw, Mapping) or raw.get("type", "route") != "route":
                continue
            match = self._block(raw, "match", path)
            if str(match.get("channel", "")).strip().lower() != CHANNEL or _asks_for_more(match):
                continue
            peer = _peer(match.get("peer"))
            if match.get("peer") is not None and peer is None:
                self._findings.warn(
                    join(path, "match", "peer"), "names no conversation; this binding never matches"
                )
                continue
            account = str(match.get("accountId") or "").strip()
            session = self._block(raw, "session", path)
            yield Binding(
                agent_id=canonical_id(str(raw.get("agentId", ""))),
                account_id=account if account == ANY else canonical_id(account),
                peer=peer,
                dm_scope=self._scope(session, "dmScope", DM_SCOPES, join(path, "session")),
                group_scope=self._scope(session, "groupScope", GROUP_SCOPES, join(path, "session")),
            )

    def _scope(self, block: Block, key: str, known: tuple[str, ...], path: str) -> str | None:
        scope = block.get(key)
        if scope is None or scope in known:
            return scope
        self._findings.problem(join(path, key), f"must be one of {', '.join(known)}")
        return None

    def _port(self) -> int:
        raw = self._around.env.get("OPENCLAW_GATEWAY_PORT") or self._gateway.get("port", DEFAULT_PORT)
        text = str(raw)
        if text.isdecimal() and 0 < int(text) <= _LARGEST_PORT:
            return int(text)
        self._findings.problem("gateway.port", "must be a port number")
        return DEFAULT_PORT

    def _filled(self, text: str, path: str) -> str:
        """Return ``text`` with ``${NAME}`` replaced by environment variables, as the gateway does."""

        def value(found: re.Match[str]) -> str:
            if found[1]:
                return found[0][1:]
            if not self._around.env.get(found[2]):
                self._findings.problem(path, f"the environment variable {found[2]} is not set")
            return self._around.env.get(found[2], "")

        return _VARIABLE.sub(value, text)

    def _block(self, block: Block, key: str, path: str) -> Block:
        value = block.get(key)
        if value is None:
            return {}
        return value if self._findings.is_object(value, join(path, key)) else {}


def _asks_for_more(match: Block) -> bool:
    return any(match.get(key) for key in ("guildId", "teamId", "roles"))


def _peer(raw: object) -> Peer | None:
    if not isinstance(raw, Mapping):
        return None
    kind = _KINDS.get(str(raw.get("kind", "")).strip().lower())
    peer_id = raw.get("id")
    name = str(peer_id).strip() if isinstance(peer_id, (str, int)) else ""
    return Peer(kind, name) if kind and name else None


def _links(raw: object) -> Iterator[tuple[str, str]]:
    """Yield each linked id with the name it stands for; of several names the first counts."""
    seen: set[str] = set()
    for name, ids in raw.items() if isinstance(raw, Mapping) else ():
        for one in ids if isinstance(ids, list) else ():
            linked = str(one).strip().lower()
            if linked and str(name).strip() and linked not in seen:
                seen.add(linked)
                yield linked, str(name).strip()
