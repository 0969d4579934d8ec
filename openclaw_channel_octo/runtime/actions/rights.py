"""Who may have which group changed by a bot: the rules of `policy.authority` on its groups (docs/decisions/0054)."""

from collections.abc import Sequence

from msgspec import Struct

from openclaw_channel_octo.errors import BadRequest, RequestDenied, TargetError
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.message.target import Target
from openclaw_channel_octo.policy.authority import Requester, change_refusal
from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.rest.models import Group, GroupMember
from openclaw_channel_octo.runtime.actions.audit import Record
from openclaw_channel_octo.runtime.actions.reach import Reach
from openclaw_channel_octo.runtime.actions.types import ActionContext

__all__ = ["ChangeRights"]


class ChangeRights(Struct, frozen=True, kw_only=True):
    """What one requester may have changed.

    Methods raise `RequestDenied` for what the requester may not, `TargetError` for a target that names nothing of the
    kind, and `ApiError` where the server cannot be asked.

    Attributes:
        bot: the bot.
        requester: for whom.
        reach: finds conversations for the requester.
    """

    bot: ActionContext
    requester: Requester
    reach: Reach

    def refusal(self, group_no: str, managed_in: str) -> str:
        """Return why the requester may not change a group, empty where they may.

        Args:
            group_no: the group, empty for a new one.
            managed_in: the group whose managers count besides those of all groups, empty for none.
        """
        access = self.bot.context.config.access
        managers = access.managers_of(managed_in) if managed_in else access.managers
        return change_refusal(self.requester, group_no, managers)

    def require(self, group_no: str) -> None:
        """Raise `RequestDenied` where the requester may not change a group; an empty number stands for a new one."""
        if why := self.refusal(group_no, group_no):
            raise RequestDenied(why)

    async def changeable(
        self, text: str, record: Record, *kinds: ChannelType
    ) -> tuple[Target, Sequence[GroupMember]]:
        """Return what a target names, once it is certain that the requester may change it, and the group's members."""
        named = await self.reach.named(text, record)
        if named.channel.type not in kinds:
            wanted = " or ".join(sorted(kind.name.lower() for kind in kinds))
            raise TargetError(f"the target is no {wanted}; nothing was changed")
        self.require(named.group_no)
        members = await self.bot.directory.groups.members(named.group_no)
        people = {one.uid for one in members if not one.robot}
        if not self.requester.manages_all and self.requester.uid not in people:
            raise RequestDenied("whoever asks has to be in that group; nothing was changed")
        return named, members

    async def thread(self, text: str, record: Record) -> Target:
        """Return the thread a target names, as `changeable` does."""
        named, _ = await self.changeable(text, record, ChannelType.THREAD)
        return named

    async def known_groups(self) -> Sequence[Group]:
        """Return the groups the requester may know of."""
        if self.requester.manages_all:
            return await self.bot.directory.groups.groups()
        return await self.reach.shared(self.requester.uid)

    async def require_known(self, uids: Sequence[str]) -> None:
        """Raise `RequestDenied` where a manager has somebody added whom they share no group with."""
        if self.requester.manages_all:
            return
        strangers = {*uids} - {self.requester.uid}
        for group in await self.reach.shared(self.requester.uid) if strangers else ():
            members = await self.bot.directory.groups.members(group.group_no)
            strangers -= {one.uid for one in members if not one.robot}
        if strangers:
            raise RequestDenied(
                "a manager may have only people added who are in a group with them and the bot; nothing was changed"
            )

    def require_removable(self, uids: Sequence[str], members: Sequence[GroupMember]) -> None:
        """Raise `BadRequest` or `RequestDenied` where somebody cannot be removed, without quoting an agent's words."""
        roles = {one.uid: one.role for one in members}
        identity = self.bot.context.identity
        for number, uid in enumerate(uids, 1):
            if uid not in roles:
                raise BadRequest(
                    Call.REMOVE_MEMBERS, f"uid {number} is no member of this group; nothing was changed"
                )
            if uid in {identity.uid, identity.owner_uid}:
                raise RequestDenied("the bot removes neither itself nor its owner; nothing was changed")
            if roles[uid]:
                raise RequestDenied(
                    "the group's owner and managers are not removed by a bot; nothing was changed"
                )
