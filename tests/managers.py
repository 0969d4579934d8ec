"""A service manager that listens, as systemd does, and starts nothing."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.until import until

__all__ = ["Heard", "listening_manager"]


class Heard:
    """What a process told, one entry a datagram."""

    def __init__(self, listening: socket.socket, address: str) -> None:
        self._listening = listening
        self.address = address
        self.told: list[list[str]] = []

    def look(self) -> list[str]:
        """Return every line so far."""
        while True:
            try:
                self.told.append(self._listening.recv(65_536).decode().splitlines())
            except BlockingIOError:
                return [line for lines in self.told for line in lines]

    async def until(self, line: str) -> None:
        """Return once a line was told."""
        await until(lambda: line in self.look(), lambda: f"{line} among {self.told}")


@contextmanager
def listening_manager(path: Path) -> Iterator[Heard]:
    """Listen where a process is told to by NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(0)
        yield Heard(listening, str(path))
