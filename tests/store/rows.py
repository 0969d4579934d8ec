"""Messages as the inbox records them."""

from typing import Any

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.records import NewInbound
from openclaw_channel_octo.store.states import RowState

__all__ = ["GROUP", "inbound"]

GROUP = ChannelRef("g1", 2)


def inbound(message_id: str, state: RowState = RowState.RECEIVED, **fields: Any) -> NewInbound:
    """Return a message of Ann in a group, by an app that numbers it anew, with some fields set otherwise."""
    usual: dict[str, Any] = {
        "account": "bot",
        "message_seq": 1,
        "client_msg_no": f"c{message_id}",
        "from_uid": "ann",
        "channel": GROUP,
        "timestamp": 1,
        "payload": b'{"type":1}',
        "decision": "turn",
        "reason": "uid",
        "session_key": "k",
        "trace": "t",
    }
    return NewInbound(message_id=message_id, state=state, **(usual | fields))
