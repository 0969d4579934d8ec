"""A change that people notice: made once, and followed by a line that says who asked for it (docs/decisions/0054)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct

from openclaw_channel_octo.errors import AmbiguousOutcome, ApiError, RequestDenied
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.text import label
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.runtime.actions.audit import Record
from openclaw_channel_octo.runtime.actions.refusals import explained
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.runtime.turn.runs import OpenRun

__all__ = ["Changes", "shown"]

NAMED = 10
"""Most people a line names."""

_SIGN = re.compile("%[sp]")
_OF_LINES = str.maketrans(dict.fromkeys("@`*_~<>|#", " "))
_T = TypeVar("_T")


class Changes(Struct, frozen=True, kw_only=True):
    """Makes changes for one requester.

    Attributes:
        bot: the bot.
        requester: for whom.
        run: the run whose agent asks, ``None`` for an operator.
    """

    bot: ActionContext
    requester: Requester
    run: OpenRun | None

    async def names(self, uids: Sequence[str]) -> str:
        """Return the names of people for a line, of those the server knows."""

        async def name(uid: str) -> str:
            try:
                return shown((await self.bot.context.api.user_info(uid)).name) or uid
            except ApiError:
                return shown(uid)

        named = ", ".join(await asyncio.gather(*map(name, uids[:NAMED])))
        return f"{named} +{len(uids) - NAMED}" if len(uids) > NAMED else named

    async def make(
        self,
        record: Record,
        change: Callable[[], Awaitable[_T]],
        where: ChannelRef | Callable[[_T], ChannelRef],
        line: str,
        about: str = "",
    ) -> _T:
        """Make a change that people notice and tell them who asked; both go on where the run ends meanwhile.

        Args:
            record: of the request; told where people were not.
            change: the call.
            where: the conversation that is told; of something new, by what the call returns.
            line: the text.
            about: what ``%p`` in it stands for.
        """

        async def carry_out() -> _T | ApiError:
            try:
                done = await explained(change())
            except AmbiguousOutcome as error:
                if not callable(where):  # it may stand before everybody
                    await self._tell(record, where, line, about)
                return error
            except ApiError as error:
                return error
            await self._tell(record, where(done) if callable(where) else where, line, about)
            return done

        made = await asyncio.shield(self.bot.context.tasks.start(carry_out(), "change"))
        if isinstance(made, ApiError):
            raise made
        return made

    async def _tell(self, record: Record, where: ChannelRef, line: str, about: str) -> None:
        """Say in a conversation who asked for a change; inside the turn's own it is a part of the answer."""
        values = {"%s": self._who(where), "%p": about}
        text = _SIGN.sub(lambda sign: values[sign[0]], line)
        try:
            if self.run is not None and where == self.requester.conversation:
                with suppress(RequestDenied):  # the run has ended meanwhile
                    await self._keep(await self.run.post(text))
                    return
            await self._keep(await self.bot.outbox.post(where, text))
        except ApiError as error:
            self.bot.context.log.warning("nobody was told in channel=%s who asked: %s", where.id, error)
            record.detail = ", people were not told"

    async def _keep(self, message_ids: Sequence[str]) -> None:
        """Have no agent change messages later."""
        context = self.bot.context
        for message_id in message_ids:
            await context.journal.lines.add(context.config.account_id, message_id)

    def _who(self, where: ChannelRef) -> str:
        uid = self.requester.uid
        if not uid:
            return self.bot.context.config.texts.operator
        known = self.bot.directory.roster.known(where).names.get(uid, "")
        return shown(known or (self.run.turn.sender.name if self.run else "")) or shown(uid)


def shown(name: str) -> str:
    """Return a name for a line in which it calls nobody and is no Markdown."""
    return label(label(name).translate(_OF_LINES))
