"""A lease that every user of a machine sees: the name of a socket (Linux)."""

import asyncio
import errno
import os
import socket
import struct
import sys
from contextlib import ExitStack, suppress
from hashlib import sha256
from weakref import WeakSet

from openclaw_channel_octo.errors import StoreError
from openclaw_channel_octo.runtime.connection.holders import UNKNOWN, process_words

__all__ = ["SocketLease"]

_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}

_held: WeakSet[socket.socket] = WeakSet()
"""The sockets of this process' leases."""


def _close_in_child() -> None:
    """Let a child that is forked without exec keep nothing: a name is taken while any descriptor of it is open."""
    for listening in list(_held):
        listening.close()


os.register_at_fork(after_in_child=_close_in_child)


class SocketLease:
    """A lease in the abstract namespace of Unix sockets, where a name can be bound once.

    It has no file, and so no folder, mode, owner or environment: all processes of a network namespace see it. The
    kernel gives the name back with the process. Children do not inherit it: the descriptor is closed by exec and, in
    Python, by fork.

    All users can list the names. This one is a hash of `name`, which therefore has to hold something nobody can guess.
    Every user can bind a name too, also to keep others from it: who holds it is told by the kernel.

    No method waits: a cancelled `acquire` has taken nothing.

    Args:
        name: what the lease is for; only its hash leaves the process.
    """

    def __init__(self, name: str) -> None:
        self._address = b"\0openclaw-octo/" + sha256(name.encode()).hexdigest().encode()
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def acquire(self) -> bool:
        """Take the lease; return whether it was free.

        Raises:
            StoreError: there can be no such sockets here; retryable where only file descriptors are missing.
        """
        if self._socket is not None:
            return True
        try:
            self._socket = _listening(self._address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            retryable = error.errno in _NO_DESCRIPTORS
            advice = (
                "raise the limit of file descriptors (ulimit -n, LimitNOFILE=; fs.file-max for the machine)"
                if retryable
                else "let this process have Unix sockets (AF_UNIX in RestrictAddressFamilies=)"
            )
            reason = error.strerror or str(error)
            raise StoreError(
                f"no lease for the whole machine ({reason}): {advice}", retryable=retryable
            ) from error
        _held.add(self._socket)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, _turn_away, self._loop, self._socket)
        return True

    async def release(self) -> None:
        """Give the lease back; without effect when it is not held."""
        held, self._socket = self._socket, None
        if held is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(held)
        _held.discard(held)
        held.close()

    def holder(self) -> str:
        """Return the process that holds the lease, as far as the kernel tells."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(0)
            asking.connect(self._address)
            process_id, uid = _peer(asking)
            return process_words(process_id, uid)
        return UNKNOWN


def _listening(address: bytes) -> socket.socket:
    """Return a socket that holds a name and tells who holds it. Raises `OSError`."""
    with ExitStack() as undo:
        made = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        made.settimeout(0)
        made.bind(address)
        made.listen()
        undo.pop_all()
    return made


def _turn_away(loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
    """Close one connection of somebody who looked who holds the lease; enough of them would hide it from others."""
    try:
        visitor, _ = listening.accept()
    except BlockingIOError:
        return
    except OSError:  # no descriptors: trying again would take all of the processor's time
        loop.remove_reader(listening)
    else:
        visitor.close()


def _peer(connected: socket.socket) -> tuple[int, int]:
    """Return the process id and the user of who listens at the other end. Raises `OSError`."""
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    form = "@iII"  # struct ucred
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(form))
    process_id, uid, _ = struct.unpack(form, told)
    return process_id, uid
