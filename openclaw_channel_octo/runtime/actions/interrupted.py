"""One end for a message whose run was interrupted, though its host speaks as well (decision 0056).

A gateway that comes back after a crash takes up its runs and delivers their answers through its plugin, beside the
answer that this program finds in the gateway and sends itself. What it says is told from the words of jobs by the
gateway's own record of the runs it took up.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from openclaw_channel_octo.errors import HostError, HostUnavailable
from openclaw_channel_octo.host.base import AgentHost, ResumesRuns
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.marks import mark_of, unmarked
from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.store.interruptions import Interrupted

__all__ = ["RECOVERY", "said_already"]

RECOVERY = "main-session-restart-recovery:"
"""Stands in the keys of what a gateway's recovery says of itself, such as that it gives up."""

HOLD_S = 30.0
"""How long what a gateway says is held while the message it may answer is open."""

LOOK_EVERY_S = 0.5

_DIRECTIVE = re.compile(r"^[ \t]*MEDIA:.*$|\[\[[^\[\]\n]*\]\]", re.MULTILINE)
"""What stands in the words of a model and is no text of its message: its files, and what it quotes."""


async def said_already(
    bot: ActionContext, host: AgentHost | None, channel: ChannelRef, text: str, key: str
) -> tuple[str, ...] | None:
    """Return the ids of the messages in which people have read what a gateway is about to say.

    While a message of the conversation is open whose run was interrupted, nothing is said beside it: what has a key
    waits for its end, what has none is refused, and whoever says it may come again.

    Args:
        bot: the bot.
        host: the host where it is the one that speaks, else ``None``.
        channel: where it is to be said.
        text: what.
        key: of the send, empty for none.

    Returns:
        ``None`` where it is to be sent: no run was interrupted there, or people were told something else.

    Raises:
        HostError: the message is still open, or the host cannot be asked what it did about it.
        StoreError: the journal cannot be read.
    """
    if host is None:
        return None
    found = await _ended(bot, channel, key)
    resumed = await _resumed(host, found)
    for row in found:
        again = resumed.get(row.run_id) or resumed.get("")
        gives_up = RECOVERY in key and (row.was_lost or again is not None)
        mark = mark_of(row.run_id)  # a model may repeat it
        said = [unmarked(part, mark) for part in (*(row.texts if row.was_lost else ()), *(again or ()))]
        if gives_up or _says(said, unmarked(text, mark)):
            bot.context.log.info(
                "people have the end of an interrupted turn already; what its gateway says is left out"
            )
            return row.message_ids
    return None


async def _ended(bot: ActionContext, channel: ChannelRef, key: str) -> Sequence[Interrupted]:
    """Return the messages of a conversation whose run ended lately, once none of them is open."""
    context = bot.context
    gives_up_at = context.clock.now() + HOLD_S
    while True:
        found = await context.journal.interruptions.find(
            context.config.account_id, channel, bot.posts.began_ms
        )
        if not any(row.is_open for row in found):
            return found
        if not key or context.clock.now() >= gives_up_at:
            raise HostUnavailable(
                "a turn in this conversation was interrupted and is still being looked for: nothing was sent, try again"
            )
        await context.clock.sleep(LOOK_EVERY_S)


async def _resumed(host: AgentHost, found: Iterable[Interrupted]) -> Mapping[str, Sequence[str]]:
    """Return what the host says that it said in the place of these runs, by run id."""
    said: dict[str, Sequence[str]] = {}
    if isinstance(host, ResumesRuns):
        for session_key in {row.session_key for row in found}:
            try:
                said |= await host.resumed(session_key)
            except HostError:
                if any(row.was_lost for row in found):
                    raise
    return said


def _says(said: Sequence[str], text: str) -> bool:
    """Return whether a text says just this, one of several or all of them."""
    parts = [_bare(part) for part in said]
    return _bare(text) in {*parts, "".join(parts)} - {""}


def _bare(text: str) -> str:
    """Return what two forms of a text have in common: gateways change white space and Markdown of what they send."""
    shown = without_silence(_DIRECTIVE.sub("", text)).text  # as in `Answer.visible`
    return "".join(filter(str.isalnum, shown)) or "".join(shown.split())
