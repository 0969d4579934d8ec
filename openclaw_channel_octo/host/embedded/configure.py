"""From configuration to a host."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.model import (
    AgentConfig,
    CommandAgentConfig,
    EchoAgentConfig,
    EmbeddedHostConfig,
    OpenAIAgentConfig,
)
from openclaw_channel_octo.host.embedded.agents import Agent, EchoAgent
from openclaw_channel_octo.host.embedded.host import EmbeddedHost

__all__ = ["agent_from_config", "from_config"]


def from_config(
    config: EmbeddedHostConfig, clock: Clock | None = None, *, secrets: Iterable[SecretStr] = ()
) -> EmbeddedHost:
    """Return the embedded host a configuration describes, not yet started.

    Args:
        config: the ``host`` block.
        clock: time, the machine's own by default.
        secrets: values no error of an agent may show, such as `OctoConfig.secrets`.

    Raises:
        HostError: the agent id cannot name a folder.
        ConfigError: the agent's command is empty, or its base URL is none.
    """
    return EmbeddedHost(
        state_dir=config.state_dir,
        agent_id=config.agent_id,
        agent=agent_from_config(config.agent, config.state_dir),
        clock=clock or SystemClock(),
        timeout_s=config.timeout_seconds,
        strict=config.strict,
        secrets=secrets,
    )


def agent_from_config(config: AgentConfig, state_dir: Path) -> Agent:
    """Return the agent a configuration describes.

    Args:
        config: the ``host.agent`` block.
        state_dir: the host's folder, told to agents that are programs, which are noted there while they run.

    Raises:
        ConfigError: the agent's command is empty, or its base URL is none.
    """
    match config:
        case EchoAgentConfig():
            return EchoAgent()
        case CommandAgentConfig():
            from openclaw_channel_octo.host.embedded.command import CommandAgent  # noqa: PLC0415  # what it needs only

            return CommandAgent(
                config.command,
                env={"OPENCLAW_STORE": state_dir, **config.env},
                cwd=config.cwd,
                inheritance=config.inheritance,
                notes=state_dir / "programs",
            )
        case OpenAIAgentConfig():
            from openclaw_channel_octo.host.embedded.openai import OpenAIAgent  # noqa: PLC0415  # brings aiohttp along

            return OpenAIAgent(
                base_url=config.base_url,
                model=config.model,
                api_key=config.api_key,
                system_prompt=config.system_prompt,
            )
