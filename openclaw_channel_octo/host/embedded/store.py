"""The session store: ``sessions.json`` in OpenClaw's file form, worked with in a thread of its own."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_file import Change, SessionFile

__all__ = ["SessionStore"]

BEHIND_S = 5.0
"""Longest time in seconds that a change stands in the log before the file is written; a file that fails is as often
tried again."""

Result = TypeVar("Result")


class SessionStore:
    """Session entries by session key, kept in one JSON file.

    Keys match exactly first, then without regard to case, then by an entry's own ``sessionKey`` field.
    Edits made by hand while this runs win. When the file cannot be written, changes are kept in memory,
    said so once in the log, and written with the next call that can.

    Calls are carried out one after the other in a thread of the store's own, changes that wait for it together; a
    cancelled call still happens. What a call changed is on the disk when it returns: in the file, or where that is
    large, in its log. The file is then written up to `BEHIND_S` later.

    Args:
        path: ``sessions.json``; ``.lock``, ``.log``, ``.bak``, ``.tmp`` and ``.broken-<ms>`` appear beside it.
        clock: names files that are set aside, and times the writing; the machine's clock when ``None``.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._file = SessionFile(path, self._clock)
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Change[Any]] = deque()
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the folder (mode 0700), read the file; a broken one is set aside and restored from ``.bak``.

        Raises:
            SessionStoreError: the folder cannot be made, or the file cannot be read.
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octo-sessions")
        try:
            await self._do(self._file.open)
        except SessionStoreError:
            self._thread.shutdown(wait=False)
            self._thread = None
            raise

    async def close(self) -> None:
        """Write the file with all that it does not have yet, and end the thread."""
        if self._thread is not None:
            await self._do(self._file.read)
            if self._catching_up is not None:
                self._catching_up.cancel()
            self._thread.shutdown(wait=False)
            self._thread = None

    async def get(self, key: str) -> Entry | None:
        """Return a copy of the session's entry, ``None`` without one, ``{}`` for one that is no object."""
        return await self._do(partial(self._file.get, key))

    async def update(self, key: str, edit: Callable[[Entry], Result]) -> Result:
        """Change one entry, made where missing, and return what ``edit`` returned.

        Args:
            key: the session key.
            edit: changes the entry in place. Called again when the file changed meanwhile, so it must do
                nothing else.

        Raises:
            Exception: what ``edit`` raised; the entry is as it was.
        """
        change = Change(key, edit)
        self._waiting.append(change)
        await self._do(self._change_waiting)
        return change.result()

    async def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; ``edit`` as in `update`."""
        await self._do(partial(self._file.sweep, edit))

    def _change_waiting(self) -> None:
        changes = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if changes:
            self._file.change(changes)

    async def _do(self, work: Callable[[], Result]) -> Result:
        if self._thread is None:
            raise SessionStoreError("the session store is not open")
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done.add_done_callback(self._catch_up_later)
        return await asyncio.shield(done)

    def _catch_up_later(self, _done: object) -> None:
        is_due = self._catching_up is None or self._catching_up.done()
        if is_due and self._thread is not None and self._file.is_behind:
            self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._file.is_behind:
            await self._clock.sleep(BEHIND_S)
            await self._do(self._file.read)
