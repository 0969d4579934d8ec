"""What an agent reads of a message, as one text: what a program gets on its standard input."""

from collections.abc import Iterable

from openclaw_channel_octo.message.marks import explanation, marked
from openclaw_channel_octo.message.text import label

__all__ = ["file_line", "reading_text"]


def reading_text(mark: str, notes: str, context: str, text: str, files: Iterable[str] = ()) -> str:
    """Return everything an agent is told, empty lines between its parts.

    Args:
        mark: of the lines of the channel, which the first line then explains.
        notes: who is there, and what the conversation keeps for the agent.
        context: what was said before.
        text: what the message says.
        files: of `file_line`.
    """
    parts = (notes, context, text, "\n".join(files))
    return "\n\n".join(part for part in (explanation(mark, *parts), *parts) if part)


def file_line(mark: str, kind: str, name: str, path: object) -> str:
    """Return where a file lies, in words for an agent that can look at files.

    Args:
        mark: of the lines of the channel.
        kind: what it is, such as ``image``.
        name: its sender's name for it, may be empty.
        path: where it lies.
    """
    return marked(f"{kind} {label(name)}".rstrip() + f": {path}", mark)
