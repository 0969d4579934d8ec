"""The session store: ``sessions.json`` in OpenClaw's file form (openclaw-host §2.1, §2.2, §2.5).

Over 350 lines: one file form with its lock, backup, cache and repair.
"""

import asyncio
import copy
import errno
import logging
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.content import (
    Content,
    dump_content,
    entry_text,
    find,
    folded_names,
    parse_content,
)
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.files import (
    Stamp,
    close_file,
    private_folder,
    read_stamped,
    replace_file,
    stamp_of,
)
from openclaw_channel_octo.host.locks import locked

__all__ = ["SessionStore"]

logger = logging.getLogger(__name__)

LOCK_WAIT_S = 5.0
"""Longest wait for another writer of the file."""

EDIT_RETRIES = 10
"""How often a change is built anew because the file was edited meanwhile."""

SETTLE_READS = 5
"""How often an empty or broken file is read again: an editor may be in the middle of saving it."""

SETTLE_PAUSE_S = 0.01

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
        self._file = _SessionFile(path, clock or SystemClock())
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

    async def all(self) -> dict[str, Entry]:
        """Return copies of all entries by key; one that is no object comes as ``{}``."""
        return await self._do(self._file.all)

    async def update(self, key: str, edit: Callable[[Entry], Result]) -> Result:
        """Change one entry, made where missing, and return what ``edit`` returned.

        Args:
            key: the session key.
            edit: changes the entry in place. Called again when the file changed meanwhile, so it must do
                nothing else.
        """
        return await self._do(partial(self._file.transact, partial(_edit_one, key=key, edit=edit)))

    async def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; ``edit`` as in `update`."""
        await self._do(partial(self._file.transact, partial(_edit_each, edit=edit)))

    async def _do(self, work: Callable[[], Result]) -> Result:
        if self._thread is None:
            raise SessionStoreError("the session store is not open")
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))


def _edit_one(content: Content, *, key: str, edit: Callable[[Entry], Result]) -> Result:
    name = find(content, key) or key
    current = content.get(name)
    entry = copy.deepcopy(current) if isinstance(current, dict) else {}
    before = copy.deepcopy(entry)
    result = edit(entry)
    if entry != before:
        content[name] = entry
    return result


def _edit_each(content: Content, *, edit: Callable[[Entry], None]) -> None:
    for name, current in content.items():
        if isinstance(current, dict):
            entry = copy.deepcopy(current)
            edit(entry)
            content[name] = entry


def _no_change(_content: Content) -> None:
    """Write what is pending, nothing new."""


class _BrokenFileError(Exception):
    """The file holds something else than sessions."""

    def __init__(self, stamp: Stamp, problem: str) -> None:
        super().__init__(problem)
        self.stamp = stamp


class _EditedError(Exception):
    """The file changed between reading and replacing it."""


class _SessionFile:
    """The file itself: blocking, used by one thread."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")
        self._backup = path.with_name(f"{path.name}.bak")
        self._clock = clock
        self._disk: Content = {}
        self._texts: dict[str, tuple[object, bytes]] = {}
        self._names: dict[str, str] = {}
        self._names_of: Content = self._disk
        self._pending: Content = {}
        self._stamp: Stamp | None = None
        self._opened = False
        self._failing = False

    def open(self) -> None:
        try:
            private_folder(self._path.parent)
            for file in (Path(os.path.realpath(self._path)), self._backup):
                close_file(file)
            self._refresh()
        except _BrokenFileError:
            self._disk = self._read_backup()
            self.transact(_no_change)
        except OSError as error:
            raise SessionStoreError(
                f"{error.filename or self._path} cannot be used ({error.strerror}): "
                "make it readable and writable for this user, or choose another host.stateDir"
            ) from error
        self._opened = True

    def get(self, key: str) -> Entry | None:
        """Return a copy of one entry; costs the same however many there are."""
        self._settle()
        if key in self._pending or key in self._disk:
            name: str | None = key
        else:
            name = find(self._pending, key) or self._named(key.casefold())
        if name is None:
            return None
        entry = self._pending[name] if name in self._pending else self._disk[name]
        return copy.deepcopy(entry) if isinstance(entry, dict) else {}

    def _named(self, folded: str) -> str | None:
        """Return under which name the file has a key that it does not have as it was asked for."""
        if self._names_of is not self._disk:
            self._names, self._names_of = folded_names(self._disk), self._disk
        return self._names.get(folded)

    def all(self) -> dict[str, Entry]:
        content = self.read()
        return {
            key: copy.deepcopy(entry) if isinstance(entry, dict) else {} for key, entry in content.items()
        }

    def read(self) -> Content:
        """Return the current content, after writing what is pending."""
        self._settle()
        return self._view()

    def _settle(self) -> None:
        """Take over what somebody else wrote, and write what is pending."""
        try:
            self._refresh()
            settled = not self._pending
        except (_BrokenFileError, OSError):
            settled = False
        if not settled:
            self.transact(_no_change)

    def transact(self, change: Callable[[Content], Result]) -> Result:
        """Apply ``change``, which replaces entries and never alters one in place, and write the file."""
        try:
            private_folder(self._path.parent)
            with locked(self._lock, LOCK_WAIT_S):
                return self._commit(change)
        except OSError as error:
            return self._keep_in_memory(change, error)

    def _commit(self, change: Callable[[Content], Result]) -> Result:
        for _ in range(EDIT_RETRIES):
            try:
                self._refresh_or_restore()
                content = self._view()
                result = change(content)
                if self._pending or self._changes(content):
                    self._write(content)
            except _EditedError:
                continue
            return result
        raise OSError(errno.EBUSY, "edited again and again by somebody else", str(self._path))

    def _keep_in_memory(self, change: Callable[[Content], Result], error: OSError) -> Result:
        content = self._view()
        result = change(content)
        self._pending |= self._changes(content)
        if not self._failing:
            self._failing = True
            logger.error(
                "%s cannot be used (%s): session states are kept in memory and written once it works again; "
                "free space or make the file and its folder writable",
                error.filename or self._path,
                error.strerror or type(error).__name__,
            )
        return result

    def _view(self) -> Content:
        return {**self._disk, **self._pending}

    def _changes(self, content: Content) -> Content:
        before = self._view()
        return {
            key: entry
            for key, entry in content.items()
            if key not in before or (before[key] is not entry and before[key] != entry)
        }

    def _refresh(self) -> None:
        """Take over what somebody else wrote; of two changes to one entry the one on disk wins."""
        if stamp_of(self._path) == self._stamp:
            return
        self._stamp, content = self._load()
        self._pending = {
            key: entry for key, entry in self._pending.items() if content.get(key) == self._disk.get(key)
        }
        self._disk = content

    def _load(self) -> tuple[Stamp | None, Content]:
        problem = ""
        stamp: Stamp | None = None
        for attempt in range(SETTLE_READS if self._opened else 1):
            if attempt:
                time.sleep(SETTLE_PAUSE_S)
            stamp, raw = read_stamped(self._path)
            if stamp is None:
                return None, {}
            try:
                if raw.strip():
                    return stamp, parse_content(raw)
                problem = ""
            except ValueError as error:
                problem = str(error)
        if stamp is not None and problem:
            raise _BrokenFileError(stamp, problem)
        logger.warning("%s is empty: there are no sessions", self._path)
        return stamp, {}

    def _read_backup(self) -> Content:
        try:
            return parse_content(read_stamped(self._backup)[1] or b"{}")
        except (ValueError, OSError) as error:
            logger.error("%s cannot be used either: %s", self._backup, error)  # noqa: TRY400  # no stack to look at
            return {}

    def _refresh_or_restore(self) -> None:
        """Refresh; a broken file is kept under another name and the last good content takes its place."""
        try:
            self._refresh()
        except _BrokenFileError as broken:
            aside, known = self._copy_aside(), self._stamp
            self._stamp = broken.stamp
            content = self._view()
            try:
                self._write(content)
            except BaseException:
                self._stamp = known  # broken it stays, and is looked at again
                aside.unlink()
                raise
            logger.error(  # noqa: TRY400  # no stack to look at
                "%s is no session store (%s): moved to %s, going on with the last good content (%d sessions)",
                self._path,
                broken,
                aside.name,
                len(content),
            )

    def _copy_aside(self) -> Path:
        number = self._clock.wall_ms()
        while (aside := self._path.with_name(f"{self._path.name}.broken-{number}")).exists():
            number += 1
        try:
            aside.hardlink_to(os.path.realpath(self._path))
        except OSError:
            replace_file(aside, self._path.read_bytes())
        return aside

    def _write(self, content: Content) -> None:
        data = self._serialized(content)
        self._require_writable()
        replace_file(self._backup, data)
        self._stamp = replace_file(self._path, data, before_rename=self._require_unedited)
        self._disk, self._pending = content, {}
        if self._failing:
            self._failing = False
            logger.info("%s is written again", self._path)

    def _serialized(self, content: Content) -> bytes:
        """Return the file's bytes; an entry that is the same object as at the last writing keeps its text."""
        texts = self._texts
        self._texts = {
            name: known
            if (known := texts.get(name)) and known[0] is entry
            else (entry, entry_text(name, entry))
            for name, entry in content.items()
        }
        return dump_content({name: text for name, (_, text) in self._texts.items()})

    def _require_writable(self) -> None:
        if self._path.exists() and not self._path.stat().st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, "marked read-only", str(self._path))

    def _require_unedited(self) -> None:
        if stamp_of(self._path) != self._stamp:
            raise _EditedError
