"""What a gateway's own recovery has said in a session after a crash."""

from collections.abc import Mapping, Sequence

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import HostUnavailable
from openclaw_channel_octo.host.gateway import outcome
from openclaw_channel_octo.host.gateway.connection import GatewayConnection

__all__ = ["resumed_in"]

CONNECTED_WITHIN_S = 10.0
"""How long a gateway that has just spoken is waited for: bots reconnect within 3 s of its readiness."""

HISTORY_LIMIT = 50


async def resumed_in(
    session_key: str, connection: GatewayConnection, clock: Clock
) -> Mapping[str, Sequence[str]]:
    """Return what recovered runs have said in a session of the gateway; see `host.base.ResumesRuns`.

    Args:
        session_key: as the gateway knows it.
        connection: to the gateway; a connection that is lost at the moment is waited for.
        clock: time.

    Raises:
        HostError: the gateway cannot be asked.
    """
    try:
        await within(clock, CONNECTED_WITHIN_S, connection.ready())
    except TimeoutError:
        raise HostUnavailable("there is no connection to the gateway") from None
    history = await connection.call("chat.history", {"sessionKey": session_key, "limit": HISTORY_LIMIT})
    messages = history.get("messages")
    return outcome.resumed(messages if isinstance(messages, list) else ())
