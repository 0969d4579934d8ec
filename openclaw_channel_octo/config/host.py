"""The ``host`` block: who runs the turns (design §8)."""

from collections.abc import Mapping
from typing import Any

from openclaw_channel_octo.config.findings import Findings, join
from openclaw_channel_octo.config.model import AGENT_KINDS, EchoAgentConfig, EmbeddedHostConfig, FrozenModel
from openclaw_channel_octo.config.secrets import Surroundings, read_secret

__all__ = ["read_host"]

HOST_PATH = "host"
_AGENT_PATH = "host.agent"


def read_host(raw: object, around: Surroundings, findings: Findings) -> EmbeddedHostConfig | None:
    """Return the host's settings, or ``None`` with every mistake in ``findings``."""
    if not findings.is_object(raw, HOST_PATH):
        return None
    if raw.get("kind") == "gateway":
        text = 'this release has no "gateway" host yet: use "embedded", or load the plugin into your host'
        findings.problem(f"{HOST_PATH}.kind", text)
        return None
    agent: FrozenModel | None = EchoAgentConfig()
    if "agent" in raw:
        agent = _agent(raw["agent"], around, findings)
    else:
        findings.warn(_AGENT_PATH, "not set: bots answer with an echo of what they are told")
    state_dir = _folder(raw.get("stateDir", _default_state_dir(around)), around)
    block = dict(raw) | {"stateDir": state_dir, "agent": agent or EchoAgentConfig()}
    return findings.validate(EmbeddedHostConfig, block, HOST_PATH)


def _agent(raw: object, around: Surroundings, findings: Findings) -> FrozenModel | None:
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


def _default_state_dir(around: Surroundings) -> str:
    state_home = around.env.get("XDG_STATE_HOME", "")
    return f"{state_home if state_home.startswith('/') else '~/.local/state'}/openclaw-octo"


def _folder(raw: object, around: Surroundings) -> object:
    return around.path(raw) if isinstance(raw, str) and raw else raw
