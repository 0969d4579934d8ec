"""The grammar of session keys (openclaw-host §2.4)."""

from openclaw_channel_octo.ids import ChannelRef, ChannelType

__all__ = ["conversation_kind", "is_main", "kind_of", "session_key"]

CHANNEL = "octo"


def conversation_kind(channel: ChannelRef) -> str:
    """Return ``direct``, ``group`` or ``thread`` for a chat channel."""
    if channel.type == ChannelType.PERSON:
        return "direct"
    return "thread" if channel.type == ChannelType.THREAD else "group"


def session_key(agent_id: str, channel: ChannelRef) -> str:
    """Return the key of the conversation's session in the host.

    Args:
        agent_id: the agent that answers here; lower-cased, as hosts do.
        channel: the conversation. For a direct message ``channel.id`` is the peer's bare uid.

    Groups and threads keep the case of their id, a direct peer is lower-cased. Ids are never parsed back
    out of a key.
    """
    if channel.type == ChannelType.PERSON:
        return f"agent:{agent_id.lower()}:{CHANNEL}:direct:{channel.id.lower()}"
    return f"agent:{agent_id.lower()}:{CHANNEL}:group:{channel.id}"


def is_main(key: str) -> bool:
    """Return whether a key is an agent's main session, which several conversations may share."""
    kind, _, rest = key.lower().partition(":")
    return kind == "agent" and rest.endswith(":main") and rest.count(":") == 1


def kind_of(key: str) -> str:
    """Return ``direct`` or ``group`` for a session key that is all somebody knows; threads count as groups."""
    return "direct" if ":direct:" in key.lower() else "group"
