"""What may be put in the place of a message of a bot by its agents."""

from openclaw_channel_octo.errors import BadRequest, RequestDenied
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.runtime.actions.types import ActionContext

__all__ = ["edit"]


async def edit(bot: ActionContext, channel: ChannelRef, message_id: str, text: str) -> None:
    """Put another text in the place of one of a bot's messages, unless it is one of the channel itself (`store.lines`).

    Args:
        bot: the bot.
        channel: where the message stands.
        message_id: which.
        text: the whole new text.

    Raises:
        ApiError: it is too long for one message, or there is no such message of the bot.
        RequestDenied: people rely on that message.
        StoreError: the journal cannot be read.
    """
    limit = bot.context.config.reply_chunk
    if utf16_length(text) > limit:
        raise BadRequest("editMessage", f"more than {limit} characters do not fit one message")
    if not (message_id.isascii() and message_id.isdecimal() and not message_id.startswith("0")):
        # a server may read another spelling as the same id
        raise BadRequest("editMessage", "the id of a message is a number; nothing was changed")
    if await bot.context.journal.lines.has(bot.context.config.account_id, message_id):
        raise RequestDenied("people rely on that message of the channel, so no agent changes it")
    await bot.outbox.sender.edit(channel, message_id, text)
