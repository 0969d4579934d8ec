"""From ``octo.json`` to the resolved configuration, with every mistake told at once (design §8).

Over 350 lines: both entry points share how a host, an agent and an account are read.
"""

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.config.agents import AGENT_KINDS, CommandAgentConfig, EchoAgentConfig
from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.channel import CHANNEL_PATH, ChannelReader
from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.environment import read_variables, with_same_value
from openclaw_channel_octo.config.model import (
    BotConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    MetricsConfig,
    OctoConfig,
)
from openclaw_channel_octo.config.openclaw import OpenClawConfig, read_openclaw
from openclaw_channel_octo.config.secrets import SecretContext, read_regular, read_secret
from openclaw_channel_octo.errors import ConfigError

__all__ = ["Loaded", "UnreadableConfigError", "load_config", "parse_config", "parse_host", "select_accounts"]

_Host = EmbeddedHostConfig | GatewayHostConfig
_HOST_PATH = "host"
_AGENT_PATH = "host.agent"
_LARGEST_FILE = 8 * 1024 * 1024
_TOO_DEEP = "is nested too deeply to be a configuration"
_JSON5_HINT = "if it is JSON5, first: pip install 'openclaw-channel-octo[json5]'"


class UnreadableConfigError(ConfigError):
    """There is no configuration to judge: the file cannot be read, or is not JSON."""


class Loaded(Struct, frozen=True, kw_only=True):
    """A configuration without mistakes.

    Attributes:
        config: the configuration.
        warnings: what the operator should know, one sentence each, none of them holding a secret.
    """

    config: OctoConfig
    warnings: tuple[str, ...]


def load_config(
    path: Path | None,
    *,
    openclaw: Path | None = None,
    env: Mapping[str, str] = os.environ,
    run_programs: bool = True,
) -> Loaded:
    """Return the configuration in the file ``path``, secrets fetched.

    Args:
        path: a JSON file; JSON5 where the ``json5`` package is installed; ``None`` where ``openclaw`` says it all.
        openclaw: a gateway's own file: its gateway is the host, its ``channels.octo`` block the base of ours.
        env: environment variables.
        run_programs: false to only name the programs of ``exec`` references; their secrets stay empty.

    Raises:
        UnreadableConfigError: the file cannot be read or is not JSON.
        ConfigError: something in it is wrong; holds every mistake.
    """
    findings = Findings()
    raw = {} if path is None else _decoded(_text(path), findings)
    base = Path.cwd() if path is None else path.absolute().parent
    if openclaw is not None and isinstance(raw, Mapping):
        host = raw.get("host", {})
        block = host if isinstance(host, Mapping) else {}
        raw = {**raw, "host": {**block, "kind": "gateway", "openclawConfig": str(openclaw.absolute())}}
    return _parsed(raw, SecretContext(base=base, env=env, run_programs=run_programs), findings)


def parse_config(
    mapping: Mapping[str, Any],
    *,
    base: Path,
    env: Mapping[str, str] = os.environ,
    run_programs: bool = True,
    beside: Mapping[str, Any] | None = None,
) -> Loaded:
    """Return the configuration in ``mapping``, for hosts that have already read their file.

    Args:
        mapping: the file's content: ``channels.octo`` and ``host``.
        base: folder that relative paths start from.
        env: environment variables.
        run_programs: false to only name the programs of ``exec`` references; their secrets stay empty.
        beside: what else the file holds: nothing of it is checked, the variables it reads secrets from are withheld
            from programs as well.

    Raises:
        ConfigError: something is wrong; holds every mistake.
    """
    withheld = with_same_value(env, read_variables(beside))
    around = SecretContext(base=base.absolute(), env=env, run_programs=run_programs, withheld=withheld)
    return _parsed(mapping, around, Findings())


def parse_host(
    mapping: Mapping[str, Any], *, base: Path, env: Mapping[str, str] = os.environ
) -> EmbeddedHostConfig | GatewayHostConfig:
    """Return what ``host`` in ``mapping`` describes, for programs whose channels are others.

    Args:
        mapping: a configuration; nothing but ``host`` is checked.
        base: folder that relative paths start from.
        env: environment variables.

    Raises:
        ConfigError: something is wrong; holds every mistake.
    """
    findings, around = Findings(), SecretContext(base=base.absolute(), env=env)
    raw = _plain(mapping.get("host", {}))
    host, _, around = _read_host(raw, _withholding(around, read_variables(mapping)), findings)
    if findings.problems or host is None:
        raise ConfigError(*findings.problems)
    return _without(host, around.withheld)


