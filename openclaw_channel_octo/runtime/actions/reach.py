"""What one requester may reach through one bot: the rules of `policy.authority` on the bot's conversations."""

from collections.abc import Sequence

from openclaw_channel_octo.errors import ApiError, RequestDenied, TargetError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.target import Target, is_bare, parse_target
from openclaw_channel_octo.policy.authority import Requester, needs_roster, refusal
from openclaw_channel_octo.rest.models import Candidate, Group
from openclaw_channel_octo.runtime.actions.audit import Record
from openclaw_channel_octo.runtime.actions.types import ActionContext, NameMatches
from openclaw_channel_octo.runtime.turn.runs import OpenRun

__all__ = ["Reach", "by_name"]


class Reach:
    """Finds conversations for one requester, and refuses those it may not reach.

    Methods raise `RequestDenied` for what the requester may not, `TargetError` for a target that names nothing, and
    `ApiError` where the server cannot be asked.

    Args:
        bot: the bot.
        requester: for whom.
        run: the run whose agent asks, ``None`` for an operator.
    """

    def __init__(self, bot: ActionContext, requester: Requester, run: OpenRun | None) -> None:
        self._groups = bot.directory.groups
        self._own_uid = bot.context.identity.uid
        self._requester = requester
        self._run = run

    @property
    def here(self) -> ChannelRef | None:
        """The conversation of the turn, ``None`` for an operator."""
        return self._requester.conversation

    async def reach(self, text: str, record: Record) -> Target:
        """Return the conversation a target names, once it is certain that the requester may reach it."""
        named = await self.named(text, record)
        await self.require(named)
        return named

    async def named(self, text: str, record: Record) -> Target:
        """Return the conversation a target names, and record it."""
        self.require_open()
        groups = {group.group_no for group in await self._groups.groups()} if is_bare(text) else ()
        named = parse_target(text, groups=groups, own_uid=self._own_uid)
        record.target = str(named)
        return named

    async def require(self, target: Target) -> None:
        """Raise `RequestDenied` where the requester may not reach a conversation."""
        people = None
        if needs_roster(self._requester, target.channel):
            people = await self._people(target.group_no)
        if why := refusal(self._requester, target.channel, people):
            raise RequestDenied(why)

    async def reach_group(self, text: str, record: Record) -> Target:
        """Return the group a target names, as `reach` does; a thread is of its group."""
        named = await self.reach(text, record)
        if not named.group_no:
            raise TargetError("the target is a person, not a group")
        return named

    async def _people(self, group_no: str) -> set[str] | None:
        """Return the people of a group, ``None`` where they cannot be had."""
        try:
            return {member.uid for member in await self._groups.members(group_no) if not member.robot}
        except ApiError:
            return None

    def require_open(self) -> None:
        """Raise `RequestDenied` where the run has ended."""
        if self._run is not None and not self._run.is_open:
            raise RequestDenied("the turn has ended, and with it what its agent may do in the chat")

    async def shared(self, uid: str) -> list[Group]:
        """Return the groups the bot shares with a person whose groups the requester may see."""
        self.require_open()
        own = Requester(role=self._requester.role, uid=self._requester.uid)
        if why := refusal(own, ChannelRef(uid, ChannelType.PERSON)):
            raise RequestDenied(f"whose groups: {why}")
        groups = await self._groups.groups()
        inside = await self._groups.groups_with(uid, {group.group_no for group in groups})
        return [group for group in groups if group.group_no in inside]

    async def within_reach(self, found: NameMatches) -> NameMatches:
        """Leave out what the requester could not read."""
        if self._requester.bound:
            raise RequestDenied(refusal(self._requester, ChannelRef("", ChannelType.GROUP)))
        groups = {candidate.channel_id.partition("____")[0] for candidate in found.candidates}
        inside = await self._groups.groups_with(self._requester.uid, groups)
        kept = (one for one in found.candidates if one.channel_id.partition("____")[0] in inside)
        return NameMatches(candidates=tuple(kept), complete=found.complete)


def by_name(name: str, groups: Sequence[Group]) -> NameMatches:
    """Return the groups whose names contain ``name``, in any case, exact ones first."""
    wanted = name.casefold()
    alike = [group for group in groups if wanted in group.name.casefold()]
    alike.sort(key=lambda group: group.name.casefold() != wanted)
    candidates = tuple(Candidate(kind="group", channel_id=group.group_no, name=group.name) for group in alike)
    return NameMatches(
        candidates=candidates, complete=False
    )  # threads have names too, and cannot be asked for
