"""From ``octo.json`` to the resolved configuration, with every mistake told at once (design §8).

Over 350 lines: both entry points share how a host, an agent and an account are read.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.config.agents import AGENT_KINDS, CommandAgentConfig, EchoAgentConfig
from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.channel import CHANNEL_PATH, ChannelReader, switched_off
from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.environment import read_variables, with_same_value
from openclaw_channel_octo.config.files import TOO_DEEP, UnreadableConfigError, read_json
from openclaw_channel_octo.config.model import (
    LONGEST_WAIT_S,
    BotConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    HealthConfig,
    McpConfig,
    MetricsConfig,
    OctoConfig,
)
from openclaw_channel_octo.config.openclaw import OpenClawConfig, read_openclaw
from openclaw_channel_octo.config.secrets import SecretContext, read_secret
from openclaw_channel_octo.config.state_dir import read_file, state_dir_of
from openclaw_channel_octo.config.variables import beside as beside_file
from openclaw_channel_octo.config.variables import filled, gateway_environment, settled, unset_in
from openclaw_channel_octo.errors import ConfigError

__all__ = ["Loaded", "UnreadableConfigError", "load_config", "parse_config", "parse_host", "select_accounts"]

_LISTENING: Mapping[str, type[FrozenModel]] = {
    "metrics": MetricsConfig,
    "health": HealthConfig,
    "mcp": McpConfig,
}
_Host = EmbeddedHostConfig | GatewayHostConfig
_HOST_PATH = "host"
_SCHEMA = "$schema"
"""What editors check a file by."""
_AGENT_PATH = "host.agent"
_READ_APART = frozenset({"token", "password", "agent"})


class Loaded(Struct, frozen=True, kw_only=True):
    """A configuration without mistakes.

    Attributes:
        config: the configuration.
        warnings: what the operator should know, one sentence each, none of them holding a secret.
        unreadable: why the tokens of some accounts that are on cannot be read now; another account's can, unless the
            loading was patient.
        unread: why secrets of the host cannot be read now, where the loading was patient.
        open_files: files with secrets of ours that other users can read.
        causes: those of the warnings that may be why.
    """

    config: OctoConfig
    warnings: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    open_files: tuple[Path, ...] = ()
    causes: tuple[str, ...] = ()


def load_config(  # noqa: PLR0913  # what to read, and how much of it is needed
    path: Path | None,
    *,
    openclaw: Path | None = None,
    env: Mapping[str, str] = os.environ,
    run_programs: bool = True,
    accounts: Collection[str] = (),
    connecting: bool = True,
    patient: bool = False,
) -> Loaded:
    """Return the configuration in the file ``path``, secrets fetched.

    Args:
        path: a JSON file; JSON5 where the ``json5`` package is installed; ``None`` where ``openclaw`` says it all.
        openclaw: a gateway's own file: its gateway is the host, its ``channels.octo`` block the base of ours.
        env: environment variables; the file ``.env`` beside ``path`` completes them.
        run_programs: false to only name the programs of ``exec`` references; their secrets stay empty.
        accounts: the only accounts that are looked at, in any case; none for all.
        connecting: false where no bot connects to its server: tokens stay empty and addresses the default, whatever
            they need.
        patient: whether secrets that cannot be read now stay empty and are told of, instead of being mistakes; for
            looking around, not for running bots.

    Raises:
        UnreadableConfigError: the file cannot be read or is not JSON.
        ConfigError: something in it is wrong, or no account that is on can be used; holds every mistake.
    """
    findings = Findings(patient=patient)
    base = Path.cwd() if path is None else path.absolute().parent
    variables = env if path is None else beside_file(base, env, findings)
    raw: Any = {}
    if path is not None:
        raw = read_file(path, variables, findings)
    if openclaw is not None and isinstance(raw, Mapping):
        host = raw.get("host", {})
        block = host if isinstance(host, Mapping) else {}
        raw = {**raw, "host": {**block, "kind": "gateway", "openclawConfig": str(openclaw.absolute())}}
    around = SecretContext(base=base, env=variables, process=env, run_programs=run_programs)
    return _parsed(raw, around, findings, accounts, connecting=connecting)


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
        mapping: the file's content: ``channels.octo`` and ``host``. Variables in it are filled in; what a file
            includes is the host's business, and so are files with variables.
        base: folder that relative paths start from.
        env: environment variables.
        run_programs: false to only name the programs of ``exec`` references; their secrets stay empty.
        beside: what else the file holds: nothing of it is checked, the variables it reads secrets from are withheld
            from programs as well.

    Raises:
        ConfigError: something is wrong, or no account that is on can be used; holds every mistake.
    """
    withheld = with_same_value(env, read_variables(beside))
    around = SecretContext(
        base=base.absolute(), env=env, process=env, run_programs=run_programs, withheld=withheld
    )
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
    findings = Findings()
    around = SecretContext(base=base.absolute(), env=env, process=env)
    gateway, around = _gateway(mapping, _withholding(around, read_variables(mapping)), findings)
    host = _read_host(_plain(mapping.get("host", {}), around.env), gateway, around, findings)
    if findings.problems or host is None:
        raise ConfigError(*findings.causes, *findings.problems)
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
            findings.problem("", switched_off(bot))
        else:
            chosen[bot.account_id] = bot
    if findings.problems:
        raise ConfigError(*findings.problems)
    return tuple(chosen.values())


