"""One end for a message whose run was interrupted, though its host speaks as well (decision 0056).

A gateway that comes back after a crash takes up its runs and delivers their answers through its plugin, beside the
answer that this program finds in the gateway and sends itself.
"""

from openclaw_channel_octo.errors import HostUnavailable
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.marks import mark_of, unmarked
from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.store.interruptions import Interrupted
from openclaw_channel_octo.store.states import RowState

__all__ = ["RECOVERY", "said_already"]

RECOVERY = "main-session-restart-recovery:"
"""Stands in the keys of what a gateway's recovery says of itself, such as that it gives up."""

HOLD_S = 30.0
"""How long what a gateway says is held while the message it may answer is open."""

LOOK_EVERY_S = 0.5


async def said_already(
    bot: ActionContext, channel: ChannelRef, text: str, key: str
) -> tuple[str, ...] | None:
    """Return the ids of the messages in which people have read what a gateway is about to say.

    While a message of the conversation is open whose run was interrupted, nothing is said beside it: what has a key
    waits for its end, what has none is refused, and whoever says it may come again.

    Args:
        bot: the bot.
        channel: where it is to be said.
        text: what.
        key: of the send, empty for none.

    Returns:
        ``None`` where it is to be sent: no run was interrupted there, or people were told something else.

    Raises:
        HostUnavailable: the message is still open.
        StoreError: the journal cannot be read.
    """
    context = bot.context
    gives_up_at = context.clock.now() + HOLD_S
    while True:
        found = await context.journal.interruptions.find(
            context.config.account_id, channel, bot.posts.began_ms
        )
        if not any(row.is_open for row in found):
            break
        if not key or context.clock.now() >= gives_up_at:
            raise HostUnavailable(
                "a turn in this conversation was interrupted and is still being looked for: nothing was sent, try again"
            )
        await context.clock.sleep(LOOK_EVERY_S)
    for row in found:
        told = row.state in {RowState.ANSWERED, RowState.NOTIFIED} and RECOVERY in key
        if told or (row.state is RowState.ANSWERED and _says(row, text)):
            context.log.info(
                "people have the end of an interrupted turn already; what its gateway says is left out"
            )
            return row.message_ids
    return None


def _says(row: Interrupted, text: str) -> bool:
    """Return whether an answer says just this, in one message or in all of them; white space does not count."""
    parts = ["".join(part.split()) for part in row.texts]
    shown = without_silence(unmarked(text, mark_of(row.run_id))).text  # as in `Answer.visible`
    return "".join(shown.split()) in {*parts, "".join(parts)}
