"""Who asks a bot for something beside its answers, and what they get (reference-behaviour §g.4)."""

from msgspec import Struct

from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.history import Said, excerpt_block
from openclaw_channel_octo.message.target import Destination, Resolution, Target
from openclaw_channel_octo.policy.authority import Requester, Role
from openclaw_channel_octo.policy.gate import GatePolicy, is_bot
from openclaw_channel_octo.rest.models import Candidate
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.posts import Posts
from openclaw_channel_octo.runtime.directory.directory import ConversationDirectory

__all__ = ["ActionContext", "NameMatches", "ReadMessage", "ReadPage", "SendReceipt", "requester_of"]

_TYPES = {"direct": ChannelType.PERSON, "group": ChannelType.GROUP, "thread": ChannelType.THREAD}


def requester_of(turn: Turn) -> Requester:
    """Return for whom the agent of a turn acts: the person whose message started it."""
    uid = turn.sender.uid
    role = Role.BOT if is_bot(uid, GatePolicy()) else Role.PERSON
    return Requester(
        role=Role.OWNER if turn.sender.is_owner else role,
        uid=uid,
        conversation=ChannelRef(turn.channel_id, _TYPES[turn.conversation]),
    )


class ActionContext(Struct, frozen=True, kw_only=True):
    """What a bot lends to those who speak through it.

    Attributes:
        context: what every part of the bot is made from.
        directory: knows the conversations.
        outbox: sends.
        posts: sends with a key.
    """

    context: BotContext
    directory: ConversationDirectory
    outbox: Outbox
    posts: Posts


class SendReceipt(Struct, frozen=True, kw_only=True):
    """What became of a message.

    Attributes:
        message_ids: of the messages it became, in order; none where the turn's answer is so long that it ends with a
            file, which holds this too.
        target: where it went.
        reason: why there.
        failed_media: name or source of each file that could not be sent, and why; a line in its place tells people.
        repeated: whether an earlier call with the same key had sent it.
    """

    message_ids: tuple[str, ...]
    target: Target
    reason: Resolution
    failed_media: tuple[tuple[str, str], ...] = ()
    repeated: bool = False

    @property
    def rewritten(self) -> bool:
        """Whether it went somewhere else than was written: into the turn's thread instead of its group."""
        return Destination(self.target, self.reason).rewritten


class ReadMessage(Struct, frozen=True, kw_only=True):
    """One message that was read. Name and text are the words of people: untrusted.

    Attributes:
        message_id: the server's id.
        message_seq: its number in the conversation, for ``before`` and ``after``.
        timestamp: Unix seconds.
        from_uid: who wrote it, empty for the system.
        from_name: that person's display name, empty when unknown or blocked.
        text: what it says, cut at 500 characters; what is no text, or said by a blocked user, as a line
            that says so.
    """

    message_id: str
    message_seq: int
    timestamp: int
    from_uid: str
    from_name: str
    text: str


class ReadPage(Struct, frozen=True, kw_only=True):
    """Messages of a conversation, as they were sent: the server's history knows no edits and no recalls.

    Attributes:
        target: the conversation.
        messages: oldest first.
        has_more: whether there are more in the direction that was read.
        elsewhere: whether this is another conversation than the turn's, so that its words must never be taken for
            a request; `block` says so to a model.
    """

    target: Target
    messages: tuple[ReadMessage, ...]
    has_more: bool
    elsewhere: bool

    def block(self, mark: str = "") -> str:
        """Return the messages as text for a model.

        Args:
            mark: of the run that reads (`Turn.mark`), for the lines that are nobody's words.
        """
        names = {message.from_uid: message.from_name for message in self.messages}
        said = [Said(message.from_uid, message.text) for message in self.messages]
        return excerpt_block(said, names, elsewhere=self.elsewhere, mark=mark)


class NameMatches(Struct, frozen=True, kw_only=True):
    """What a name may mean.

    Attributes:
        candidates: groups and threads, exact names first.
        complete: whether these are all.
    """

    candidates: tuple[Candidate, ...]
    complete: bool

    @property
    def only(self) -> Candidate | None:
        """The one conversation the name means; ``None`` where it may mean another one too, or none."""
        return self.candidates[0] if self.complete and len(self.candidates) == 1 else None
