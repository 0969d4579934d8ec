"""Server-sent events, as far as streaming model endpoints use them."""

from openclaw_channel_octo.host.embedded.agents import AgentError

__all__ = ["SseParser"]


class SseParser:
    """Turns the bytes of an event stream into the data of its events.

    Args:
        limit: most bytes of one event.
    """

    def __init__(self, limit: int = 1024 * 1024) -> None:
        self._limit = limit
        self._buffer = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[str]:
        """Return the data of the events that ``data`` completed.

        Raises:
            AgentError: an event is larger than the limit.
        """
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events = [event for line in lines if (event := self._take(line)) is not None]
        if len(self._buffer) + self._size > self._limit:
            raise AgentError(f"an event of the model's stream is larger than {self._limit} bytes")
        return events

    def end(self) -> list[str]:
        """Return what an end of the stream completes: a last event without its blank line."""
        line, self._buffer = self._buffer, b""
        return [event for part in (line, b"") if (event := self._take(part)) is not None]

    def _take(self, line: bytes) -> str | None:
        line = line.removesuffix(b"\r")
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
                self._size += len(value)
            return None
        if not self._data:
            return None
        event = b"\n".join(self._data).decode(errors="replace")
        self._data, self._size = [], 0
        return event