def _parsed(
    raw: object,
    around: SecretContext,
    findings: Findings,
    only: Collection[str] = (),
    *,
    connecting: bool = True,
) -> Loaded:
    host: _Host | None = None
    listening: dict[str, Any] = {}
    accounts: dict[str, BotConfig] = {}
    gateway, around = _gateway(raw, _withholding(around, read_variables(raw)), findings)
    root = _plain(raw, around.env)
    if _has_only(root, "", ("channels", "host", *_LISTENING), findings):
        host = _read_host(root.get("host", {}), gateway, around, findings)
        listening = {name: _block(root, name, model, findings) for name, model in _LISTENING.items()}
        channels = root.get("channels", {})
        if _has_only(channels, "channels", ("octo",), findings):
            block = _channel(channels, gateway.channel if gateway else None, findings)
            if block is not None:
                accounts = ChannelReader(block, around, findings, connecting=connecting).accounts(only)
    on = [bot for bot in accounts.values() if bot.enabled]
    unreadable = tuple(bot.token_problem for bot in on if bot.token_problem)
    none_left = on and len(unreadable) == len(on) and not findings.patient
    if findings.problems or host is None or none_left:
        retryable = not findings.problems and host is not None
        raise ConfigError(*findings.causes, *findings.problems, *unreadable, retryable=retryable)
    if not on:
        findings.warn(CHANNEL_PATH, "no account is on: nothing would run")
    return Loaded(
        config=_withheld(OctoConfig(host=host, accounts=accounts, **listening), around),
        warnings=tuple(findings.warnings),
        unreadable=unreadable,
        unread=tuple(findings.unread),
        open_files=tuple(findings.open_files),
        causes=tuple(findings.causes),
    )


def _block(root: Mapping[str, Any], name: str, model: type[FrozenModel], findings: Findings) -> Any:
    if name not in root or not findings.is_object(root[name], name):
        return None
    return findings.validate(model, settled(root[name], name, findings), name)


def _withheld(config: OctoConfig, around: SecretContext) -> OctoConfig:
    """Return the same configuration whose agent program inherits no variable with one of its secrets."""
    secrets = (secret.get_secret_value() for secret in config.secrets())
    host = _without(config.host, with_same_value(around.env, around.withheld, secrets))
    return config.model_copy(update={"host": host})


def _without(host: _Host, names: frozenset[str]) -> _Host:
    """Return the same host whose agent program does not inherit the variables of these names."""
    if isinstance(host, EmbeddedHostConfig) and isinstance(host.agent, CommandAgentConfig):
        return host.model_copy(update={"agent": host.agent.withholding(names)})
    return host


def _withholding(around: SecretContext, names: Collection[str]) -> SecretContext:
    """Return what a configuration refers to, some more variables kept from the programs it starts."""
    return replace(around, withheld=around.withheld | with_same_value(around.env, names))


def _gateway(
    raw: Any, around: SecretContext, findings: Findings
) -> tuple[OpenClawConfig | None, SecretContext]:
    """Return what stands in the gateway's own file, if the host block names one, and the context with its variables.

    The file is only ever read.
    """
    host = _plain(raw.get("host") if isinstance(raw, Mapping) else None, around.env)
    in_gateway = isinstance(host, Mapping) and host.get("kind") == "gateway"
    named = host.get("openclawConfig") if in_gateway else None
    if not isinstance(named, str) or not named or unset_in(named):
        return None, around
    file, about_file = around.path(named), Findings(patient=findings.patient)
    env = gateway_environment(file, around.process, Path.cwd(), about_file)
    try:
        content = read_json(file, about_file)
        found = read_openclaw(content, file, replace(around, base=file.parent, env=env), about_file)
    except UnreadableConfigError as error:
        findings.explain("host.openclawConfig", f"{file} {error}")
        found = None
    findings.problems += [f"{file}: {problem}" for problem in about_file.problems]
    findings.warnings += [f"{file}: {warning}" for warning in about_file.warnings]
    findings.causes += [f"{file}: {cause}" for cause in about_file.causes]
    findings.unread += [f"{file}: {secret}" for secret in about_file.unread]
    if found is None:
        findings.excuse(CHANNEL_PATH)  # what is missing here may stand there
        return None, around
    around = replace(around, env={**found.env, **around.env}, providers=found.providers)
    return found, _withholding(around, found.variables)


