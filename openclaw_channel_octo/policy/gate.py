"""The gate: what a received message is to the bot, and whether it addresses it (design §4)."""

from collections.abc import Callable, Container, Mapping
from enum import StrEnum

from msgspec import Struct, field

from openclaw_channel_octo.ids import (
    ChannelRef,
    ChannelType,
    peer_of_compound,
    sides_of_compound,
    split_space,
)
from openclaw_channel_octo.message.mentions import (
    mentions_typed_name,
    named_uids,
    valid_entities,
    without_mentions,
)
from openclaw_channel_octo.message.payload import SYSTEM_TYPES, ContentType, Entity, Payload
from openclaw_channel_octo.policy.access import AccessPolicy
from openclaw_channel_octo.policy.commands import (
    NO_OTHERS,
    STOP_WORD,
    argument_in,
    command_in,
    names_another,
    verdict_in,
)
from openclaw_channel_octo.policy.verdicts import Verdict

__all__ = [
    "ADDRESSED",
    "BLOCKED",
    "SAID",
    "Decision",
    "DecisionKind",
    "Envelope",
    "GatePolicy",
    "Identity",
    "argument_of",
    "command_of",
    "conversation",
    "decide",
    "is_bot",
    "verdict_of",
]

BOTFATHER = "botfather"
"""The account that makes bots (octo-bot-api §6.1)."""

BLOCKED = "blocked"
"""Why a message of a blocked user is ignored."""

NOT_REQUIRED = "no mention required"
PREFERRED = "no mention preference"
FOR_OTHERS = "names others only"

_UNMENTIONED = frozenset({NOT_REQUIRED, PREFERRED})
_CONVERSATIONS = frozenset(ChannelType)


class DecisionKind(StrEnum):
    """What a received message is to the bot."""

    TURN = "turn"
    """Addresses the bot: the agent is asked."""
    COMMAND = "command"
    """Addresses the bot, and is for the channel itself (`policy.commands`)."""
    REFUSED = "refused"
    """Addresses the bot, but its sender may not talk to it here."""
    CONTEXT = "context"
    """Said in a conversation of the bot, to somebody else."""
    CONTROL = "control"
    """A signal for clients, not something said."""
    ECHO = "echo"
    """The bot's own message."""
    IGNORED = "ignored"
    """Nothing a bot can answer."""
    DUPLICATE = "duplicate"
    """Known already; decided by the inbox."""
    UNDECODABLE = "undecodable"
    """Cannot be decrypted; decided by the inbox."""


ADDRESSED = frozenset({DecisionKind.TURN, DecisionKind.COMMAND})
"""What the bot acts upon."""

SAID = ADDRESSED | {DecisionKind.REFUSED, DecisionKind.CONTEXT}
"""What somebody else says in a conversation of the bot."""


class Envelope(Struct, frozen=True, kw_only=True):
    """What a packet says about its payload (protocol §2.5).

    Attributes:
        from_uid: the sender, empty for the system account.
        channel_id: as received; of a direct message the peer, or the older ``a@b``.
        channel_type: a `ChannelType`, or another integer.
        is_event_packet: whether the packet is an EVENT and no RECV.
    """

    from_uid: str
    channel_id: str
    channel_type: int
    is_event_packet: bool = False


class Identity(Struct, frozen=True, kw_only=True):
    """Who the bot is, as ``register`` says.

    Attributes:
        uid: its account.
        name: its display name, empty when unknown.
        owner_uid: whose bot it is, empty when unknown.
    """

    uid: str
    name: str = ""
    owner_uid: str = ""


class GatePolicy(Struct, frozen=True, kw_only=True):
    """What the gate has to know besides the message.

    Attributes:
        require_mention: whether a group message has to address the bot to be answered.
        answer_others_mentions: whether, where nobody has to mention the bot, it answers what names others only.
        reply_triggers: whether a person's reply to one of the bot's messages addresses it.
        no_mention: people who are answered without a mention, because their group has agreed to it; nobody whom the
            server does not call a person (reference-behaviour §c.8.9).
        known_bots: accounts that are bots whatever their uid looks like.
        access: who may talk to the bot.
        commands: commands of the agent host, by each word for them.
    """

    require_mention: bool = True
    answer_others_mentions: bool = False
    reply_triggers: bool = True
    no_mention: Container[str] = ()
    known_bots: Container[str] = ()
    access: AccessPolicy = field(default_factory=AccessPolicy)
    commands: Mapping[str, str] = NO_OTHERS


