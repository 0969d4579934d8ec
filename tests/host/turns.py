"""Turns as hosts get them."""

from typing import Any

from openclaw_channel_octo.host.base import Sender, Turn


def a_turn(**fields: Any) -> Turn:
    """Return a turn of Ann in a group, with some fields set otherwise."""
    usual: dict[str, Any] = {
        "run_id": "run-1",
        "session_key": "agent:main:octo:group:g1",
        "agent_id": "main",
        "account_id": "helper",
        "channel": "octo",
        "conversation": "group",
        "channel_id": "g1",
        "message_id": "7",
        "sender": Sender(uid="ann"),
        "text": "hello",
    }
    return Turn(**(usual | fields))
