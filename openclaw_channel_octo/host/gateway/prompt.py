"""What an agent behind a gateway is told: the message, who wrote it, and where (openclaw-host §4.8)."""

from openclaw_channel_octo.host.base import MediaItem, Turn
from openclaw_channel_octo.message.marks import explanation, marked
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
    files = "\n".join(_file(item, turn.mark) for item in turn.media if _url(item) not in turn.text)
    if turn.conversation != "direct":
        asked = f"{marked(_sender(turn), turn.mark)} {indented(asked)}"
        told = ""  # in the system prompt
    else:
        told = explanation(turn.mark, turn.context, asked, files)
    return "\n\n".join(part for part in (told, turn.context, asked, files) if part)


def system_prompt_of(turn: Turn) -> str:
    """Return what an agent has to know about a group or thread to read its messages."""
    facts = (
        f"You take part in a {turn.conversation} of the team chat Octo (id {turn.channel_id}). "
        "Several people write here; each message begins with its sender in square brackets. "
        "Your answer is posted there as it is: do not use a messaging tool for it."
    )
    told = explanation(turn.mark, turn.mark)
    return "\n\n".join(part for part in (facts, told, turn.notes) if part)


def _sender(turn: Turn) -> str:
    """Return the sender as one line that nobody's chosen name can break out of."""
    name, uid = label(turn.sender.name, _LONGEST_NAME), label(turn.sender.uid)
    return f"{name} ({uid})" if name else uid


def _file(item: MediaItem, mark: str) -> str:
    name = label(item.name)
    return marked(f"{item.kind}{f' {name}' if name else ''}: {_url(item)}", mark)


def _url(item: MediaItem) -> str:
    return url_text(item.url, _LONGEST_URL)
