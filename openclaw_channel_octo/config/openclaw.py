"""What we need of a gateway's own ``openclaw.json``; it is only ever read (design §8)."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.environment import read_variables
from openclaw_channel_octo.config.files import with_includes
from openclaw_channel_octo.config.manifests import MANIFESTS, id_for_this_channel
from openclaw_channel_octo.config.secrets import SecretContext, read_secret
from openclaw_channel_octo.config.variables import filled, inline_variables, settled
from openclaw_channel_octo.session import route
from openclaw_channel_octo.session.key import CHANNEL
from openclaw_channel_octo.values import SecretStruct

__all__ = ["OpenClawConfig", "read_openclaw"]

DEFAULT_PORT = 18789
_LARGEST_PORT = 65_535
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_IN_ENV = re.compile(r"(?:[^:]+:|\[[^\]]+\]:)?([0-9]{1,5})")
_BLOCKS = ("gateway", "agents", "bindings", "session", "channels", "secrets", "env", "plugins")
_FALLBACKS = frozenset({"OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"})
_KINDS = {"direct": "direct", "dm": "direct", "group": "group", "channel": "group"}

Block = Mapping[str, Any]


class OpenClawConfig(SecretStruct, frozen=True, kw_only=True):
    """What a gateway's file says that concerns this channel.

    Attributes:
        url: where the gateway listens.
        token: its shared token, ``None`` where the file names none.
        password: its password, likewise.
        channel: its ``channels.octo`` block, ``None`` where it has none; variables are filled in.
        routing: which agent and session a conversation belongs to.
        turn_s: seconds its agents have for a turn, ``None`` where it sets none.
        variables: names of the environment variables that it reads secrets from.
        env: the variables the gateway has, those of its file among them.
        providers: its block ``secrets``.
    """

    HIDDEN: ClassVar = frozenset({"channel", "env", "providers"})

    url: str
    token: SecretStr | None = None
    password: SecretStr | None = None
    channel: Block | None = None
    routing: route.Routing
    turn_s: float | None = None
    variables: frozenset[str] = _FALLBACKS
    env: Mapping[str, str] = MappingProxyType({})
    providers: Block = MappingProxyType({})


def read_openclaw(
    raw: object, file: Path, around: SecretContext, findings: Findings
) -> OpenClawConfig | None:
    """Return what the file says, or ``None`` with every mistake in ``findings``.

    Keys we have no use for are the gateway's business, whatever they hold.

    Args:
        raw: the decoded file.
        file: where it was read, absolute: what it includes lies around it.
        around: the gateway's variables but those in the file itself, and the folder of the file.
        findings: takes mistakes and warnings.
    """
    if not findings.is_object(raw, ""):
        return None
    before = len(findings.problems)
    try:
        whole = with_includes(raw, file, around.env, findings, only=_BLOCKS)
        if not findings.is_object(whole, ""):
            return None
        env = inline_variables(whole.get("env"), around.env)
        blocks = filled(whole, env)
    except RecursionError:
        findings.problem("", "is nested too deeply")
        return None
    providers = blocks.get("secrets")
    providers = providers if isinstance(providers, Mapping) else {}
    reader = _Reader(blocks, replace(around, env=env, providers=providers), findings)
    found = OpenClawConfig(
        url=reader.url(),
        token=reader.secret("token"),
        password=reader.secret("password"),
        channel=reader.channel(),
        routing=reader.routing(),
        turn_s=reader.turn_s(),
        variables=_FALLBACKS | read_variables(raw) | read_variables(whole),
        env=env,
        providers=providers,
    )
    return found if len(findings.problems) == before else None


class _Reader:
    def __init__(self, raw: Block, around: SecretContext, findings: Findings) -> None:
        self._raw = raw
        self._around = around
        self._findings = findings
        self._gateway = self._block(raw, "gateway", "")
        self._remote = self._gateway.get("mode") == "remote"
        self._place = "remote" if self._remote else "auth"
        self._access = self._block(self._gateway, self._place, "gateway")
        self._agents = self._block(raw, "agents", "")
        self._roster = dict(self._entries())

    def url(self) -> str:
        """Return the address: the remote one in mode ``remote``, else the port on this machine."""
        if self._remote:
            url = settled(self._access.get("url"), "gateway.remote.url", self._findings)
            if isinstance(url, str) and url:
                return url
            self._findings.problem("gateway.remote.url", "missing, although gateway.mode is remote")
        tls = self._block(self._gateway, "tls", "gateway").get("enabled") is True
        return f"{'wss' if tls else 'ws'}://127.0.0.1:{self._port()}"

    def secret(self, kind: str) -> SecretStr | None:
        """Return the gateway's ``token`` or ``password``, from the file, else from the environment."""
        if self._access.get("mode") not in (None, kind):
            return None
        path = f"gateway.{self._place}.{kind}"
        variable = f"OPENCLAW_GATEWAY_{kind.upper()}"
        named = self._around.env.get(variable, "").strip()
        value = self._access.get(kind)
        if not value:
            return SecretStr(named) if named else None
        if isinstance(value, Mapping):
            usual = self._block(self._block(self._raw, "secrets", ""), "defaults", "secrets")
            value = {"provider": usual.get(str(value.get("source"))) or "default", **value}
        found = read_secret(value, path, self._around, self._findings, patient=True)
        if found is None or not found.problem:
            return found.value if found else None
        if not named:
            self._findings.unreadable(path, f"{found.problem} ({variable} would do instead)")
        return SecretStr(named) if named else None

    def turn_s(self) -> float | None:
        """Return the budget of its agents' turns; what is none is the gateway's business."""
        budget = self._block(self._agents, "defaults", "agents").get("timeoutSeconds")
        return float(budget) if isinstance(budget, int | float) and budget > 0 else None

    def channel(self) -> Block | None:
        """Return the channel's own block."""
        channels = self._block(self._raw, "channels", "")
        if CHANNEL not in channels:
            return None
        if not self._remote and not self._has_plugin():
            self._findings.warn(
                join("channels", CHANNEL),
                "a gateway that has no plugin for this channel does not start with this block: "
                "openclaw-octo gateway install brings one; or move it to a file of the bots' own, --config octo.json",
            )
        return self._block(channels, CHANNEL, "channels")

    def _has_plugin(self) -> bool:
        """Return whether the gateway has a plugin for this channel, as far as its file and folder tell."""
        plugins = self._raw.get("plugins")
        named = plugins if isinstance(plugins, Mapping) else {}
        load = named.get("load")
        places = [named.get(key) for key in ("entries", "installs", "allow")]
        places.append(load.get("paths") if isinstance(load, Mapping) else None)
        names = chain.from_iterable(place for place in places if isinstance(place, (list, Mapping)))
        if any(CHANNEL in str(name).lower() for name in names):
            return True
        return any(id_for_this_channel(manifest) for manifest in self._around.base.glob(MANIFESTS))

    def routing(self) -> route.Routing:
        """Return the rules by which the gateway itself would resolve conversations."""
        session = self._block(self._raw, "session", "")
        bindings = tuple(self._bindings())
        return route.Routing(
            default_agent=self._owner() or self._first_for_want_of_an_owner(bindings),
            bindings=bindings,
            dm_scope=self._scope(session, "dmScope", route.DM_SCOPES, "session") or "main",
            group_scope=self._scope(session, "groupScope", route.GROUP_SCOPES, "session") or "per-group",
            links=_links(session.get("identityLinks")),
            lower_groups=True,
        )

    def _entries(self) -> Iterator[tuple[str, Block]]:
        """Yield the agents: a list of objects with ids, or, in newer files, an object of them by id."""
        if self._agents.get("entries") is not None:
            for key, agent in self._block(self._agents, "entries", "agents").items():
                yield route.canonical_id(str(key)), agent if isinstance(agent, Mapping) else {}
            return
        for agent in self._list(self._agents, "list", "agents"):
            if not isinstance(agent, Mapping):
                continue
            if isinstance(agent.get("id"), str) and agent["id"].strip():
                yield route.canonical_id(agent["id"]), agent

    def _owner(self) -> str:
        """Return the agent that answers where no binding matches; empty where the gateway would ask for one."""
        if len(self._roster) <= 1:
            return next(iter(self._roster), "main")
        if self._agents.get("ownership") == "explicit":
            defaults = self._block(self._agents, "defaults", "agents")
            system = self._block(defaults, "systemAgent", "agents.defaults")
            named = route.canonical_id(str(system.get("agentId", "")))
            return named if named in self._roster else ""
        marked = (agent_id for agent_id, agent in self._roster.items() if agent.get("default") is True)
        return next(marked, next(iter(self._roster)))

    def _first_for_want_of_an_owner(self, bindings: tuple[route.Binding, ...]) -> str:
        """Return the first agent, after telling what a gateway refuses: conversations that no rule covers."""
        first = next(iter(self._roster))
        accounts = {rule.account_id for rule in bindings if rule.peer is None}
        rule = '{"agentId": "…", "match": {"channel": "octo", "accountId": "*"}}'
        if not accounts:
            self._findings.problem(
                "agents", f"none of them owns what no binding names: add {rule} to bindings"
            )
        elif route.ANY not in accounts:
            text = f"accounts that no binding names are answered by {first}: add {rule} to bindings to choose"
            self._findings.warn("agents", text)
        return first

    def _bindings(self) -> Iterator[route.Binding]:
        """Yield this channel's rules; those that ask for what Octo does not have never match and are left out."""
        for number, raw in enumerate(self._list(self._raw, "bindings", "")):
            path = f"bindings[{number}]"
            if not isinstance(raw, Mapping) or raw.get("type", "route") != "route":
                continue
            match = self._block(raw, "match", path)
            spaces = [str(match.get(key) or "").strip() for key in ("guildId", "teamId")]
            ours = str(match.get("channel", "")).strip().lower() == CHANNEL
            if ours and not any(spaces) and not match.get("roles"):
                yield from self._binding(raw, match, path)

    def _binding(self, raw: Block, match: Block, path: str) -> Iterator[route.Binding]:
        peer = _peer(match.get("peer"))
        if match.get("peer") is not None and peer is None:
            text = "names no conversation; this binding never matches"
            self._findings.warn(join(path, "match", "peer"), text)
            return
        account = str(match.get("accountId") or "").strip()
        session = self._block(raw, "session", path)
        yield route.Binding(
            agent_id=self._configured(raw.get("agentId"), path),
            account_id=account if account == route.ANY else route.canonical_account(account),
            peer=peer,
            dm_scope=self._scope(session, "dmScope", route.DM_SCOPES, join(path, "session")),
            group_scope=self._scope(session, "groupScope", route.GROUP_SCOPES, join(path, "session")),
        )

    def _configured(self, raw: object, path: str) -> str:
        """Return an agent's id; empty, which is the default agent, where the file lists agents but not this one."""
        agent_id = route.canonical_id(raw) if isinstance(raw, str) else ""
        if not self._roster or agent_id in self._roster or agent_id == "main":
            return agent_id
        self._findings.warn(join(path, "agentId"), "is no agent of this file: the default one answers")
        return ""

    def _scope(self, block: Block, key: str, known: tuple[str, ...], path: str) -> str | None:
        scope = block.get(key)
        if scope is None or scope in known:
            return scope
        self._findings.problem(join(path, key), f"must be one of {', '.join(known)}")
        return None

    def _port(self) -> int:
        port = settled(self._gateway.get("port", DEFAULT_PORT), "gateway.port", self._findings)
        named = _PORT_IN_ENV.fullmatch(self._around.env.get("OPENCLAW_GATEWAY_PORT", "").strip())
        for text in (named[1] if named else "", str(port)):
            if _PORT.fullmatch(text) and 0 < int(text) <= _LARGEST_PORT:
                return int(text)
        self._findings.problem("gateway.port", "must be a port number")
        return DEFAULT_PORT

    def _block(self, block: Block, key: str, path: str) -> Block:
        value = block.get(key)
        if value is None or not self._findings.is_object(value, join(path, key)):
            return {}
        return value

    def _list(self, block: Block, key: str, path: str) -> list[Any]:
        value = block.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self._findings.problem(join(path, key), "must be a list: [ … ]")
        return []


def _peer(raw: object) -> route.Peer | None:
    if not isinstance(raw, Mapping):
        return None
    kind = _KINDS.get(str(raw.get("kind", "")).strip().lower())
    peer_id = raw.get("id")
    name = str(peer_id).strip() if isinstance(peer_id, (str, int)) else ""
    return route.Peer(kind, name) if kind and name else None


def _links(raw: object) -> dict[str, str]:
    """Return the name each linked id stands for; of several names the first counts."""
    found: dict[str, str] = {}
    for name, ids in raw.items() if isinstance(raw, Mapping) else ():
        for one in ids if isinstance(ids, list) else ():
            linked = str(one).strip().lower()
            if linked and str(name).strip():
                found.setdefault(linked, str(name).strip())
    return found
