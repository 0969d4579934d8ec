"""The states of a connection and every transition between them, the same for client and server."""

from enum import Enum, auto
from types import MappingProxyType

from openclaw_channel_octo.errors import LocalProtocolError

__all__ = ["TRANSITIONS", "ConnectionState", "Step", "advance"]


class ConnectionState(Enum):
    """Where a connection stands."""

    NEW = auto()
    HANDSHAKING = auto()
    READY = auto()
    CLOSED = auto()


class Step(Enum):
    """What moves a connection on."""

    CONNECT = auto()
    """CONNECT was sent or received."""
    ACCEPT = auto()
    """A successful CONNACK was sent or received."""
    END = auto()
    """Refused, kicked, silent, or broken."""


TRANSITIONS = MappingProxyType(
    {
        (ConnectionState.NEW, Step.CONNECT): ConnectionState.HANDSHAKING,
        (ConnectionState.NEW, Step.END): ConnectionState.CLOSED,
        (ConnectionState.HANDSHAKING, Step.ACCEPT): ConnectionState.READY,
        (ConnectionState.HANDSHAKING, Step.END): ConnectionState.CLOSED,
        (ConnectionState.READY, Step.END): ConnectionState.CLOSED,
    }
)
"""Every transition there is; a connection never leaves CLOSED, a reconnect is a new connection."""


def advance(state: ConnectionState, step: Step) -> ConnectionState:
    """Return the state after ``step``. Raises `LocalProtocolError` where the table has no such transition."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise LocalProtocolError(
            f"{step.name} is not possible while the connection is {state.name}"
        ) from None
