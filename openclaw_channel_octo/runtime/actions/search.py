"""Words looked for in a conversation's history, which servers give by pages and search themselves only lately."""

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.rest.client import MAX_HISTORY_ROWS, BotApi
from openclaw_channel_octo.rest.models import HistoryMessage

__all__ = ["PAGES", "matching"]

PAGES = 5
"""Pages of 200 messages looked through, the newest."""


async def matching(
    api: BotApi, channel: ChannelRef, words: str, limit: int
) -> tuple[list[HistoryMessage], bool]:
    """Return messages that contain all words in any case, the newest ``limit`` of them, oldest first.

    Args:
        api: the bot's API.
        channel: the conversation.
        words: what to look for, separated by white space.
        limit: most messages.

    Returns:
        The messages, and whether there may be more of them further back.

    Raises:
        ApiError: the history cannot be had.
    """
    wanted = words.casefold().split()
    found: list[HistoryMessage] = []
    before = 0
    for _ in range(PAGES):
        rows = await api.sync_messages(channel, start=before, limit=MAX_HISTORY_ROWS, pull_up=False)
        for row in reversed(rows):
            text = render(parse_payload(row.payload)).text.casefold()
            if all(word in text for word in wanted):
                found.insert(0, row)
                if len(found) > limit:
                    return found[1:], True
        if len(rows) < MAX_HISTORY_ROWS or (before := rows[0].message_seq - 1) < 1:
            return found, False
    return found, True
