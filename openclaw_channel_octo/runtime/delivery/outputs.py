"""The folders in which agents leave files for their answers, one for each run (docs/security.md)."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from openclaw_channel_octo.batches import Batches
from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.runtime.delivery.open_beneath import Root
from openclaw_channel_octo.runtime.delivery.removal import remove

__all__ = ["Outputs"]

_log = logging.getLogger(__name__)

KEEP_S = 86_400.0
"""How long output folders of lost turns stay."""

NAME = "output"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_INSIDE = _FOLDER | os.O_NOFOLLOW


class Outputs:
    """The runs' folders, all in one folder of the state folder.

    A run's folder is made and opened before its agent begins, and stays open until its answer is concluded: what an
    agent puts in the place of the folder, or of the one around it, is never looked into.

    Args:
        state_dir: the state folder; it may be reached through links, nothing below it may be one.
        clock: for sweeping.
    """

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._state_dir = state_dir
        self.folder = state_dir / NAME
        """Where each run's folder lies under the run's id; neither need exist."""
        self._clock = clock
        self._open: dict[str, int] = {}
        self._makings = Batches[str, None](self._make_all)
        self._removals = Batches[str, None](self._remove_all)
        self._told: set[str] = set()

    async def make(self, run_id: str) -> None:
        """Make a run's folder, mode 0700, and keep it open until `release` or `discard`.

        Where it cannot be made, a warning says so: the run goes on, and files that it names there are not found.
        """
        making = self._makings.submit(run_id)
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(lambda _: self._take_back(run_id))
            raise

    def root(self, noted: str) -> Root:
        """Return a run's folder as one to send files from: the open one, else that of its name.

        Args:
            noted: its path, maybe noted by an earlier process.
        """
        run_id = Path(noted).name
        spelled = (Path(noted), self.folder / run_id, self._state_dir.resolve() / NAME / run_id)
        return Root(paths=spelled, open=partial(self._descriptor, run_id), of_a_run=True)

    def release(self, run_id: str) -> None:
        """Close a run's folder and leave it where it is; a second call does nothing."""
        descriptor = self._open.pop(run_id, None)
        if descriptor is not None:
            os.close(descriptor)

    async def discard(self, run_id: str) -> None:
        """Close a run's folder and remove it with everything in it; what cannot be removed is warned about once."""
        self.release(run_id)
        await self._removals.submit(run_id)

    async def sweep(self) -> None:
        """Remove folders that processes left behind; what cannot be removed is warned about once, and passed over."""
        await asyncio.to_thread(self._remove, self._old)

    def _make_all(self, run_ids: Sequence[str]) -> list[None]:
        try:
            around = self._around(make=True)
            try:
                for run_id in run_ids:
                    self._make(run_id, around)
            finally:
                os.close(around)
        except OSError as error:
            self._tell_unmade(error)
        return [None] * len(run_ids)

    def _make(self, run_id: str, around: int) -> None:
        try:
            with suppress(FileExistsError):  # of a run that an earlier process has begun
                os.mkdir(run_id, 0o700, dir_fd=around)
            self._open[run_id] = _own_folder(run_id, around)
        except OSError as error:
            self._tell_unmade(error)

    def _remove_all(self, run_ids: Sequence[str]) -> list[None]:
        self._remove(lambda _: run_ids)
        return [None] * len(run_ids)

    def _descriptor(self, run_id: str) -> int:
        """Return a new descriptor of a run's folder. Raises `OSError`."""
        if (held := self._open.get(run_id)) is not None:
            return os.dup(held)
        around = self._around()
        try:
            return _own_folder(run_id, around)
        finally:
            os.close(around)

    def _around(self, *, make: bool = False) -> int:
        """Return a descriptor of the folder that all runs' folders lie in. Raises `OSError`, also for a link."""
        state = os.open(self._state_dir, _FOLDER)
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(NAME, 0o700, dir_fd=state)
            return _own_folder(NAME, state)
        finally:
            os.close(state)

    def _take_back(self, run_id: str) -> None:
        """Undo `make` for a run that never began."""
        self.release(run_id)
        with suppress(OSError):
            (self.folder / run_id).rmdir()

    def _remove(self, find: Callable[[int], Iterable[str]]) -> None:
        """Remove what is found in the folder around the runs' folders, each as far as it can be."""
        try:
            around = self._around()
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(NAME, "nothing is removed from", error)
            return
        try:
            for name in find(around):
                try:
                    remove(name, around)
                except OSError as error:
                    self._tell(name, "what an agent left cannot be removed:", error)
        finally:
            os.close(around)

    def _old(self, around: int) -> list[str]:
        """Return what nobody has touched for long, apart from the folders of runs under way."""
        before = self._clock.wall_ms() / 1000 - KEEP_S
        found = []
        for name in os.listdir(around):
            with suppress(OSError):
                changed = os.stat(name, dir_fd=around, follow_symlinks=False).st_mtime
                if changed < before and name not in self._open:
                    found.append(name)
        return found

    def _tell_unmade(self, error: OSError) -> None:
        self._tell(NAME, "no folder for files of answers can be made in", error)

    def _tell(self, name: str, what: str, error: OSError) -> None:
        if name not in self._told:
            self._told.add(name)
            path = self.folder if name == NAME else self.folder / name
            _log.warning("%s %s (%s): see what it is, and remove it by hand", what, path, error.strerror)


def _own_folder(name: str, around: int) -> int:
    """Return a descriptor of a folder of this user, closed to all others. Raises `OSError`, also for a link."""
    descriptor = os.open(name, _INSIDE, dir_fd=around)
    try:
        _require_own(os.fstat(descriptor))
        os.fchmod(descriptor, 0o700)
    except BaseException:  # raised again: the descriptor is closed first
        os.close(descriptor)
        raise
    return descriptor


def _require_own(found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user")
