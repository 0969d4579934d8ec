"""The session store: ``sessions.json`` in OpenClaw's file form, worked with in a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_file import SessionFile

__all__ = ["SessionStore"]

Result = TypeVar("Result")


class SessionStore:
    """Session entries by session key, kept in one JSON file.

    Keys match exactly first, then without regard to case, then by an entry's own ``sessionKey`` field.
    Edits made by hand while this runs win. When the file cannot be written, changes are kept in memory,
    said so once in the log, and written with the next call that can.

    Calls are carried out one after the other in a thread of the store's own; a cancelled call still happens.

    Args:
        path: ``sessions.json``; ``.lock``, ``.bak``, ``.tmp`` and ``.broken-<ms>`` appear beside it.
        clock: names files that are set aside; the machine's clock when ``None``.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._file = SessionFile(path, clock or SystemClock())
        self._thread: ThreadPoolExecutor | None = None

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
        """Write what could not be written yet, and end the thread."""
        if self._thread is not None:
            await self._do(self._file.read)
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
        """
        return await self._do(partial(self._file.update, key, edit))

    async def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; ``edit`` as in `update`."""
        await self._do(partial(self._file.sweep, edit))

    async def _do(self, work: Callable[[], Result]) -> Result:
        if self._thread is None:
            raise SessionStoreError("the session store is not open")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
