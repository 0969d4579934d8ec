"""Messages of a conversation as people and agents read them: rows of its history, without what is not for them."""

from collections.abc import Sequence

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.history import excerpt
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.rest.models import HistoryMessage
from openclaw_channel_octo.runtime.actions.types import ActionContext, ReadMessage

__all__ = ["messages_of", "rows_of"]

UNHEARD = "[a message of a blocked user]"


async def rows_of(
    bot: ActionContext, channel: ChannelRef, count: int, before: int, after: int
) -> list[HistoryMessage]:
    """Return at most ``count`` rows of a conversation; see `AgentActions.read`. Raises `ApiError`."""
    api = bot.context.api
    if after > 0:
        return await api.sync_messages(channel, start=after + 1, limit=count)
    if before > 0:
        return (
            await api.sync_messages(channel, start=before - 1, limit=count, pull_up=False)
            if before > 1
            else []
        )
    return await api.sync_messages(channel, limit=count)


async def messages_of(
    bot: ActionContext, channel: ChannelRef, rows: Sequence[HistoryMessage]
) -> tuple[ReadMessage, ...]:
    """Return rows with the names of their senders, blocked people without their words. Raises `ApiError`."""
    names = (await bot.directory.roster.asked(channel, rows[-1].from_uid)).names if rows else {}
    unheard = {row.from_uid for row in rows if bot.context.blocks(row.from_uid)}
    return tuple(
        ReadMessage(
            message_id=row.message_id,
            message_seq=row.message_seq,
            timestamp=row.timestamp,
            from_uid=row.from_uid,
            from_name="" if row.from_uid in unheard else names.get(row.from_uid, ""),
            text=UNHEARD if row.from_uid in unheard else excerpt(render(parse_payload(row.payload)).text),
        )
        for row in rows
        if row.message_id
    )
