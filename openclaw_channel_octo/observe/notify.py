"""What a process tells its service manager: systemd's notification protocol, sd_notify(3)."""

import os
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Self

from openclaw_channel_octo.clock import Clock

__all__ = ["ALIVE", "CLOSING_S", "READY", "ServiceManager"]

ALIVE = "WATCHDOG=1"
READY = "READY=1"

CLOSING_S = 30.0
"""How long a stop may take besides the drain, in seconds, before a service manager ends the process."""

LONGEST_WAIT_S = 5.0
"""Longest time between two looks at what there is to tell."""


class ServiceManager:
    """Takes lines such as ``READY=1``; nobody where the process was not started by a service manager.

    No method waits or fails: a manager that does not read is told again by whoever tells it regularly.

    Attributes:
        owes_ready: whether `READY` is still to be told: at the start, and where it was lost after a reload.

    Args:
        address: path of the manager's socket, ``@`` first for an abstract one; empty for nobody.
        watchdog_s: seconds within which the manager wants to hear `ALIVE`; 0 where it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = address
        self._has_begun = False
        self.owes_ready = True
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(cls, env: MutableMapping[str, str] = os.environ) -> Self:
        """Return the manager that started this process, and take its variables out of the environment.

        Programs that are started from here must not speak for this process.
        """
        address, watchdog, pid = (
            env.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        if not address.startswith(("/", "@")):
            return cls()
        is_watched = watchdog.isdecimal() and pid in {"", str(os.getpid())}
        return cls(address, int(watchdog) / 1e6 if is_watched else 0.0)

    @property
    def listens(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._address)

    @property
    def every_s(self) -> float:
        """How often it is to be told that the process lives, in seconds: three times within the watchdog's time."""
        return min(LONGEST_WAIT_S, self.watchdog_s / 3) if self.watchdog_s else LONGEST_WAIT_S

    def tell(self, *lines: str) -> bool:
        """Send assignments, all in one datagram; return whether they were taken."""
        if not self._address:
            return False
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.settimeout(0)  # a manager that does not read is not waited for
                sending.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        if READY in lines:
            self._has_begun, self.owes_ready = True, False
        return True

    def stopping(self, status: str, within_s: float) -> None:
        """Tell that the process stops, in words and with the seconds it may take at most."""
        self.tell("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}")

    @contextmanager
    def reloading(self, clock: Clock) -> Iterator[None]:
        """Tell that the configuration is read again meanwhile; the process counts as ready afterwards.

        Nothing is told during a start, which ends with `READY` anyway. Works with ``Type=notify`` and
        ``Type=notify-reload``.

        Args:
            clock: the machine's monotonic clock.
        """
        if not self._has_begun:
            yield
            return
        self.owes_ready = False  # until the reload has ended
        self.tell("RELOADING=1", f"MONOTONIC_USEC={int(clock.now() * 1e6)}")
        try:
            yield
        finally:
            self.owes_ready = not self.tell(READY)
