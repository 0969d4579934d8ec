"""Sends with a key: planned before anything is sent, so that the same key sends nothing twice (decision 0048)."""

from collections.abc import Sequence

from msgspec.structs import replace

from openclaw_channel_octo.errors import BadRequest
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.store.database import Connection
from openclaw_channel_octo.store.records import Chunk, NewPost, Part, Post
from openclaw_channel_octo.store.states import ChunkState
from openclaw_channel_octo.store.transaction import Repository, Transaction, in_transaction, records, slots

__all__ = ["Posts", "begin_post", "chunks_from", "insert_chunks", "prune"]

_COLUMNS = ("account", "key", "digest", "channel_id", "channel_type", "reason", "planned_at")


class Posts(Repository):
    """The sends with a key of all bots."""

    @in_transaction
    def find(self, tx: Transaction, account: str, key: str) -> Post | None:
        """Return a send by its key, ``None`` where none was planned."""
        found = tx.db.execute(
            "SELECT id, account, key, digest, channel_id, channel_type, reason, planned_at AS planned_ms FROM post"
            " WHERE account = ? AND key = ?",
            (account, key),
        )
        post = next(iter(records(found, Post)), None)
        if post is None:
            return None
        chunks = tx.db.execute(
            "SELECT ref, text, state, updated_at AS since_ms, message_id, payload, reply, run_id, detail,"
            " replaces FROM delivery WHERE post_id = ? ORDER BY position",
            (post.id,),
        )
        return replace(post, chunks=tuple(records(chunks, Chunk)))

    @in_transaction
    def plan(self, tx: Transaction, post: NewPost, parts: Sequence[Part]) -> list[Chunk]:
        """Record a send that answers no message, the first of its messages as ``sending``.

        Raises:
            BadRequest: its key is taken.
        """
        post_id = begin_post(tx, post)
        chunks = chunks_from(tx, parts, ChunkState.SENDING)
        insert_chunks(tx, chunks, 0, post_id=post_id)
        return chunks

    @in_transaction
    def conversation_of(self, tx: Transaction, session_key: str) -> tuple[str, ChannelRef] | None:
        """Return the bot and the conversation in which a session's last message was, ``None`` for no such session."""
        found = tx.db.execute(
            "SELECT account, channel_id, channel_type FROM inbound WHERE session_key = ? AND session_key != ''"
            " ORDER BY id DESC LIMIT 1",
            (session_key,),
        ).fetchone()
        return (found[0], ChannelRef(found[1], found[2])) if found else None


def begin_post(tx: Transaction, post: NewPost) -> int:
    """Record a send inside a transaction and return its number. Raises `BadRequest` where its key is taken."""
    values = (post.account, post.key, post.digest, post.channel.id, post.channel.type, post.reason, tx.now_ms)
    made = tx.db.execute("INSERT OR IGNORE INTO post " + slots(_COLUMNS), values)
    if not made.rowcount:
        raise BadRequest("sendMessage", "this key was used for another message; nothing was sent")
    return made.lastrowid or 0


def chunks_from(tx: Transaction, parts: Sequence[Part], first: ChunkState) -> list[Chunk]:
    """Return parts as chunks that are planned, the first of them in the state ``first``."""
    return [
        Chunk(
            ref=tx.new_id(),
            text=part.text,
            file=part.file,
            payload=part.payload,
            reply=part.reply,
            since_ms=tx.now_ms,
            state=ChunkState.PLANNED if number else first,
        )
        for number, part in enumerate(parts)
    ]


def insert_chunks(
    tx: Transaction,
    chunks: Sequence[Chunk],
    position: int,
    *,
    inbound_id: int | None = None,
    post_id: int | None = None,
    run_id: str = "",
) -> None:
    """Record chunks of a message's answer, of a send, or of both.

    Args:
        tx: the transaction.
        chunks: in their order.
        position: of the first of them.
        inbound_id: number of the message.
        post_id: number of the send.
        run_id: the run that wrote them, empty for none.
    """
    tx.db.executemany(
        "INSERT INTO delivery (ref, inbound_id, post_id, run_id, position, text, file, payload, reply, state,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                chunk.ref,
                inbound_id,
                post_id,
                run_id,
                position + number,
                chunk.text,
                chunk.file,
                chunk.payload,
                chunk.reply,
                chunk.state,
                tx.now_ms,
            )
            for number, chunk in enumerate(chunks)
        ],
    )


def prune(db: Connection, before_ms: int, keep: int, most: int) -> None:
    """Delete sends that are too old or too many, the oldest first and at most ``most``."""
    db.execute(
        "DELETE FROM post WHERE id IN (SELECT id FROM post ORDER BY id LIMIT ?)"
        " AND (planned_at < ? OR id <= (SELECT max(id) FROM post) - ?)",
        (most, before_ms, keep),
    )
