"""The pluggy contract between an OpenClaw-style host and its channel plugins (design §6).

Hooks are synchronous, as pluggy is, and only register: what they register has async methods. The project name is
``openclaw``; packages that bring a channel name their plugin module in the entry-point group ``openclaw``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pluggy
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import click

    from openclaw_channel_octo.host.base import AgentHost

__all__ = [
    "PROJECT",
    "Channel",
    "ChannelRegistry",
    "ChannelSpec",
    "hookimpl",
    "hookspec",
    "openclaw_agent_host",
    "openclaw_register_channels",
    "openclaw_register_commands",
]

PROJECT = "openclaw"
"""pluggy's project name, and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Channel(Protocol):
    """A channel made by a plugin: connects accounts of one chat system to a host.

    A channel may offer more than this. That of Octo lends agents' tools what they can do beside answering:
    ``outbound(turn)`` while a turn runs, ``operator_outbound(account_id)`` for jobs nobody in the chat asked for.
    """

    id: str
    """The channel's id, the key of its block under ``channels`` in the configuration."""

    async def start(self, account_id: str, host: AgentHost) -> None:
        """Connect one account and let ``host`` run the turns its messages ask for.

        Returns once the account is on its way; connecting, reconnecting and waiting go on in the background.
        Raises an error with a clear message when the account cannot even be tried.
        """

    async def stop(self) -> object:
        """Stop every account; running turns may end within the channel's drain time."""

    def status(self) -> object:
        """Return how the accounts are, for display."""


class ChannelSpec(Struct, frozen=True):
    """What a plugin registers.

    Attributes:
        id: the channel's id.
        label: its name for people.
        create: makes the channel from the host's whole configuration mapping; imports lazily, raises an error with
            a clear message when the configuration is wrong.
    """

    id: str
    label: str
    create: Callable[[Mapping[str, Any]], Channel]


class ChannelRegistry:
    """Collects the channels of all plugins; a host makes one and hands it to `openclaw_register_channels`."""

    def __init__(self) -> None:
        self._specs: dict[str, ChannelSpec] = {}

    def register(self, spec: ChannelSpec) -> None:
        """Add a channel. Raises `ValueError` when another plugin brings the same id."""
        if spec.id in self._specs:
            raise ValueError(f"two plugins bring the channel {spec.id!r}")
        self._specs[spec.id] = spec

    def __getitem__(self, channel_id: str) -> ChannelSpec:
        """Return a registered channel. Raises `KeyError`."""
        return self._specs[channel_id]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the registered ids."""
        return iter(self._specs)


@hookspec
def openclaw_register_channels(registry: ChannelRegistry) -> None:
    """Bring channels: call ``registry.register(ChannelSpec(...))`` for each.

    Called once, when the host starts; must not import what it can delay until a channel is created.

    Args:
        registry: takes the channels.
    """


@hookspec
def openclaw_register_commands(group: click.Group) -> None:
    """Bring commands for the host's command line: ``group.add_command(...)``.

    Args:
        group: the host's click group.
    """


@hookspec(firstresult=True)
def openclaw_agent_host(config: Mapping[str, Any]) -> AgentHost | None:
    """Offer the agent host; the first plugin that returns one wins.

    Must be a plain function: pluggy would take a coroutine for a result. The host is returned unstarted; whoever
    asked starts and stops it.

    Args:
        config: the host's whole configuration mapping.
    """
