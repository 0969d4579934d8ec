"""Which prompts are kept in the journal: those of runs that failed, and all where the operator wants them."""

from collections.abc import Callable

from msgspec import Struct

from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.message.reading import file_line, reading_text
from openclaw_channel_octo.message.text import CUT_MARK, clip
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.turn.answer import Answer
from openclaw_channel_octo.runtime.turn.stream import RunEnd
from openclaw_channel_octo.session.status import Status
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["KeptPrompts", "prompt_text"]

PROMPT_BYTES = 64 * 1024
"""Longest prompt that is kept, the mark of a cut included, bytes of UTF-8."""


def prompt_text(turn: Turn) -> str:
    """Return what the channel gives an agent for a turn: what a program reads on its standard input."""
    files = [
        file_line(turn.mark, item.kind, item.name, item.path) for item in turn.media if item.path is not None
    ]
    return reading_text(turn.mark, turn.notes, turn.context, turn.text, files)


class KeptPrompts(Struct, frozen=True, kw_only=True):
    """Keeps prompts of one bot.

    Attributes:
        context: what every part of the bot is made from.
        hide: takes the secrets out of a text.
    """

    context: BotContext
    hide: Callable[[str], str]

    async def before(self, row: InboundRow, turn: Turn) -> None:
        """Keep the prompt of a run that may not be there to tell of it: a process has died under the one before."""
        if self.context.config.keep_prompts or turn.resumed:
            await self._keep(row, turn)

    async def after(self, row: InboundRow, turn: Turn, end: RunEnd, answer: Answer) -> None:
        """Keep the prompt of a run that has failed, or had nothing to say and did not choose to."""
        failed = end.status != Status.DONE or not (answer.said(end) or answer.shown or answer.is_declined)
        if failed:
            await self._keep(row, turn)

    async def _keep(self, row: InboundRow, turn: Turn) -> None:
        text = clip(self.hide(prompt_text(turn)), PROMPT_BYTES - len(CUT_MARK.encode()))
        await self.context.journal.prompts.keep(row.id, turn.run_id, text)
