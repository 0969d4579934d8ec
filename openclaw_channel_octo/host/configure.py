"""From configuration to the host it asks for, and to the agent of an embedded one.

Modules are imported late: a program loads the host and the agent it is configured for, and no other.
"""

import logging
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.agents import CommandAgentConfig, EchoAgentConfig, OpenAIAgentConfig
from openclaw_channel_octo.config.model import EmbeddedHostConfig, GatewayHostConfig
from openclaw_channel_octo.host.base import AgentHost

if TYPE_CHECKING:
    from openclaw_channel_octo.config.agents import AgentConfig
    from openclaw_channel_octo.host.embedded.agents import Agent
    from openclaw_channel_octo.host.gateway.host import GatewayHost
    from openclaw_channel_octo.host.gateway.sessions import SuccessorFile

__all__ = ["DEVICE_FILE", "agent_from_config", "gateway_from_config", "host_for_change", "host_from_config"]

_log = logging.getLogger(__name__)

ADMIN_SCOPE = "operator.admin"
_OF_THE_LOGIN = ("url", "token", "password", "scopes", "approvals")
"""Settings with which a gateway is connected to."""
DEVICE_FILE = "gateway-device.json"
"""Name of the device identity's file in the state folder."""
APPROVALS_DEVICE_FILE = "gateway-approvals-device.json"
"""Name of that of the connection for approvals: the turns' device never has its scopes."""
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


async def host_for_change(
    host: AgentHost,
    before: EmbeddedHostConfig | GatewayHostConfig,
    after: EmbeddedHostConfig | GatewayHostConfig,
    *,
    clock: Clock | None = None,
    secrets: Iterable[SecretStr] = (),
) -> AgentHost:
    """Return the host that runs the turns which begin from now on, started: another one, or the same with changes.

    Runs under way end where they are. Kind, state folder and agent id have to be those of before.

    Args:
        host: runs the turns now.
        before: what it was made from, or changed to.
        after: what is configured now.
        clock: time, the machine's own by default.
        secrets: values no error of an agent may show.

    Raises:
        HostError: it cannot be had; nothing has changed.
        ConfigError: likewise.
    """
    if isinstance(after, GatewayHostConfig):
        return await _other_gateway(host, before, after, clock)
    from openclaw_channel_octo.host.embedded.host import EmbeddedHost  # noqa: PLC0415  # as above

    if isinstance(host, EmbeddedHost):
        same = isinstance(before, EmbeddedHostConfig) and before.agent == after.agent
        await host.use(
            None if same else agent_from_config(after.agent, after.state_dir),
            timeout_s=after.timeout_seconds,
            strict=after.strict,
            secrets=secrets,
        )
    return host


async def _other_gateway(
    host: AgentHost,
    before: EmbeddedHostConfig | GatewayHostConfig,
    after: GatewayHostConfig,
    clock: Clock | None,
) -> AgentHost:
    same = isinstance(before, GatewayHostConfig) and all(
        getattr(before, field) == getattr(after, field) for field in _OF_THE_LOGIN
    )
    if same:
        return host
    from openclaw_channel_octo.host.gateway.host import GatewayHost  # noqa: PLC0415  # as above

    file = host.sessions.file if isinstance(host, GatewayHost) else None
    other = gateway_from_config(after, clock, file)
    try:
        await other.start()
    except BaseException:  # raised again: a start that fails or is cancelled leaves nothing behind
        await other.stop()
        raise
    return other


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


def gateway_from_config(
    config: GatewayHostConfig, clock: Clock | None = None, successors: "SuccessorFile | None" = None
) -> "GatewayHost":
    """Return the gateway a configuration describes as a host, not yet connected.

    Args:
        config: the ``host`` block.
        clock: time, the machine's own by default.
        successors: the file of sessions where another host of this process has it open.
    """
    from openclaw_channel_octo.host.gateway import approvals  # noqa: PLC0415  # as above
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
    clock, asking = clock or SystemClock(), None
    asks = (approvals.APPROVALS_SCOPE,) if config.approvals else ()
    login = Login(
        scopes=tuple(dict.fromkeys((*(scope for scope in config.scopes if scope != ADMIN_SCOPE), *asks))),
        token=config.token.get_secret_value() if config.token else "",
        password=config.password.get_secret_value() if config.password else "",
        version=version("openclaw-channel-octo"),
    )
    if config.approvals:
        asking = approvals.GatewayApprovals(
            url=config.url,
            login=replace(login, scopes=approvals.SCOPES, caps=approvals.CAPS),
            device=DeviceFile(config.state_dir / APPROVALS_DEVICE_FILE),
            clock=clock,
        )
    return GatewayHost(
        url=config.url,
        login=login,
        device=DeviceFile(config.state_dir / DEVICE_FILE),
        successors=successors or SuccessorFile(config.state_dir / SESSIONS_FILE),
        clock=clock,
        approvals=asking,
    )