def select_accounts(config: OctoConfig, ids: Sequence[str]) -> tuple[BotConfig, ...]:
    """Return the bots to run: the named ones, or with no ``ids`` all that are on (possibly none).

    Ids match in any case.

    Raises:
        ConfigError: an id names no account, or one that is off.
    """
    if not ids:
        return tuple(bot for bot in config.accounts.values() if bot.enabled)
    findings = Findings()
    chosen: dict[str, BotConfig] = {}
    for asked in ids:
        bot = config.accounts.get(asked.lower())
        if bot is None:
            findings.problem("", f"there is no account {asked!r}; known: {', '.join(config.accounts)}")
        elif not bot.enabled:
            switches = " and ".join(bot.disabled_by) or "its enabled switch"
            findings.problem("", f'account "{bot.account_id}" is off: {switches} is false')
        else:
            chosen[bot.account_id] = bot
    if findings.problems:
        raise ConfigError(*findings.problems)
    return tuple(chosen.values())


def _parsed(raw: object, around: SecretContext, findings: Findings) -> Loaded:
    host: _Host | None = None
    metrics: MetricsConfig | None = None
    accounts: dict[str, BotConfig] = {}
    root = _plain(raw)
    around = _withholding(around, read_variables(root))
    if _has_only(root, "", ("channels", "host", "metrics"), findings):
        host, gateway, around = _read_host(root.get("host", {}), around, findings)
        if "metrics" in root and findings.is_object(root["metrics"], "metrics"):
            metrics = findings.validate(MetricsConfig, root["metrics"], "metrics")
        channels = root.get("channels", {})
        if _has_only(channels, "channels", ("octo",), findings):
            accounts = _accounts(channels, gateway.channel if gateway else None, around, findings)
    if findings.problems or host is None:
        raise ConfigError(*findings.problems)
    if not any(bot.enabled for bot in accounts.values()):
        findings.warn(CHANNEL_PATH, "no account is on: nothing would run")
    config = OctoConfig(host=host, accounts=accounts, metrics=metrics)
    secrets = (secret.get_secret_value() for secret in config.secrets())
    host = _without(host, with_same_value(around.env, around.withheld, secrets))
    return Loaded(config=config.model_copy(update={"host": host}), warnings=tuple(findings.warnings))


def _without(host: _Host, names: frozenset[str]) -> _Host:
    """Return the same host whose agent program does not inherit the variables of these names."""
    if isinstance(host, EmbeddedHostConfig) and isinstance(host.agent, CommandAgentConfig):
        return host.model_copy(update={"agent": host.agent.withholding(names)})
    return host


def _withholding(around: SecretContext, names: Collection[str]) -> SecretContext:
    """Return what a configuration refers to, some more variables kept from the programs it starts."""
    return replace(around, withheld=around.withheld | with_same_value(around.env, names))


def _gateway_file(host: Any, around: SecretContext, findings: Findings) -> OpenClawConfig | None:
    """Return what stands in the gateway's own file, if the host block names one; it is only ever read."""
    in_gateway = isinstance(host, Mapping) and host.get("kind") == "gateway"
    named = host.get("openclawConfig") if in_gateway else None
    if not isinstance(named, str) or not named:
        return None
    file = around.path(named)
    about_file = Findings()
    try:
        raw = _decoded(_text(file), about_file)
        found = read_openclaw(raw, replace(around, base=file.parent), about_file)
    except UnreadableConfigError as error:
        findings.problem("host.openclawConfig", f"{file} {error}")
        return None
    findings.problems += [f"{file}: {problem}" for problem in about_file.problems]
    findings.warnings += [f"{file}: {warning}" for warning in about_file.warnings]
    return found


def _read_host(
    raw: Any, around: SecretContext, findings: Findings
) -> tuple[_Host | None, OpenClawConfig | None, SecretContext]:
    """Return the host, its gateway's own file, and the context without the variables that file reads secrets from."""
    gateway = _gateway_file(raw, around, findings)
    around = _withholding(around, gateway.variables if gateway else ())
    if not findings.is_object(raw, _HOST_PATH):
        return None, gateway, around
    named = around.env.get("XDG_STATE_HOME", "")
    state_home = named if named.startswith("/") else "~/.local/state"
    block = {**raw, "stateDir": _folder(raw.get("stateDir", f"{state_home}/openclaw-octo"), around)}
    if raw.get("kind") == "gateway":
        return _gateway_host(block, gateway, around, findings), gateway, around
    agent: FrozenModel | None = None
    if "agent" in raw:
        agent = _agent(raw["agent"], around, findings)
    else:
        findings.warn(_AGENT_PATH, "not set: bots answer with an echo of what they are told")
    block["agent"] = agent or EchoAgentConfig()
    return findings.validate(EmbeddedHostConfig, block, _HOST_PATH), gateway, around


