"""Which agent and which session a conversation belongs to."""

from dataclasses import dataclass

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.session.key import session_key

__all__ = ["Route", "Routing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a conversation's messages go.

    Attributes:
        agent_id: the agent that answers.
        session_key: the session in the host.
    """

    agent_id: str
    session_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Placeholder."""

    default_agent: str = "main"
    dm_scope: str = "main"

    def route(self, account_id: str, channel: ChannelRef) -> Route:  # noqa: ARG002
        """Return the route."""
        return Route(agent_id=self.default_agent, session_key=session_key(self.default_agent, channel))
