"""The end of a text that is too long to be shown."""

from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.message.text import code_spans

__all__ = ["tail"]

_FENCES = ("```", "~~~")
_FENCE_UNITS = len("```\n" + "\n```")
_SHORTEST = 50
"""Units below which an end says nothing."""


def tail(text: str, limit: int, after: int = 0) -> str:
    """Return the end of a text as one message, from the beginning of a line or word on where one is near.

    Args:
        text: Markdown; a code fence that is open where the end begins is opened again.
        limit: longest message in UTF-16 units; below 50 there is none.
        after: characters at the beginning that are no part of it.
    """
    if limit < _SHORTEST:
        return ""
    units = text[max(after, len(text) - limit) :].encode("utf-16-le", "surrogatepass")
    end = units[-2 * (limit - _FENCE_UNITS) :].decode("utf-16-le", "ignore")
    if len(end) < len(text) - after:
        places = (end.find(sign, 0, len(end) // 2) for sign in "\n ")
        end = end[next((place + 1 for place in places if place >= 0), 0) :]
    start = len(text) - len(end)
    fenced = any(begin < start < stop and text.startswith(_FENCES, begin) for begin, stop in code_spans(text))
    return "".join(split_reply(f"```\n{end}" if fenced else end, limit)[:1])
