"""The session store: ``sessions.json`` in OpenClaw's file form, worked with in a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from openclaw_channel_octo.batches import Batches
from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.memory import Said, add_all
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_file import Change, SessionFile
from openclaw_channel_octo.host.embedded.transcript import Transcript

__all__ = ["SessionStore"]

BEHIND_S = 5.0
"""Longest time in seconds that a change stands in the log before the file is written; a file that fails is as often
tried again."""

_Job = TypeVar("_Job")
Result = TypeVar("Result")


class _Step(Struct, frozen=True):
    """A change, and what its result has somebody say; see `SessionStore.record`."""

    change: Change
    said: Callable[[Any], Said]


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
        self._make_thread()
        self._opened = False
        self._catching_up: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the folder (mode 0700), read the file; a broken one is set aside and restored from ``.bak``.

        Raises:
            SessionStoreError: the folder cannot be made, or the file cannot be read.
        """
        self._opened = True
        try:
            await self._do(self._file.open)
        except SessionStoreError:
            self._end()
            raise

    async def close(self) -> None:
        """Write the file with all that it does not have yet, and end the thread."""
        if self._opened:
            self._changes.flush()
            self._steps.flush()
            await self._do(self._file.read)
            if self._catching_up is not None:
                self._catching_up.cancel()
            self._end()

    def _make_thread(self) -> None:
        file = self._file
        self._thread = thread = ThreadPoolExecutor(1, thread_name_prefix="octo-sessions")
        self._looks = Batches[str, Entry | None](lambda keys: [*map(file.get, keys)], thread)
        self._changes = Batches[Change, Any](file.change, thread)
        self._steps = Batches[_Step, tuple[Transcript, int | None]](self._record, thread)
        self._works = Batches[Callable[[], Any], Any](lambda works: [work() for work in works], thread)

    def _end(self) -> None:
        self._opened = False
        self._thread.shutdown(wait=False)
        self._make_thread()  # for another `open`; it begins with its first work

    async def get(self, key: str) -> Entry | None:
        """Return a copy of the session's entry, ``None`` without one, ``{}`` for one that is no object."""
        return await self._done(self._looks, key)

    async def update(self, key: str, edit: Callable[[Entry], Result]) -> Result:
        """Change one entry, made where missing, and return what ``edit`` returned.

        Args:
            key: the session key.
            edit: changes the entry in place. Called again when the file changed meanwhile, so it must do
                nothing else.

        Raises:
            Exception: what ``edit`` raised; the entry is as it was.
        """
        changed: Result = await self._done(self._changes, Change(key, edit))
        return changed

    async def record(
        self, key: str, edit: Callable[[Entry], Result], said: Callable[[Result], Said]
    ) -> tuple[Transcript, int | None]:
        """Change one entry as `update` does, and then add a message to a transcript.

        Args:
            key: the session key.
            edit: as in `update`.
            said: gets what ``edit`` returned; tells the message.

        Returns:
            The transcript, and its size in bytes without the message; ``None`` where that could not be added, as a
            warning says then.
        """
        return await self._done(self._steps, _Step(Change(key, edit), said))

    async def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; ``edit`` as in `update`."""
        await self._do(partial(self._file.sweep, edit))

    def _record(self, steps: Sequence[_Step]) -> list[tuple[Transcript, int | None]]:
        results = self._file.change([step.change for step in steps])
        said = [step.said(result) for step, result in zip(steps, results, strict=True)]
        transcripts = (each.transcript for each in said)
        return list(zip(transcripts, add_all(said), strict=True))

    async def _do(self, work: Callable[[], Any]) -> None:
        await self._done(self._works, work)

    async def _done(self, batches: Batches[_Job, Result], job: _Job) -> Result:
        if not self._opened:
            raise SessionStoreError("the session store is not open")
        done = batches.submit(job)
        done.add_done_callback(self._catch_up_later)
        return await asyncio.shield(done)

    def _catch_up_later(self, _done: object) -> None:
        is_due = self._catching_up is None or self._catching_up.done()
        if is_due and self._opened and self._file.is_behind:
            self._catching_up = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        while self._file.is_behind:
            await self._clock.sleep(BEHIND_S)
            await self._do(self._file.read)
