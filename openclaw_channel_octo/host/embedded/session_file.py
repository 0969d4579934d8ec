"""``sessions.json`` itself: read with care, searched by key, written entry by entry (openclaw-host §2.1, §2.2, §2.5).

Over 350 lines: one file form with its lock, backup, cache and repair.
"""

import copy
import errno
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import SessionStoreError
from openclaw_channel_octo.host.embedded.rows import Entry
from openclaw_channel_octo.host.files import close_file, dump_json, private_folder, replace_file
from openclaw_channel_octo.host.locks import locked

__all__ = [
    "Content",
    "SessionFile",
    "dump_content",
    "entry_text",
    "parse_content",
    "read_stamped",
    "stamp_of",
]

logger = logging.getLogger(__name__)

Content = dict[str, Any]
"""Session key to entry, as the file has it."""

DEEPEST = 64
"""Most levels of objects and lists in the file; entries are copied level by level, on a stack that ends."""

LOCK_WAIT_S = 5.0
"""Longest wait for another writer of the file."""

EDIT_RETRIES = 10
"""How often a change is built anew because the file was edited meanwhile."""

SETTLE_READS = 5
"""How often an empty or broken file is read again: an editor may be in the middle of saving it."""

SETTLE_PAUSE_S = 0.01

Stamp = tuple[int, int, int, int]
"""Identity of a file's content, as far as the file system tells."""

Result = TypeVar("Result")


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
    """

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
        """Make the folder, read the file; a broken one is set aside and restored. Raises `SessionStoreError`."""
        try:
            private_folder(self._path.parent)
            for file in (Path(os.path.realpath(self._path)), self._backup):
                close_file(file)
            self._refresh()
        except _BrokenFileError:
            self._disk = {}
            try:
                self._disk = parse_content(read_stamped(self._backup)[1] or b"{}")
            except (ValueError, OSError) as error:
                logger.error("%s cannot be used either: %s", self._backup, error)  # noqa: TRY400  # no stack to look at
            self.transact(lambda _: None)
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
            if self._names_of is not self._disk:
                self._names, self._names_of = folded_names(self._disk), self._disk
            name = find(self._pending, key) or self._names.get(key.casefold())
        if name is None:
            return None
        entry = self._pending[name] if name in self._pending else self._disk[name]
        return copy.deepcopy(entry) if isinstance(entry, dict) else {}

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
            self.transact(lambda _: None)

    def update(self, key: str, edit: Callable[[Entry], Result]) -> Result:
        """Change one entry, made where missing; see `SessionStore.update`."""

        def change(content: Content) -> Result:
            name = find(content, key) or key
            current = content.get(name)
            before: Entry = current if isinstance(current, dict) else {}
            entry = copy.deepcopy(before)
            result = edit(entry)
            if entry != before:
                content[name] = entry
            return result

        return self.transact(change)

    def sweep(self, edit: Callable[[Entry], None]) -> None:
        """Change every entry that is an object; see `SessionStore.update`."""

        def change(content: Content) -> None:
            for name, current in content.items():
                if isinstance(current, dict):
                    content[name] = entry = copy.deepcopy(current)
                    edit(entry)

        self.transact(change)

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
        replace_file(self._backup, data)
        self._stamp = _stamp(replace_file(self._path, data, before_rename=self._require_unedited))
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
        return dump_content(text for _, text in self._texts.values())

    def _require_unedited(self) -> None:
        if stamp_of(self._path) != self._stamp:
            raise _EditedError


def parse_content(raw: bytes) -> Content:
    """Return the content of a session file. Raises `ValueError` when it is none."""
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} where an object is expected")  # noqa: TRY004  # one error for all
    if _is_deep(content):
        raise ValueError("nested too deeply")
    key = content.get("sessionKey")
    return {key: content} if isinstance(key, str) else content


def _is_deep(content: Content) -> bool:
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def find(content: Mapping[str, Any], key: str) -> str | None:
    """Return under which name the content has a session, ``None`` when it has none."""
    return key if key in content else folded_names(content).get(key.casefold())


def folded_names(content: Mapping[str, Any]) -> dict[str, str]:
    """Return under which name a key may stand that is not there as it was asked for: case-folded, or inside."""
    names: dict[str, str] = {}
    for name in content:
        names.setdefault(name.casefold(), name)
    for name, entry in content.items():
        if isinstance(entry, dict) and (key := entry.get("sessionKey")):
            names.setdefault(str(key).casefold(), name)
    return names


def entry_text(name: str, entry: object) -> bytes:
    """Return one entry's lines without the braces around them."""
    return dump_json({name: entry}, indent=2)[2:-3]


def dump_content(texts: Iterable[bytes]) -> bytes:
    """Return the file's bytes, made of what `entry_text` gave for each entry."""
    joined = b",\n".join(texts)
    return b"{\n" + joined + b"\n}\n" if joined else b"{}\n"


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of ``path``, ``None`` when there is no such file. Raises `OSError` otherwise."""
    try:
        return _stamp(path.stat())
    except FileNotFoundError:
        return None


def read_stamped(path: Path) -> tuple[Stamp | None, bytes]:
    """Return stamp and content of ``path``; ``(None, b"")`` when there is no such file. Raises `OSError`."""
    try:
        with path.open("rb") as file:
            return _stamp(os.fstat(file.fileno())), file.read()
    except FileNotFoundError:
        return None, b""
