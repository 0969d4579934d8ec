"""The plugin module named in the entry-point group ``openclaw``; imports pluggy and nothing else."""

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from openclaw_channel_octo.hookspecs import Channel, ChannelRegistry
    from openclaw_channel_octo.host.base import AgentHost

__all__ = ["openclaw_agent_host", "openclaw_register_channels", "openclaw_register_commands"]

hookimpl = pluggy.HookimplMarker("openclaw")


@hookimpl
def openclaw_register_channels(registry: "ChannelRegistry") -> None:
    """Register the channel ``octo``."""
    from openclaw_channel_octo.hookspecs import ChannelSpec  # noqa: PLC0415  # a host loads every plugin at start

    registry.register(ChannelSpec(id="octo", label="Octo", create=_create))


@hookimpl
def openclaw_register_commands(group: "click.Group") -> None:
    """Mount the ``octo`` command group."""
    from openclaw_channel_octo.cli.app import main  # noqa: PLC0415  # as above

    group.add_command(main, "octo")


@hookimpl(trylast=True)
def openclaw_agent_host(config: "Mapping[str, Any]") -> "AgentHost | None":
    """Offer the embedded host or a gateway, if the configuration asks for one and no other plugin offers any."""
    if "host" not in config:
        return None
    from pathlib import Path  # noqa: PLC0415  # as above

    from openclaw_channel_octo.config.load import parse_config, parse_host  # noqa: PLC0415  # as above
    from openclaw_channel_octo.host.configure import host_from_config  # noqa: PLC0415  # as above

    own = _own(config)
    if not own["channels"]:
        return host_from_config(parse_host(config, base=Path()))
    parsed = parse_config(own, base=Path(), beside=config).config
    return host_from_config(parsed.host, secrets=parsed.secrets())


def _create(config: "Mapping[str, Any]") -> "Channel":
    from pathlib import Path  # noqa: PLC0415  # as above

    from openclaw_channel_octo.config.load import parse_config  # noqa: PLC0415  # as above
    from openclaw_channel_octo.runtime.channel import OctoChannel  # noqa: PLC0415  # as above

    return OctoChannel(parse_config(_own(config), base=Path()).config)


def _own(config: "Mapping[str, Any]") -> "Mapping[str, Any]":
    """Return what this plugin has to judge of a host's configuration: other channels' blocks are theirs."""
    own = {"host": config["host"]} if "host" in config else {}
    channels = config.get("channels", {})
    if isinstance(channels, dict):
        channels = {name: block for name, block in channels.items() if name == "octo"}
    return {**own, "channels": channels}
