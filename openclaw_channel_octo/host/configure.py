"""From configuration to the host it asks for."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.model import EmbeddedHostConfig, GatewayHostConfig
from openclaw_channel_octo.host.base import AgentHost

if TYPE_CHECKING:
    from openclaw_channel_octo.host.gateway.host import GatewayHost

__all__ = ["DEVICE_FILE", "gateway_from_config", "host_from_config"]

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
    from openclaw_channel_octo.host.embedded.configure import from_config  # noqa: PLC0415  # what is asked for only

    return from_config(config, clock, secrets=secrets)


def gateway_from_config(config: GatewayHostConfig, clock: Clock | None = None) -> "GatewayHost":
    """Return the gateway a configuration describes as a host, not yet connected."""
    from openclaw_channel_octo.host.gateway.host import GatewayHost  # noqa: PLC0415  # what is asked for only
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
