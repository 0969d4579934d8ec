"""From configuration to the host it asks for, and to the agent of an embedded one.

Modules are imported late: a program loads the host and the agent it is configured for, and no other.
"""

import logging
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.agents import CommandAgentConfig, EchoAgentConfig, OpenAIAgentConfig
from openclaw_channel_octo.config.model import EmbeddedHostConfig, GatewayHostConfig
from openclaw_channel_octo.host.base import AgentHost

if TYPE_CHECKING:
    from openclaw_channel_octo.config.agents import AgentConfig
    from openclaw_channel_octo.host.embedded.agents import Agent
    from openclaw_channel_octo.host.gateway.host import GatewayHost

__all__ = ["DEVICE_FILE", "agent_from_config", "gateway_from_config", "host_from_config"]

_log = logging.getLogger(__name__)

ADMIN_SCOPE = "operator.admin"
DEVICE_FILE = "gateway-device.json"
"""Name of the device identity's file in the state folder."""
SESSIONS_FILE = "gateway-sessions.json"
"""Name of the file there that keeps in which sessions of a gateway conversations go on."""


def host_from_config(
    config: EmbeddedHostConfig | GatewayHostConfig,
    clock: Clock | None = None,
    *,
    secrets: Iterable[SecretStr] = (),
) -> AgentHost:
    """Return the host a configuration describes, not yet started.

    Args:
        config: the ``host`` block.
        clock: time, the machine's own by default.
        secrets: values no error of an agent may show, such as `OctoConfig.secrets`.

    Raises:
        HostError: the embedded host's agent id cannot name a folder.
        ConfigError: its agent's command is empty, its base URL is none, or its library is not installed.
    """
    if isinstance(config, GatewayHostConfig):
        return gateway_from_config(config, clock)
    from openclaw_channel_octo.host.embedded.host import EmbeddedHost  # noqa: PLC0415  # what is asked for only

    return EmbeddedHost(
        state_dir=config.state_dir,
        agent_id=config.agent_id,
        agent=agent_from_config(config.agent, config.state_dir),
        clock=clock or SystemClock(),
        timeout_s=config.timeout_seconds,
        strict=config.strict,
        secrets=secrets,
    )


def agent_from_config(config: "AgentConfig", state_dir: Path) -> "Agent":
    """Return the agent a configuration describes.

    Args:
        config: the ``host.agent`` block.
        state_dir: the host's folder, told to agents that are programs, which are noted there while they run.

    Raises:
        ConfigError: the agent's command is empty, its base URL is none, or its library is not installed.
    """
    match config:
        case EchoAgentConfig():
            from openclaw_channel_octo.host.embedded.agents import EchoAgent  # noqa: PLC0415  # as above

            return EchoAgent()
        case CommandAgentConfig():
            from openclaw_channel_octo.host.embedded.command import CommandAgent  # noqa: PLC0415  # as above

            return CommandAgent(
                config.command,
                env={"OPENCLAW_STORE": state_dir, **config.env},
                cwd=config.cwd,
                inheritance=config.inheritance,
                notes=state_dir / "programs",
                hide_thinking=config.hide_thinking,
            )
        case OpenAIAgentConfig():
            from openclaw_channel_octo.host.embedded.openai import OpenAIAgent  # noqa: PLC0415  # as above

            return OpenAIAgent(
                base_url=config.base_url,
                model=config.model,
                api_key=config.api_key,
                system_prompt=config.system_prompt,
                history_messages=config.history_messages,
                pictures=config.pictures,
                tools=config.tools,
                tool_rounds=config.tool_rounds,
                headers=config.headers,
                body={**_set(temperature=config.temperature, max_tokens=config.max_tokens), **config.body},
            )


def _set(**fields: float | None) -> dict[str, float]:
    return {name: value for name, value in fields.items() if value is not None}


def gateway_from_config(config: GatewayHostConfig, clock: Clock | None = None) -> "GatewayHost":
    """Return the gateway a configuration describes as a host, not yet connected."""
    from openclaw_channel_octo.host.gateway.host import GatewayHost  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.gateway.identity import DeviceFile  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.gateway.protocol import Login  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.gateway.sessions import SuccessorFile  # noqa: PLC0415  # as above

    if ADMIN_SCOPE in config.scopes:
        _log.warning(
            "host.scopes: %s is not asked for: everybody who writes to the bot would be the gateway's owner; "
            "no command needs it any more, leave it out",
            ADMIN_SCOPE,
        )
    login = Login(
        scopes=tuple(scope for scope in config.scopes if scope != ADMIN_SCOPE),
        token=config.token.get_secret_value() if config.token else "",
        password=config.password.get_secret_value() if config.password else "",
        version=version("openclaw-channel-octo"),
    )
    return GatewayHost(
        url=config.url,
        login=login,
        device=DeviceFile(config.state_dir / DEVICE_FILE),
        successors=SuccessorFile(config.state_dir / SESSIONS_FILE),
        clock=clock or SystemClock(),
    )
