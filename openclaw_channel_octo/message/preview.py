"""The beginning of an answer that is still being written, as people may see it."""

import re

from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.message.medialines import named_files
from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.message.text import has_content, well_formed
from openclaw_channel_octo.message.thinking import ThinkingFilter

__all__ = ["preview"]

_LOOKED_AT = 4
"""How many times as much is looked at as is shown: what is taken out makes room."""

_UNFINISHED = re.compile(r"[!-~\uff01-\uff5e]+\Z")
"""The last word, which may go on; Chinese text has no words of that kind."""

_MEDIA_LINE = re.compile(r"[^\w\n]*(?:\d{1,9}[.)]\s*)?[^\w\n]*MEDIA\b[^\n]*\Z")
"""A last line that is about to name a file."""

_STEERING = re.compile(r"[\x00-\x08\x0d-\x1f\x7f]")
"""Characters for a terminal."""


def preview(written: str, mark: str, limit: int) -> str:
    """Return what can be shown of a text that may go on, empty where that is nothing.

    What is left out of answers is left out, and so is an end that may become such: thinking, lines that name files,
    the words of an agent that chooses to say nothing, a word that is not finished.

    Args:
        written: the text so far, where its host has left thinking out: before the end nobody can tell for certain.
        mark: of what the agent reads, see `message.marks`.
        limit: most UTF-16 units.
    """
    text = written[: limit * _LOOKED_AT]
    if _STEERING.search(text):
        from openclaw_channel_octo.message.terminal import screen_text  # noqa: PLC0415  # few programs steer one

        text = screen_text(text)
    thinking = ThinkingFilter()
    text = thinking.feed(text) + thinking.end()
    text = _UNFINISHED.sub("", unmarked(text, mark))
    if text.lstrip().startswith("{"):  # maybe the envelope of an agent that says nothing
        return ""
    first, newline, last = text.rpartition("\n")
    text = first + newline + _MEDIA_LINE.sub("", last)
    text = without_silence(named_files(well_formed(text)).text).text.strip()
    if not has_content(text):
        return ""
    parts = split_reply(text, limit)
    return f"{parts[0]}\n…" if len(parts) > 1 else parts[0]
