"""What is loaded before the first bot starts, so that no message is the first to need it.

Importing a module opens files: in a process that has no descriptors left it fails. Python remembers a codec that
could not be loaded as unknown, for good.
"""

import asyncio
import codecs
from importlib import import_module

__all__ = ["preload"]

MODULES = ("aiohttp", "imagesize")

CODECS = (
    "idna",
    "utf-8-sig",
    "gb18030",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "utf-32-be",
)
"""Encodings of names, of texts and files that people send, and those `json` looks for."""


async def preload() -> None:
    """Load it beside the running loop, which it would hold up for a tenth of a second; a second time costs nothing."""
    await asyncio.to_thread(_load)


def _load() -> None:
    for module in MODULES:
        import_module(module)
    for codec in CODECS:
        codecs.lookup(codec)
