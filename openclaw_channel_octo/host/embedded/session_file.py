"""``sessions.json`` itself: read with care, searched by key, written entry by entry (openclaw-host §2.1, §2.2, §2.5).

Over 350 lines: one file form with its lock, backup, cache and repair.
"""

import copy
import errno
import logging
import os
import stat
import time
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.embedded.session_content import (
    Content,
    Stamp,
    dump_content,
    entry_text,
    folded_names,
    parse_content,
    read_stamped,
    stamp_from,
    stamp_of,
)
from openclaw_channel_octo.host.embedded.session_log import SessionLog
from openclaw_channel_octo.host.files import close_file, private_folder, replace_file
from openclaw_channel_octo.host.locks import locked

__all__ = ["Change", "SessionFile"]

logger = logging.getLogger(__name__)

SMALL_BYTES = 64 * 1024
"""Size up to which the file is written with each change: some 200 sessions."""

LOCK_WAIT_S = 5.0
"""Longest wait for another writer of the file."""

EDIT_RETRIES = 10
"""How often a change is built anew because the file was edited meanwhile."""

SETTLE_READS = 5
"""How often an empty or broken file is read again: an editor may be in the middle of saving it."""

SETTLE_PAUSE_S = 0.01


class Change(Struct, frozen=True):
    """A change of one session's entry, in place; see `SessionStore.update`."""

    key: str
    edit: Callable[[Entry], Any]


class _BrokenFileError(Exception):
    """The file holds something else than sessions."""

    def __init__(self, stamp: Stamp, problem: str) -> None:
        super().__init__(problem)
        self.stamp = stamp


class _EditedError(Exception):
    """The file changed between reading and replacing it."""


