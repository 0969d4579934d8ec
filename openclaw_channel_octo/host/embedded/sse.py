"""Server-sent events, as far as streaming model endpoints use them."""

from openclaw_channel_octo.host.embedded.agents import AgentError

__all__ = ["SseParser", "is_stream"]

_MARK = b"\xef\xbb\xbf"
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_stream(body: bytes) -> bool:
    """Return whether an answer is an event stream, whatever its header says: JSON begins otherwise."""
    return body.removeprefix(_MARK).lstrip(b"\r\n").startswith(_BEGINNINGS)


class SseParser:
    """Turns the bytes of an event stream into the data of its events.

    Args:
        limit: most bytes of one event.
    """

    def __init__(self, limit: int = 1024 * 1024) -> None:
        self._limit = limit
        self._line = bytearray()
        self._begun = False
        self._cut = False
        """Whether the bytes so far end in a carriage return: a newline that follows belongs to it."""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[str]:
        """Return the data of the events that ``data`` completed.

        Raises:
            AgentError: an event is larger than the limit.
        """
        if not data:
            return []
        rest = data.removeprefix(b"\n") if self._cut else data
        self._cut = rest.endswith(b"\r")
        events: list[str] = []
        for line in rest.splitlines(keepends=True):
            self._line += line
            if line.endswith((b"\r", b"\n")):
                events += self._take()
        if len(self._line) + self._size > self._limit:
            raise AgentError(f"an event of the model's stream is larger than {self._limit} bytes")
        return events

    def end(self) -> list[str]:
        """Return what an end of the stream completes: a last event without its blank line."""
        return [*self._take(), *self._take()]

    def _take(self) -> list[str]:
        """Take the line that is complete; return the event that it ends, if it ends one."""
        line = bytes(self._line).rstrip(b"\r\n")
        self._line.clear()
        if not self._begun:
            line, self._begun = line.removeprefix(_MARK), True
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(value) + 1
            return []
        if not self._data:
            return []
        event = b"\n".join(self._data).decode(errors="replace")
        self._data, self._size = [], 0
        return [event]