def _read_host(
    raw: Any, gateway: OpenClawConfig | None, around: SecretContext, findings: Findings
) -> _Host | None:
    if not findings.is_object(raw, _HOST_PATH):
        return None
    block = {
        key: value if key in _READ_APART else settled(value, join(_HOST_PATH, key), findings)
        for key, value in raw.items()
    }
    block["stateDir"] = state_dir_of(block, around)
    if block.get("kind") == "gateway":
        return _gateway_host(block, gateway, around, findings)
    agent: FrozenModel | None = None
    if "agent" in block:
        agent = _agent(block["agent"], around, findings)
    else:
        findings.warn(_AGENT_PATH, "not set: bots answer with an echo of what they are told")
    block["agent"] = agent or EchoAgentConfig()
    return findings.validate(EmbeddedHostConfig, block, _HOST_PATH)


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
        if gateway.turn_s is not None:
            block.setdefault("timeoutSeconds", min(gateway.turn_s, LONGEST_WAIT_S))
    return findings.validate(GatewayHostConfig, block, _HOST_PATH)


def _agent(raw: object, around: SecretContext, findings: Findings) -> FrozenModel | None:
    key = raw.get("apiKey") if isinstance(raw, Mapping) else None
    plain = {**raw, "apiKey": ""} if isinstance(raw, Mapping) and "apiKey" in raw else raw
    block = settled(plain, _AGENT_PATH, findings)
    model = findings.choose(AGENT_KINDS, block, _AGENT_PATH, by="kind")
    if model is None:
        return None
    if "cwd" in block:
        block["cwd"] = _folder(block["cwd"], around)
    if "apiKey" in block and "api_key" in model.model_fields:
        found = read_secret(key, join(_AGENT_PATH, "apiKey"), around, findings)
        block["apiKey"] = found.value if found else None
    if isinstance(block.get("headers"), Mapping) and "headers" in model.model_fields:
        block["headers"] = dict(_headers(block["headers"], around, findings))
    return findings.validate(model, block, _AGENT_PATH)


def _headers(
    raw: Mapping[str, Any], around: SecretContext, findings: Findings
) -> Iterator[tuple[str, SecretStr]]:
    """Yield the headers, which may be secrets or several words."""
    for name, value in raw.items():
        if isinstance(value, str) and not value.startswith("$"):
            yield name, SecretStr(value)
        elif secret := read_secret(value, join(f"{_AGENT_PATH}.headers", str(name)), around, findings):
            yield name, secret.value


def _folder(raw: object, around: SecretContext) -> object:
    return around.path(raw) if isinstance(raw, str) and raw else raw


def _channel(
    channels: Mapping[str, Any], below: Mapping[str, Any] | None, findings: Findings
) -> Mapping[str, Any] | None:
    """Return the channel block, laid over that of a gateway's file; ``None`` with a mistake recorded."""
    block = channels.get("octo", {}) if below is None else _laid_over(below, channels.get("octo", {}))
    if below is None and "octo" not in channels:
        findings.problem(CHANNEL_PATH, "missing: the bots are configured there")
        return None
    return block if findings.is_object(block, CHANNEL_PATH) else None


def _laid_over(below: Any, above: Any) -> Any:
    """Return our channels block laid over the one in the gateway's own file, key by key."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _has_only(raw: Any, path: str, known: Sequence[str], findings: Findings) -> bool:
    if not findings.is_object(raw, path):
        return False
    for key in raw:
        if key not in known and key != _SCHEMA:
            findings.unknown(path, key, known)
            if not _has_bots(raw):
                findings.excuse(CHANNEL_PATH)  # it may be the misspelt place of the bots
    return True


def _has_bots(raw: Mapping[str, Any]) -> bool:
    return "channels" in raw or "octo" in raw


def _plain(raw: Any, env: Mapping[str, str]) -> Any:
    """Return what a host has read as dictionaries and lists, variables filled in. Raises `ConfigError`."""
    try:
        return filled(raw, env)
    except RecursionError:
        raise ConfigError(TOO_DEEP) from None
