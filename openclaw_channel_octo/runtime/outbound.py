"""What a host or an agent can have a bot do beside answering (reference-behaviour §g.3, §g.4, §i)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, NotFound, RequestDenied, TargetError
from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.excerpt import excerpt, excerpt_block
from openclaw_channel_octo.message.history import Said
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.target import Target, is_bare, parse_target
from openclaw_channel_octo.policy.authority import Requester, Role, needs_roster, refusal
from openclaw_channel_octo.policy.gate import GatePolicy, is_bot
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.rest.models import Candidate, Group, GroupMember, HistoryMessage, ThreadInfo
from openclaw_channel_octo.runtime.audit import Audit, Record
from openclaw_channel_octo.runtime.places import Places
from openclaw_channel_octo.runtime.roster import Roster
from openclaw_channel_octo.store.journal import Journal

__all__ = ["Found", "Outbound", "OutboundBot", "ReadMessage", "ReadPage", "requester_of"]

READ_LIMIT = 20
MOST_HERE = 100
"""Most messages of one read in the conversation of the turn."""
MOST_ELSEWHERE = 50
MOST_CANDIDATES = 50

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundBot:
    """What a bot lends to those who speak through it.

    Attributes:
        account_id: its account.
        own_uid: its uid in the chat.
        api: its API.
        places: where it is.
        roster: who is who.
        journal: where requests are recorded.
        clock: time.
    """

    account_id: str
    own_uid: str
    api: BotApi
    places: Places
    roster: Roster
    journal: Journal
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMessage:
    """One message that was read. Name and text are the words of people: untrusted.

    Attributes:
        message_id: the server's id.
        message_seq: its number in the conversation, for ``before`` and ``after``.
        timestamp: Unix seconds.
        from_uid: who wrote it, empty for the system.
        from_name: that person's display name, empty when unknown.
        text: what it says, cut at 500 characters; what is no text as a line that says what it is.
    """

    message_id: str
    message_seq: int
    timestamp: int
    from_uid: str
    from_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
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

    def block(self) -> str:
        """Return the messages as text for a model."""
        names = {message.from_uid: message.from_name for message in self.messages}
        said = [Said(message.from_uid, message.text) for message in self.messages]
        return excerpt_block(said, names, elsewhere=self.elsewhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
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


class Outbound:
    """Lets one requester act through one bot; made by `OctoChannel.outbound` and `operator_outbound`.

    Every request is recorded in the journal before anything is done for it. What a requester may reach is
    `policy.authority`. All methods raise `RequestDenied` for what they may not, `TargetError` for a target that names
    nothing, `ApiError` where the server does not do it, `StoreError` where it cannot be recorded.

    Args:
        bot: the bot.
        requester: for whom.
        run_id: the run whose agent asks, empty for an operator.
        is_open: tells whether that run still goes on; with it ends what its agent may do.
    """

    def __init__(
        self, bot: OutboundBot, requester: Requester, run_id: str, is_open: Callable[[], bool]
    ) -> None:
        self._bot = bot
        self._requester = requester
        self._is_open = is_open
        self._audit = Audit(
            journal=bot.journal,
            clock=bot.clock,
            account_id=bot.account_id,
            requester=requester,
            run_id=run_id,
        )

    async def read(
        self, target: str, *, limit: int = READ_LIMIT, before: int = 0, after: int = 0
    ) -> ReadPage:
        """Return messages of a conversation.

        Args:
            target: see `parse_target`.
            limit: most messages; at most 100 of the turn's own conversation, 50 of another.
            before: only messages numbered below this, the newest of them; 0 for no bound.
            after: only messages numbered above this, the oldest of them; wins over ``before``.
        """
        async with self._audit.record("read") as record:
            named = await self._reach(target, record)
            elsewhere = named.channel != self._requester.conversation
            wanted = max(1, min(limit, MOST_ELSEWHERE if elsewhere else MOST_HERE))
            rows = await self._rows(named.channel, wanted + 1, before, after)
            kept = rows[:wanted] if after else rows[-wanted:]
            record.detail = f"{len(kept)} messages"
            return ReadPage(
                target=named,
                messages=await self._messages(named.channel, kept),
                has_more=len(rows) > wanted,
                elsewhere=elsewhere,
            )

    async def groups(self) -> list[Group]:
        """Return the bot's groups; for a person only those that person is in too."""
        async with self._audit.record("groups") as record:
            if self._requester.unbounded:
                self._require_open()
                found = list(await self._bot.places.groups())
            else:
                found = await self._shared(self._requester.uid)
            record.detail = f"{len(found)} groups"
            return found

    async def shared_groups(self, uid: str = "") -> list[Group]:
        """Return the groups the bot shares with a person.

        Args:
            uid: the person; the requester by default, and for everybody but the bot's owner and operators.
        """
        async with self._audit.record("shared-groups") as record:
            asked = uid or self._requester.uid
            if not asked:
                raise TargetError("whose groups? give the uid of a person")
            record.target = f"user:{asked}"
            found = await self._shared(asked)
            record.detail = f"{len(found)} groups"
            return found

    async def group_members(self, group: str) -> list[GroupMember]:
        """Return who is in a group, or in a thread's group; names are chosen by their owners: untrusted."""
        async with self._audit.record("members") as record:
            found = await self._members(group, record)
            record.detail = f"{len(found)} members"
            return found

    async def search_members(self, group: str, name: str) -> list[GroupMember]:
        """Return the members of a group whose names contain ``name``, in any case; exact names first."""
        async with self._audit.record("search-members") as record:
            wanted = name.strip().casefold()
            members = await self._members(group, record)
            found = [member for member in members if wanted in member.name.casefold()]
            found.sort(key=lambda member: member.name.casefold() != wanted)
            record.detail = f"{len(found)} members"
            return found

    async def threads(self, group: str) -> list[ThreadInfo]:
        """Return a group's active threads, at most 100."""
        async with self._audit.record("threads") as record:
            named = await self._reach_group(group, record)
            found = await self._bot.api.threads(named.group_no)
            record.detail = f"{len(found)} threads"
            return found

    async def resolve(self, name: str) -> Found:
        """Return the groups and threads that a name may mean; which one is never guessed, see `Found.only`.

        Servers that cannot be asked for names know groups alone, by the list of the bot's groups.
        """
        async with self._audit.record("resolve") as record:
            self._require_open()
            found = await self._candidates(name.strip())
            if not self._requester.unbounded:
                found = await self._within_reach(found)
            record.detail = f"{len(found.candidates)} candidates"
            return found

    async def _reach(self, text: str, record: Record) -> Target:
        """Return the conversation a target names, once it is certain that the requester may reach it."""
        self._require_open()
        groups = {group.group_no for group in await self._bot.places.groups()} if is_bare(text) else ()
        named = parse_target(text, groups=groups, own_uid=self._bot.own_uid)
        record.target = str(named)
        people = None
        if needs_roster(self._requester, named.channel):
            people = await self._people(named.group_no)
        if why := refusal(self._requester, named.channel, people):
            raise RequestDenied(why)
        return named

    async def _reach_group(self, text: str, record: Record) -> Target:
        named = await self._reach(text, record)
        if not named.group_no:
            raise TargetError("the target is a person, not a group")
        return named

    async def _people(self, group_no: str) -> set[str] | None:
        """Return the people of a group, ``None`` where they cannot be had."""
        try:
            return {member.uid for member in await self._bot.places.members(group_no) if not member.robot}
        except ApiError:
            return None

    def _require_open(self) -> None:
        if not self._is_open():
            raise RequestDenied("the turn has ended, and with it what its agent may do in the chat")

    async def _rows(self, channel: ChannelRef, count: int, before: int, after: int) -> list[HistoryMessage]:
        api = self._bot.api
        if after > 0:
            return await api.sync_messages(channel, start=after + 1, limit=count)
        if before > 0:
            return (
                await api.sync_messages(channel, start=before - 1, limit=count, pull_up=False)
                if before > 1
                else []
            )
        return await api.sync_messages(channel, limit=count)

    async def _messages(self, channel: ChannelRef, rows: Sequence[HistoryMessage]) -> tuple[ReadMessage, ...]:
        names = await self._bot.roster.names(channel, rows[-1].from_uid) if rows else {}
        return tuple(
            ReadMessage(
                message_id=row.message_id,
                message_seq=row.message_seq,
                timestamp=row.timestamp,
                from_uid=row.from_uid,
                from_name=names.get(row.from_uid, ""),
                text=excerpt(render(parse_payload(row.payload)).text),
            )
            for row in rows
        )

    async def _members(self, group: str, record: Record) -> list[GroupMember]:
        named = await self._reach_group(group, record)
        return await self._bot.places.members(named.group_no)

    async def _shared(self, uid: str) -> list[Group]:
        self._require_open()
        own = Requester(role=self._requester.role, uid=self._requester.uid)
        if why := refusal(own, ChannelRef(uid, ChannelType.PERSON)):
            raise RequestDenied(f"whose groups: {why}")
        groups = await self._bot.places.groups()
        inside = await self._bot.places.groups_with(uid, {group.group_no for group in groups})
        return [group for group in groups if group.group_no in inside]

    async def _candidates(self, name: str) -> Found:
        if not name:
            raise TargetError("the name is empty")
        try:
            found = await self._bot.api.named_targets(name, MOST_CANDIDATES)
        except NotFound:
            return _by_name(name, await self._bot.places.groups())
        complete = not found.truncated and found.total <= len(found.candidates)
        return Found(candidates=found.candidates, complete=complete)

    async def _within_reach(self, found: Found) -> Found:
        """Leave out what the requester could not read."""
        if self._requester.role is Role.BOT:
            raise RequestDenied("another bot may only use the conversation it writes in")
        groups = {candidate.channel_id.partition("____")[0] for candidate in found.candidates}
        inside = await self._bot.places.groups_with(self._requester.uid, groups)
        kept = (one for one in found.candidates if one.channel_id.partition("____")[0] in inside)
        return Found(candidates=tuple(kept), complete=found.complete)


def _by_name(name: str, groups: Sequence[Group]) -> Found:
    wanted = name.casefold()
    alike = [group for group in groups if wanted in group.name.casefold()]
    alike.sort(key=lambda group: group.name.casefold() != wanted)
    candidates = tuple(Candidate(kind="group", channel_id=group.group_no, name=group.name) for group in alike)
    return Found(candidates=candidates, complete=False)  # threads have names too, and cannot be asked for
