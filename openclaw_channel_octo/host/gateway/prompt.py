"""What an agent behind a gateway is told: the message, who wrote it, and where (openclaw-host §4.8)."""

from openclaw_channel_octo.host.base import MediaItem, Turn
from openclaw_channel_octo.message.text import indented, label, url_text

__all__ = ["question_of", "system_prompt_of"]

_LONGEST_NAME = 64
_LONGEST_URL = 2_048


def question_of(turn: Turn) -> str:
    """Return the text of the run.

    In groups it begins with who wrote it: to a gateway, every message comes from this client. Its further lines are
    set in there, so that none of them can pass for somebody else's message.
    """
    asked = turn.text or "(no text)"
    if turn.conversation != "direct":
        asked = f"[{_sender(turn)}] {indented(asked)}"
    files = "\n".join(_file(item) for item in turn.media if _url(item) not in turn.text)
    return "\n\n".join(part for part in (turn.context, asked, files) if part)


def system_prompt_of(turn: Turn) -> str:
    """Return what an agent has to know about a group or thread to read its messages."""
    facts = (
        f"You take part in a {turn.conversation} of the team chat Octo (id {turn.channel_id}). "
        "Several people write here; each message begins with its sender in square brackets. "
        "Your answer is posted there as it is: do not use a messaging tool for it."
    )
    return f"{facts}\n\n{turn.notes}" if turn.notes else facts


def _sender(turn: Turn) -> str:
    """Return the sender as one line that nobody's chosen name can break out of."""
    name, uid = label(turn.sender.name, _LONGEST_NAME), label(turn.sender.uid)
    return f"{name} ({uid})" if name else uid


def _file(item: MediaItem) -> str:
    name = label(item.name)
    return f"[{item.kind}{f' {name}' if name else ''}: {_url(item)}]"


def _url(item: MediaItem) -> str:
    return url_text(item.url, _LONGEST_URL)
