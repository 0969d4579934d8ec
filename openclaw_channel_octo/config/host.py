"""The ``host`` block: who runs the turns (design §8)."""

from collections.abc import Mapping
from typing import Any

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.findings import Findings, join
from openclaw_channel_octo.config.model import (
    AGENT_KINDS,
    EchoAgentConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
)
from openclaw_channel_octo.config.openclaw import OpenClawConfig
from openclaw_channel_octo.config.secrets import SecretContext, read_secret

__all__ = ["read_host"]

HOST_PATH = "host"
_AGENT_PATH = "host.agent"


def read_host(
    raw: object, gateway: OpenClawConfig | None, around: SecretContext, findings: Findings
) -> EmbeddedHostConfig | GatewayHostConfig | None:
    """Return the host's settings, or ``None`` with every mistake in ``findings``.

    Args:
        raw: the block.
        gateway: what was read from the gateway's own file, ``None`` where none is named.
        around: what the block refers to.
        findings: takes mistakes and warnings.
    """
    if not findings.is_object(raw, HOST_PATH):
        return None
    state_dir = _folder(raw.get("stateDir", _default_state_dir(around)), around)
    if raw.get("kind") == "gateway":
        return _gateway(dict(raw) | {"stateDir": state_dir}, gateway, around, findings)
    agent: FrozenModel | None = EchoAgentConfig()
    if "agent" in raw:
        agent = _agent(raw["agent"], around, findings)
    else:
        findings.warn(_AGENT_PATH, "not set: bots answer with an echo of what they are told")
    block = dict(raw) | {"stateDir": state_dir, "agent": agent or EchoAgentConfig()}
    return findings.validate(EmbeddedHostConfig, block, HOST_PATH)


def _gateway(
    block: dict[str, Any], gateway: OpenClawConfig | None, around: SecretContext, findings: Findings
) -> GatewayHostConfig | None:
    """Return the settings of a gateway: what the block says, else what the gateway's own file says."""
    if "routing" in block:
        findings.unknown(HOST_PATH, "routing", sorted(set(GatewayHostConfig.model_fields) - {"routing"}))
        del block["routing"]
    for name in ("token", "password"):
        if name in block:
            found = read_secret(block.pop(name), join(HOST_PATH, name), around, findings)
            block[name] = found.value if found else None
        elif gateway is not None and "url" not in block:
            block[name] = getattr(gateway, name)
    if "openclawConfig" in block:
        block["openclawConfig"] = _folder(block["openclawConfig"], around)
    if gateway is not None:
        block = {"url": gateway.url} | block | {"routing": gateway.routing}
    return findings.validate(GatewayHostConfig, block, HOST_PATH)


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
    return findings.validate(model, block, _AGENT_PATH)


def _default_state_dir(around: SecretContext) -> str:
    state_home = around.env.get("XDG_STATE_HOME", "")
    return f"{state_home if state_home.startswith('/') else '~/.local/state'}/openclaw-octo"


def _folder(raw: object, around: SecretContext) -> object:
    return around.path(raw) if isinstance(raw, str) and raw else raw
