"""What the agent was given for each run, for the page."""

from collections.abc import Iterable, Iterator
from typing import Final

from cachetools import FIFOCache
from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.host.embedded.agents import Prompt, without_secrets
from openclaw_channel_octo.message.marks import explanation

__all__ = ["GivenPart", "GivenPrompts"]

KEPT: Final = 50
"""Runs whose prompts are kept."""

LONGEST: Final = 20_000
"""Characters kept of one part of a prompt."""


class GivenPart(Struct, frozen=True):
    """A part of a prompt.

    Attributes:
        title: what it is, in English words; the page has other languages.
        text: what the agent reads, secrets hidden, and cut after `LONGEST` characters.
        characters: how long it is in whole.
    """

    title: str
    text: str
    characters: int


class GivenPrompts:
    """The prompts of the latest runs.

    Args:
        secrets: values that are never shown.
    """

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        self._secrets = tuple(secrets)
        self._kept: FIFOCache[str, list[GivenPart]] = FIFOCache(KEPT)

    def note(self, prompt: Prompt) -> None:
        """Keep a run's prompt."""
        parts = ((title, without_secrets(text, self._secrets)) for title, text in _parts(prompt) if text)
        self._kept[prompt.run_id] = [GivenPart(title, text[:LONGEST], len(text)) for title, text in parts]

    def runs(self) -> list[str]:
        """Return the ids of the runs whose prompts are kept."""
        return list(self._kept)

    def of(self, run_id: str) -> list[GivenPart]:
        """Return the parts of a run's prompt in the order agents read them. Raises `KeyError` where none is kept."""
        return self._kept[run_id]


def _parts(prompt: Prompt) -> Iterator[tuple[str, str]]:
    earlier = "\n\n".join(
        "\n".join(part for part in (f"{each.sender or each.role}:", each.context, each.text) if part)
        for each in prompt.history
    )
    files = "\n".join(f"{item.kind} {item.name}".rstrip() + f": {item.path}" for item in prompt.media)
    shown = (prompt.notes, prompt.context, prompt.text, files)
    yield "Earlier in this session", earlier
    yield "The sign of the channel's own lines", explanation(prompt.mark, *shown)
    yield "Notes of the conversation", prompt.notes
    yield "Said around it", prompt.context
    yield "The request", prompt.text
    yield "Files", files
