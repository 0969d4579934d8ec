"""The programs an agent has under way, noted so that none of them outlives this process (docs/decisions/0026)."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

from openclaw_channel_octo.host.embedded import leftovers
from openclaw_channel_octo.host.files import private_folder

__all__ = ["Programs"]

logger = logging.getLogger(__name__)

WATCHER_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What the watcher inherits: what Python and ``ps`` may need to start, and no secret."""

_IN_USE: set[Path] = set()
"""Folders in which this process notes programs: what is noted there has an owner that lives."""

WATCHER_STOP_S = 5.0
"""Real seconds the watcher may take to end."""


class Programs:
    """Sees to it that programs end with this process, however it ends.

    A process of its own, the watcher, ends them when this one is gone; what the watcher did not come to, the next
    `start` ends. Until it is started, and without a folder, nothing is noted.

    Args:
        folder: where programs are noted; this process alone uses it, maybe for several agents. ``None`` for nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._own: Path | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._watching = asyncio.Lock()
        self._numbers = count(1)

    async def start(self) -> None:
        """End what an earlier process left, and begin to note."""
        if self._folder is None:
            return
        taking = asyncio.ensure_future(asyncio.to_thread(self._take, self._folder))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await taking
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the watcher, which ends what is left of programs; a second call does nothing."""
        own, self._own = self._own, None
        if own is not None:
            await asyncio.to_thread(self._give_back, own)

    @asynccontextmanager
    async def noted(self, run_id: str) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Note that a program of a run is about to be started, until it has ended.

        Gives what notes the program that was started, by its process id: the leader of a session of its own.
        """
        async with self._watching:
            if self._own is not None and (self._watcher is None or self._watcher.poll() is not None):
                await asyncio.to_thread(self._watch, self._own)
        path = self._own / f"{next(self._numbers)}.run" if self._own is not None else None

        async def note(write: Callable[..., None], told: str | int) -> None:
            if path is None:
                return
            try:
                await asyncio.to_thread(write, path, told)
            except OSError as error:
                logger.warning(
                    "the program of run %s cannot be noted in the state folder (%s): if this process is killed,"
                    " it may run on",
                    run_id,
                    error.strerror,
                )

        try:
            await note(leftovers.note_run, run_id)
            yield partial(note, leftovers.note_program)
        finally:
            if path is not None:
                with suppress(OSError):  # whoever ends what is noted finds nothing of it any more
                    path.unlink()

    def _take(self, folder: Path) -> None:
        try:
            private_folder(folder)
            for left in sorted(each for each in folder.iterdir() if each.is_dir() and each not in _IN_USE):
                _tell(leftovers.end_noted(left))
            self._own = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=folder))
            _IN_USE.add(self._own)
        except OSError as error:
            logger.warning(
                "agent programs cannot be noted in %s (%s): if this process is killed, they may run on",
                folder,
                error.strerror,
            )
        else:
            self._watch(self._own)

    def _watch(self, own: Path) -> None:
        self._end_watcher()
        command = [sys.executable or "python3", "-I", "-S", leftovers.__file__, str(own)]
        try:
            # A session of its own: what a terminal or an operator sends to ours does not reach it.
            self._watcher = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in WATCHER_VARIABLES if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            logger.warning(
                "nothing watches over agent programs (%s): if this process is killed, they run on until its"
                " next start",
                error.strerror,
            )

    def _give_back(self, own: Path) -> None:
        self._end_watcher()
        _IN_USE.discard(own)
        _tell(leftovers.end_noted(own))  # where the watcher could not

    def _end_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        with watcher:
            if watcher.stdin is not None:
                watcher.stdin.close()
            try:
                watcher.wait(WATCHER_STOP_S)
            except subprocess.TimeoutExpired:
                watcher.kill()


def _tell(ended: Mapping[str, bool]) -> None:
    for run_id, gone in ended.items():
        if gone:
            logger.warning("the program of run %s ran on without its process; it was ended", run_id)
        else:
            logger.error("the program of run %s runs on without its process: end it by hand", run_id)
