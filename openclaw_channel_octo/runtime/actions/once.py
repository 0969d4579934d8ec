"""What a send with a key needs beside its words: what tells it from another one, and the message it quotes."""

import json
from collections.abc import Sequence
from hashlib import sha256

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.outgoing import quote
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.target import Destination
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.store.records import NewPost

__all__ = ["digest_of", "new_post", "quote_of"]


def digest_of(
    target: str, text: str, files: Sequence[MediaItem], thread_id: str | int | None, reply_to: str
) -> str:
    """Return what two requests have in common exactly where they ask for the same; the words cannot be got from it."""
    sources = [[str(file.path or file.url), file.name] for file in files]
    asked = json.dumps([target, text, sources, str(thread_id or ""), reply_to])
    return sha256(asked.encode()).hexdigest()


def new_post(bot: ActionContext, key: str, digest: str, found: Destination) -> NewPost:
    """Return a send of a bot about to be planned; without a key it gets a fresh one."""
    context = bot.context
    return NewPost(
        account=context.config.account_id,
        key=key or context.clock.new_id(),
        digest=digest,
        channel=found.target.channel,
        reason=found.reason,
    )


async def quote_of(bot: ActionContext, channel: ChannelRef, message_id: str) -> str:
    """Return the quote of a message of a conversation as JSON, empty for one that the journal does not know.

    Raises:
        StoreError: the journal cannot be read.
    """
    context = bot.context
    found = (
        await context.journal.said.find(context.config.account_id, channel, message_id)
        if message_id
        else None
    )
    if found is None:
        return ""
    uid = found.from_uid or context.identity.uid
    name = (await bot.directory.roster.asked(channel, uid)).names.get(uid, "")
    said = render(parse_payload(found.payload)).text
    return json.dumps(quote(message_id, found.seq, uid, name, said), ensure_ascii=False)
