"""What we need of a gateway's own ``openclaw.json``; it is only ever read (design §8)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.environment import read_variables
from openclaw_channel_octo.config.secrets import SecretContext, read_secret
from openclaw_channel_octo.session import route
from openclaw_channel_octo.session.key import CHANNEL
from openclaw_channel_octo.values import SecretStruct

__all__ = ["OpenClawConfig", "read_openclaw"]

DEFAULT_PORT = 18789
_LARGEST_PORT = 65_535
_PORT = re.compile(r"[0-9]{1,5}")
_VARIABLE = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)\}")
_PORT_IN_ENV = re.compile(r"(?:[^:]+:|\[[^\]]+\]:)?([0-9]{1,5})")
_BLOCKS = ("gateway", "agents", "bindings", "session", "channels")
_NO_INCLUDE = "is not followed: name a file that holds gateway, agents, bindings, session and channels itself"
_FALLBACKS = frozenset({"OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"})
_KINDS = {"direct": "direct", "dm": "direct", "group": "group", "channel": "group"}

Block = Mapping[str, Any]


class OpenClawConfig(SecretStruct, frozen=True, kw_only=True):
    """What a gateway's file says that concerns this channel.

    Attributes:
        url: where the gateway listens.
        token: its shared token, ``None`` where the file names none.
        password: its password, likewise.
        channel: its ``channels.octo`` block, ``None`` where it has none.
        routing: which agent and session a conversation belongs to.
        variables: names of the environment variables that it reads secrets from.
    """

    HIDDEN: ClassVar = frozenset({"channel"})

    url: str
    token: SecretStr | None = None
    password: SecretStr | None = None
    channel: Block | None = None
    routing: route.Routing
    variables: frozenset[str] = _FALLBACKS


def read_openclaw(raw: object, around: SecretContext, findings: Findings) -> OpenClawConfig | None:
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
        findings.problem("$include", _NO_INCLUDE)
        return None
    before = len(findings.problems)
    around = replace(around, env=_inline_variables(raw.get("env")) | dict(around.env))
    try:
        blocks = {key: _substituted(raw[key], around.env) for key in _BLOCKS if key in raw}
    except RecursionError:
        findings.problem("", "is nested too deeply")
        return None
    reader = _Reader(blocks, around, findings)
    found = OpenClawConfig(
        url=reader.url(),
        token=reader.secret("token"),
        password=reader.secret("password"),
        channel=reader.channel(),
        routing=reader.routing(),
        variables=_FALLBACKS | read_variables(raw, substituted=True),
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
            url = self._access.get("url")
            if isinstance(url, str) and url and not _VARIABLE.search(url):
                return url
            text = "missing, or its environment variable is not set, although gateway.mode is remote"
            self._findings.problem("gateway.remote.url", text)
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
        foreign = isinstance(value, Mapping) and value.get("source") != "env"
        if value and not foreign:
            secret = read_secret(value, path, self._around, self._findings)
            return secret.value if secret else None
        if value and not named:
            self._findings.problem(path, f"secret providers of a gateway are not asked: set {variable}")
        return SecretStr(named) if named else None

    def channel(self) -> Block | None:
        """Return the channel's own block."""
        channels = self._block(self._raw, "channels", "")
        return self._block(channels, CHANNEL, "channels") if CHANNEL in channels else None

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
        for number, agent in enumerate(self._list(self._agents, "list", "agents")):
            if not isinstance(agent, Mapping):
                continue
            self._check_whole(agent, f"agents.list[{number}]")
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
            self._check_whole(raw, path)
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
        named = _PORT_IN_ENV.fullmatch(self._around.env.get("OPENCLAW_GATEWAY_PORT", "").strip())
        for text in (named[1] if named else "", str(self._gateway.get("port", DEFAULT_PORT))):
            if _PORT.fullmatch(text) and 0 < int(text) <= _LARGEST_PORT:
                return int(text)
        self._findings.problem("gateway.port", "must be a port number")
        return DEFAULT_PORT

    def _block(self, block: Block, key: str, path: str) -> Block:
        value = block.get(key)
        if value is None or not self._findings.is_object(value, join(path, key)):
            return {}
        self._check_whole(value, join(path, key))
        return value

    def _list(self, block: Block, key: str, path: str) -> list[Any]:
        value = block.get(key)
        if value is None or isinstance(value, list):
            return value or []
        if isinstance(value, Mapping) and "$include" in value:
            self._check_whole(value, join(path, key))
        else:
            self._findings.problem(join(path, key), "must be a list: [ … ]")
        return []

    def _check_whole(self, block: Block, path: str) -> None:
        if "$include" in block:
            self._findings.problem(join(path, "$include"), _NO_INCLUDE)


def _inline_variables(raw: object) -> dict[str, str]:
    """Return the variables a file brings itself; the process environment goes before them."""
    block = raw if isinstance(raw, Mapping) else {}
    inner = block.get("vars")
    named = {**(inner if isinstance(inner, Mapping) else {}), **block}
    return {
        str(key): value
        for key, value in named.items()
        if isinstance(value, str) and value.strip() and not _VARIABLE.search(value)
    }


def _substituted(value: Any, env: Mapping[str, str]) -> Any:
    """Return ``value`` with every ``${NAME}`` in it replaced by the environment variable, as the gateway does.

    A text that is nothing but a variable that is not set becomes the reference to it: who needs it will tell.
    """
    if isinstance(value, str):
        whole = _VARIABLE.fullmatch(value)
        if whole and not whole[1] and not env.get(whole[2]):
            return {"source": "env", "id": whole[2]}
        return _VARIABLE.sub(lambda one: one[0][1:] if one[1] else env.get(one[2]) or one[0], value)
    if isinstance(value, Mapping):
        return {key: _substituted(inner, env) for key, inner in value.items()}
    return [_substituted(inner, env) for inner in value] if isinstance(value, list) else value


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