def _gateway_host(
    block: dict[str, Any], gateway: OpenClawConfig | None, around: SecretContext, findings: Findings
) -> GatewayHostConfig | None:
    """Return the settings of a gateway: what the block says, else what the gateway's own file says."""
    if "routing" in block:
        findings.unknown(_HOST_PATH, "routing", sorted(set(GatewayHostConfig.model_fields) - {"routing"}))
        del block["routing"]
    for name in ("token", "password"):
        if name in block:
            found = read_secret(block.pop(name), join(_HOST_PATH, name), around, findings)
            block[name] = found.value if found else None
        elif gateway is not None and "url" not in block:
            block[name] = getattr(gateway, name)
    if "openclawConfig" in block:
        block["openclawConfig"] = _folder(block["openclawConfig"], around)
    if gateway is not None:
        block = {"url": gateway.url} | block | {"routing": gateway.routing}
    return findings.validate(GatewayHostConfig, block, _HOST_PATH)


def _agent(raw: object, around: SecretContext, findings: Findings) -> FrozenModel | None:
    model = findings.choose(AGENT_KINDS, raw, _AGENT_PATH, by="kind")
    if model is None or not isinstance(raw, Mapping):
        return None
    block: dict[str, Any] = dict(raw)
    if "cwd" in block:
        block["cwd"] = _folder(block["cwd"], around)
    if "apiKey" in block and "api_key" in model.model_fields:
        key = read_secret(block.pop("apiKey"), join(_AGENT_PATH, "apiKey"), around, findings)
        block["apiKey"] = key.value if key else None
    if isinstance(block.get("headers"), Mapping) and "headers" in model.model_fields:
        block["headers"] = dict(_headers(block["headers"], around, findings))
    return findings.validate(model, block, _AGENT_PATH)


def _headers(
    raw: Mapping[str, Any], around: SecretContext, findings: Findings
) -> Iterator[tuple[str, SecretStr]]:
    """Yield the headers, which may be secrets or several words."""
    for name, value in raw.items():
        if isinstance(value, str):
            yield name, SecretStr(value)
        elif secret := read_secret(value, join(f"{_AGENT_PATH}.headers", str(name)), around, findings):
            yield name, secret.value


def _folder(raw: object, around: SecretContext) -> object:
    return around.path(raw) if isinstance(raw, str) and raw else raw


def _accounts(
    channels: Mapping[str, Any], below: Mapping[str, Any] | None, around: SecretContext, findings: Findings
) -> dict[str, BotConfig]:
    block = channels.get("octo", {}) if below is None else _laid_over(below, channels.get("octo", {}))
    if below is None and "octo" not in channels:
        findings.problem(CHANNEL_PATH, "missing: the bots are configured there")
    elif findings.is_object(block, CHANNEL_PATH):
        return ChannelReader(block, around, findings).accounts()
    return {}


def _laid_over(below: Any, above: Any) -> Any:
    """Return our channels block laid over the one in the gateway's own file, key by key."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _has_only(raw: Any, path: str, known: Sequence[str], findings: Findings) -> bool:
    if not findings.is_object(raw, path):
        return False
    for key in raw:
        if key not in known:
            findings.unknown(path, key, known)
    return True


def _plain(raw: Any) -> Any:
    """Return what a host has read as dictionaries. Raises `ConfigError`."""

    def as_dicts(value: Any) -> Any:
        return {key: as_dicts(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value

    try:
        return as_dicts(raw)
    except RecursionError:
        raise ConfigError(_TOO_DEEP) from None


def _text(path: Path) -> str:
    try:
        content, _ = read_regular(path, _LARGEST_FILE)
        return content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except ValueError:
        reason = "nothing can have that name"
    raise UnreadableConfigError(f"cannot be read: {reason}")


def _decoded(text: str, findings: Findings) -> Any:
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return content

    raw: Any = None
    trouble = ""
    try:
        raw = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        trouble = f"line {error.lineno}, column {error.colno}"
    except ValueError:
        trouble = "a number is too long"
    except RecursionError:
        raise UnreadableConfigError(_TOO_DEEP) from None
    if trouble:
        twice.clear()
        raw = _json5(text, unique, f"is not JSON ({trouble})")
    for key in twice:
        findings.problem(join("", key), "this key is written twice in one object")
    return raw


def _json5(text: str, unique: Callable[[list[tuple[str, Any]]], dict[str, Any]], otherwise: str) -> Any:
    try:
        loads = import_module("json5").loads
    except ImportError:
        raise UnreadableConfigError(f"{otherwise}; {_JSON5_HINT}") from None
    try:
        return loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise UnreadableConfigError(f"{otherwise}; as JSON5 it {_TOO_DEEP}") from None
    except ValueError as error:
        found = re.match(r"<string>:(\d+) .* at column (\d+)$", str(error), re.DOTALL)
    where = f" (line {found[1]}, column {found[2]})" if found else ""
    raise UnreadableConfigError(f"{otherwise}, nor JSON5{where}")
