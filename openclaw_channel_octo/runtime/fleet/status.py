"""How a channel is, at a glance."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus
from openclaw_channel_octo.runtime.fleet.changes import Reloads
from openclaw_channel_octo.runtime.turn.runs import ActiveRun

__all__ = ["ChannelStatus"]


class ChannelStatus(Struct, frozen=True, kw_only=True):
    """How the channel's bots are.

    Attributes:
        bots: connection state by account id.
        turns: runs under way, by session key.
        lanes: messages whose run has not begun, by session key.
        failing: background jobs whose last try ended by an unexpected error, by account id and role; each is
            tried again.
        trouble: why the journal waits, empty when it does not.
        unsent: since when the API fails for a message that waits to be sent, Unix milliseconds by session key.
        reloads: how often the configuration was read again.
    """

    bots: Mapping[str, ConnectionStatus]
    turns: Mapping[str, ActiveRun]
    lanes: Mapping[str, int]
    failing: Mapping[str, Mapping[str, str]]
    trouble: str
    unsent: Mapping[str, int] = MappingProxyType({})
    reloads: Reloads = Reloads()
