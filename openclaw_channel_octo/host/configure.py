"""From configuration to the host it asks for, and to the agent of an embedded one.

Modules are imported late: a program loads the host and the agent it is configured for, and no other.
"""

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

DEVICE_FILE = "gateway-device.json"
"""Name of the device identity's file in the state folder."""


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
        ConfigError: its agent's command is empty, or its base URL is none.
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
        ConfigError: the agent's command is empty, or its base URL is none.
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
            )


def gateway_from_config(config: GatewayHostConfig, clock: Clock | None = None) -> "GatewayHost":
    """Return the gateway a configuration describes as a host, not yet connected."""
    from openclaw_channel_octo.host.gateway.host import GatewayHost  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.gateway.identity import DeviceFile  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.gateway.protocol import Login  # noqa: PLC0415  # as above

    login = Login(
        scopes=config.scopes,
        token=config.token.get_secret_value() if config.token else "",
        password=config.password.get_secret_value() if config.password else "",
        version=version("openclaw-channel-octo"),
    )
    device = DeviceFile(config.state_dir / DEVICE_FILE)
    return GatewayHost(url=config.url, login=login, device=device, clock=clock or SystemClock())
