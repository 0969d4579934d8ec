"""The files that an agent's answer names, among them those in the folder of its run."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from openclaw_channel_octo.message.medialines import Named, named_files

__all__ = ["named_in"]

MOST_NAMES = 10_000
"""Files and folders of a run that are known by name; an answer names the others with an ending or in quotes."""


async def named_in(said: str, output: Path | None) -> Named:
    """Return an answer as texts and the files it names.

    Args:
        said: the answer.
        output: the folder of its run, ``None`` where there is none; what cannot be read is not known by name.
    """
    if "MEDIA" not in said:
        return named_files(said)
    return await asyncio.to_thread(_named, said, output)


def _named(said: str, output: Path | None) -> Named:
    if output is None:
        return named_files(said)
    below = frozenset(islice(_below(output), MOST_NAMES))
    return named_files(said, below | {f"{output}/{name}" for name in below})


def _below(folder: Path) -> Iterator[str]:
    """Yield what lies in a folder, relative to it, without following links."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with suppress(OSError), os.scandir(folder / above) as entries:
            for entry in entries:
                yield (name := f"{above}{entry.name}")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