class Decision(Struct, frozen=True):
    """What a message is.

    Attributes:
        kind: the kind.
        reason: why, in a few fixed words.
        command: the command it is, with its slash; `STOP_WORD` for a turn that stops another where one runs; else
            empty.
        from_bot: whether a bot or a webhook said it; of what is `SAID`.
    """

    kind: DecisionKind
    reason: str
    command: str = ""
    from_bot: bool = False


def decide(
    envelope: Envelope, payload: Payload, identity: Identity, policy_of: Callable[[], GatePolicy]
) -> Decision:
    """Return what a message is to the bot. Never raises, whatever the payload holds.

    A direct message from a person always addresses the bot, its payload readable or not. In groups and
    threads the rules lean towards answering: an id in ``uids`` counts even where the entities say otherwise
    (design §4, reference-behaviour §c.8). Where nobody has to mention the bot, what names others and not all of the
    group is for those others. Who may not talk to the bot is refused only where they address it;
    where nobody has to, what they say is talk among people.

    Args:
        envelope: what the packet says.
        payload: what was said.
        identity: who the bot is.
        policy_of: returns what else has to be known of the conversation; not asked about signals.
    """
    uid = _bare(envelope.from_uid)
    if unspoken := _unspoken(envelope, payload, identity, uid):
        return unspoken
    policy = policy_of()
    if policy.access.blocks(envelope.from_uid, identity.owner_uid):
        return Decision(DecisionKind.IGNORED, BLOCKED)
    decision = _spoken(envelope, payload, identity, policy, uid)
    if decision.kind not in ADDRESSED:
        return decision
    channel = conversation(envelope, identity.uid)
    refusal = policy.access.refusal(channel, envelope.from_uid, identity.owner_uid)
    if not refusal:
        return decision
    if decision.reason in _UNMENTIONED:
        return Decision(DecisionKind.CONTEXT, "no mention")
    return Decision(DecisionKind.REFUSED, refusal, from_bot=decision.from_bot)


def conversation(envelope: Envelope, own_uid: str) -> ChannelRef:
    """Return the conversation of a message, the way an answer to it is addressed.

    A direct conversation is named by the peer's bare uid: the sender, or the channel's other side where the
    bot itself or the system account is the sender (protocol §5.1, §5.3, octo-bot-api §5.1).
    """
    if envelope.channel_type != ChannelType.PERSON:
        return ChannelRef(envelope.channel_id, envelope.channel_type)
    sender = _bare(envelope.from_uid)
    theirs = sender not in {"", own_uid}
    return ChannelRef(
        sender if theirs else peer_of_compound(envelope.channel_id, own_uid), ChannelType.PERSON
    )


def is_bot(uid: str, policy: GatePolicy) -> bool:
    """Return whether an account is a bot or a webhook: known as one, or with such a uid."""
    return uid in policy.known_bots or uid == BOTFATHER or uid.endswith("_bot") or uid.startswith("iwh_")


def command_of(
    payload: Payload, identity: Identity, *, direct: bool, others: Mapping[str, str] = NO_OTHERS
) -> str:
    """Return the command that a text consists of, apart from mentions of the bot; see `command_in`.

    Args:
        payload: what was said.
        identity: who the bot is.
        direct: whether it was said in a direct conversation.
        others: commands beside our own, by each word for them.
    """
    if payload.type != ContentType.TEXT:
        return ""
    return command_in(_unaddressed(payload, identity), direct=direct, names=_names(identity), others=others)


def argument_of(payload: Payload, identity: Identity, *, direct: bool) -> str:
    """Return what stands behind the command of a text; see `command_of` and `argument_in`."""
    return argument_in(_unaddressed(payload, identity), direct=direct, names=_names(identity))


def verdict_of(payload: Payload, identity: Identity, *, direct: bool) -> Verdict | None:
    """Return what a command of `command_of` decides, ``None`` for one that decides nothing."""
    return verdict_in(_unaddressed(payload, identity), direct=direct, names=_names(identity))


def _unaddressed(payload: Payload, identity: Identity) -> str:
    """Return a text without the mentions of the bot around it."""
    return without_mentions(payload.text, identity.name, _own_entities(payload, identity))


def _names(identity: Identity) -> tuple[str, str]:
    return identity.name, identity.uid