class SessionFile:
    """The session store's file: blocking, used by one thread; what it promises stands at `SessionStore`.

    Args:
        path: ``sessions.json``.
        clock: names files that are set aside.

    Attributes:
        is_behind: whether there were changes that the file has not got yet.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")
        self._backup = path.with_name(f"{path.name}.bak")
        self._log = SessionLog(path)
        self._clock = clock
        self._disk: Content = {}
        self._pending: Content = {}
        self._texts: dict[str, tuple[object, bytes]] = {}
        self._names: dict[str, str] | None = None
        self._stamp: Stamp | None = None
        self._opened = False
        self._failing = False
        self.is_behind = False

    def open(self) -> None:
        """Make the folder, read the file and its log; what is broken is set aside. Raises `SessionStoreError`."""
        try:
            private_folder(self._path.parent)
            for file in (Path(os.path.realpath(self._path)), self._backup):
                close_file(file)
            is_broken = not self._read_or_backup()
        except OSError as error:
            raise SessionStoreError(
                f"{error.filename or self._path} cannot be used ({error.strerror}): "
                "make it readable and writable for this user, or choose another host.stateDir"
            ) from error
        self._pending = self._log.recover(self._disk, self._clock.wall_ms()) | self._pending
        self.is_behind = bool(self._pending)
        if is_broken or self.is_behind:
            self._transact(_nothing, whole=True)
        else:
            self._log.clear()
        self._opened = True

    def _read_or_backup(self) -> bool:
        """Read the file, or its backup where it is broken; return whether it was not. Raises `OSError`."""
        try:
            self._refresh()
        except _BrokenFileError:
            self._names = None
            try:
                self._disk = parse_content(read_stamped(self._backup)[1] or b"{}")
            except (ValueError, OSError) as error:
                logger.error("%s cannot be used either: %s", self._backup, error)  # noqa: TRY400  # no stack to look at
            return False
        return True

    def get(self, key: str) -> Entry | None:
        """Return a copy of one entry; costs the same however many there are."""
        self._settle(whole=self._failing)
        content = ChainMap(self._pending, self._disk)
        name = self._name(key, content)
        if name is None:
            return None
        entry = content[name]
        return copy.deepcopy(entry) if isinstance(entry, dict) else {}

    def read(self) -> Content:
        """Return the current content, after writing what is pending."""
        self._settle(whole=True)
        return self._content()

    def change(self, changes: Sequence[Change]) -> list[Any]:
        """Make changes, one after the other, write them together, and return what each returned.

        Where one raises, that comes through, and nothing has changed.
        """
        results: list[Any] = []

        def make(new: Content) -> None:
            results.clear()
            content = ChainMap(new, self._pending, self._disk)
            for change in changes:
                name = self._name(change.key, content) or change.key
                current = content.get(name)
                before: Entry = current if isinstance(current, dict) else {}
                entry = copy.deepcopy(before)
                results.append(change.edit(entry))
                if entry != before:
                    new[name] = entry
                    self._add_names(name, entry)

        self._transact(make)
        return results

    def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; see `SessionStore.update`."""

        def make(new: Content) -> None:
            for name, current in self._content().items():
                if isinstance(current, dict):
                    entry = copy.deepcopy(current)
                    edit(entry)
                    if entry != current:
                        new[name] = entry

        self._transact(make)

    def _name(self, key: str, content: Mapping[str, Any]) -> str | None:
        """Return under which name the content has a session, ``None`` when it has none."""
        if key in content:
            return key
        if self._names is None:
            self._names = folded_names(self._content())
        name = self._names.get(key.casefold())
        return name if name in content else None

    def _add_names(self, name: str, entry: Entry) -> None:
        if self._names is not None:
            for key, found in folded_names({name: entry}).items():
                self._names.setdefault(key, found)

    def _settle(self, *, whole: bool) -> None:
        """Take over what somebody else wrote; write the file where it has to be repaired, or with ``whole``."""
        try:
            self._refresh()
            settled = not (whole and self.is_behind)
        except (_BrokenFileError, OSError):
            settled = False
        if not settled:
            self._transact(_nothing, whole=True)

    def _transact(self, change: Callable[[Content], None], *, whole: bool = False) -> None:
        """Have ``change`` tell the new entries, and write them: to the log where the file is large.

        Args:
            change: gets an object that takes the entries that change; called again when the file changed meanwhile.
            whole: write the file in any case, with all that it does not have yet.
        """
        try:
            private_folder(self._path.parent)
            with locked(self._lock, LOCK_WAIT_S):
                self._commit(change, whole=whole)
        except OSError as error:
            self._keep_in_memory(change, error)

    def _commit(self, change: Callable[[Content], None], *, whole: bool) -> None:
        for _ in range(EDIT_RETRIES):
            try:
                self._refresh_or_restore()
                new: Content = {}
                change(new)
                whole = whole or self._failing or self._stamp is None or self._stamp[2] <= SMALL_BYTES
                if whole and (new or self.is_behind):
                    self._write({**self._content(), **new})
                elif new:
                    self._require_unedited()
                    self._log.append(new, self._disk)
                    self._keep(new)
            except _EditedError:
                continue
            return
        raise OSError(errno.EBUSY, "edited again and again by somebody else", str(self._path))

    def _keep_in_memory(self, change: Callable[[Content], None], error: OSError) -> None:
        new: Content = {}
        change(new)
        self._keep(new)
        if not self._failing:
            self._failing = True
            logger.error(
                "%s cannot be used (%s): session states are kept in memory and written once it works again; "
                "free space or make the file and its folder writable",
                error.filename or self._path,
                error.strerror or type(error).__name__,
            )

    def _keep(self, new: Content) -> None:
        self._pending |= new
        self.is_behind = self.is_behind or bool(new)

    def _content(self) -> Content:
        return {**self._disk, **self._pending}

    def _refresh(self) -> None:
        """Take over what somebody else wrote; of two changes to one entry the one on disk wins."""
        if stamp_of(self._path) == self._stamp:
            return
        self._stamp, content = self._load()
        self._pending = {
            key: entry for key, entry in self._pending.items() if content.get(key) == self._disk.get(key)
        }
        self._disk, self._names = content, None

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

    def _refresh_or_restore(self) -> None:
        """Refresh; a broken file is kept under another name and the last good content takes its place."""
        try:
            self._refresh()
        except _BrokenFileError as broken:
            aside, known = self._copy_aside(), self._stamp
            self._stamp = broken.stamp
            content = self._content()
            try:
                self._write(content)
            except BaseException:  # whatever stopped it, broken the file stays, and is looked at again
                self._stamp = known
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
        if self._path.exists() and not self._path.stat().st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, "marked read-only", str(self._path))
        replace_file(self._backup, data, sync_folder=False)
        self._stamp = stamp_from(replace_file(self._path, data, before_rename=self._require_unedited))
        self._disk, self._pending, self.is_behind = content, {}, False
        self._log.clear()
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
        return dump_content(text for _, text in self._texts.values())

    def _require_unedited(self) -> None:
        if stamp_of(self._path) != self._stamp:
            raise _EditedError


def _nothing(_new: Content) -> None:
    """Change nothing."""
