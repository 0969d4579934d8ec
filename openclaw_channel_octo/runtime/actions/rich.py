"""One message with a text and pictures, for agents that ask for it (octo-bot-api §4.3, type 14)."""

import json
from collections.abc import Sequence
from typing import Any

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.mentions import addressed
from openclaw_channel_octo.message.outgoing import rich_payload
from openclaw_channel_octo.message.payload import ContentType
from openclaw_channel_octo.message.text import utf16_length
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.runtime.delivery.open_beneath import FileRefused
from openclaw_channel_octo.store.records import Part

__all__ = ["together"]

_PICTURES = frozenset({ContentType.IMAGE, ContentType.GIF})


async def together(
    bot: ActionContext, channel: ChannelRef, text: str, files: Sequence[MediaItem], run_id: str
) -> tuple[Part | None, list[MediaItem]]:
    """Return a message with the text and the pictures, and the files that cannot be in it.

    Those are what is no picture, pictures of unknown size, and what cannot be had: they are sent behind, each by
    itself or as a line that says why not. Pictures are uploaded by this.

    Args:
        bot: the bot.
        channel: where it goes.
        text: Markdown; one that is too long for one message cannot be in it.
        files: in order.
        run_id: the run whose folder files may lie in, empty for none.

    Returns:
        The message, ``None`` where no picture or no text can be in it.
    """
    everyone = bot.outbox.sender.everyone() and channel.type != ChannelType.PERSON
    said = addressed(text, bot.directory.people(channel), everyone=everyone)
    if utf16_length(said.text) > bot.context.config.reply_chunk:
        return None, list(files)
    pictures: list[dict[str, Any]] = []
    others: list[MediaItem] = []
    for file in files:
        picture = await _uploaded(bot, file, run_id)
        if picture is None:
            others.append(file)
        else:
            pictures.append(picture)
    if not pictures:
        return None, others
    payload = rich_payload(said.text, pictures)
    # Marked pieces of a text are told by their place in it, which a message of blocks has not.
    if mention := {key: value for key, value in said.mention.items() if key != "entities"}:
        payload["mention"] = mention
    return Part(text=text, payload=json.dumps(payload)), others


async def _uploaded(bot: ActionContext, file: MediaItem, run_id: str) -> dict[str, Any] | None:
    """Return an uploaded picture as a message of its own would show it, ``None`` where it is or becomes none."""
    files = bot.outbox.files
    part = await files.plan(file, run_id)
    try:
        if files.shown_as(part.file) not in _PICTURES:
            return None
        payload = await files.payload(part.file)
    except FileRefused:
        return None
    finally:
        await files.release(part.file)
    return payload if payload["type"] in _PICTURES and payload["width"] > 0 else None