def _kind(command: str) -> DecisionKind:
    return DecisionKind.TURN if command in {"", STOP_WORD} else DecisionKind.COMMAND


def _spoken(
    envelope: Envelope, payload: Payload, identity: Identity, policy: GatePolicy, uid: str
) -> Decision:
    """Return the decision on something said, whoever may say it."""
    from_bot = is_bot(uid, policy)
    if envelope.channel_type == ChannelType.PERSON:
        return _direct(envelope, payload, identity, policy, from_bot=from_bot)
    if reason := _named(payload, identity):
        return _addressed(payload, identity, policy, reason, from_bot=from_bot)
    if from_bot:
        return Decision(DecisionKind.CONTEXT, "not named by bot", from_bot=True)
    if reason := _meant_by_person(payload, identity, policy, uid):
        unmentioned = reason in _UNMENTIONED and not policy.answer_others_mentions
        if unmentioned and _is_for_others(payload, identity, policy):
            return Decision(DecisionKind.CONTEXT, FOR_OTHERS)
        return _addressed(payload, identity, policy, reason, from_bot=False)
    return Decision(DecisionKind.CONTEXT, "no mention")


def _unspoken(envelope: Envelope, payload: Payload, identity: Identity, uid: str) -> Decision | None:
    """Return the decision on what nobody says to a bot, ``None`` for a chat message."""
    if identity.uid in {envelope.from_uid, uid}:
        return Decision(DecisionKind.ECHO, "own message")
    if envelope.is_event_packet:
        return Decision(DecisionKind.CONTROL, "event packet")
    if payload.type == ContentType.COMMAND:
        return Decision(DecisionKind.CONTROL, "command packet")
    if not envelope.from_uid or payload.type in SYSTEM_TYPES:
        return Decision(DecisionKind.CONTROL, "system message")
    if payload.event_type:
        return Decision(DecisionKind.CONTROL, "document event")
    if envelope.channel_type not in _CONVERSATIONS:
        return Decision(DecisionKind.IGNORED, "unsupported channel type")
    return None


def _direct(
    envelope: Envelope, payload: Payload, identity: Identity, policy: GatePolicy, *, from_bot: bool
) -> Decision:
    sides = sides_of_compound(envelope.channel_id, identity.uid)
    if len(sides) > 1 and identity.uid not in sides:
        return Decision(DecisionKind.IGNORED, "not our conversation")
    if from_bot:
        return Decision(DecisionKind.CONTEXT, "bot in dm", from_bot=True)
    command = command_of(payload, identity, direct=True, others=policy.commands)
    return Decision(_kind(command), "dm", command)


def _named(payload: Payload, identity: Identity) -> str:
    """Return how a message names the bot by its id, in a way that also counts between bots."""
    if payload.mention is not None and identity.uid in payload.mention.uids:
        return "uid"
    return "entity" if _own_entities(payload, identity) else ""


def _meant_by_person(payload: Payload, identity: Identity, policy: GatePolicy, uid: str) -> str:
    """Return how a person's message addresses the bot without its id."""
    mention, reply = payload.mention, payload.reply
    if mention is not None and mention.ais and not (mention.all or mention.humans):
        return "ais"
    if policy.reply_triggers and reply is not None and reply.from_uid == identity.uid:
        return "reply to bot"
    if payload.type == ContentType.TEXT and mentions_typed_name(payload.text, identity.name):
        return "typed name"
    if not policy.require_mention:
        return NOT_REQUIRED
    return PREFERRED if uid in policy.no_mention else ""


def _is_for_others(payload: Payload, identity: Identity, policy: GatePolicy) -> bool:
    """Return whether a message that does not name the bot names others: by a mention, or behind a command."""
    if named_uids(payload.text or payload.plain, payload.mention):
        return True
    return payload.type == ContentType.TEXT and names_another(payload.text, _names(identity), policy.commands)


def _addressed(
    payload: Payload, identity: Identity, policy: GatePolicy, reason: str, *, from_bot: bool
) -> Decision:
    command = "" if from_bot else command_of(payload, identity, direct=False, others=policy.commands)
    return Decision(_kind(command), reason, command, from_bot)


def _own_entities(payload: Payload, identity: Identity) -> list[Entity]:
    marked = valid_entities(payload.text or payload.plain, payload.mention)
    return [entity for entity in marked if entity.uid == identity.uid]


def _bare(uid: str) -> str:
    return split_space(uid)[1]
