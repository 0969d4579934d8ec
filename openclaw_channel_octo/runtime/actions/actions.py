"""What a host or an agent can have a bot do beside answering (reference-behaviour §g.3, §g.4, §i).

Over 350 lines: one class, what programs call, each method with its errors.
"""

from collections.abc import Sequence
from functools import partial

from openclaw_channel_octo.errors import BadRequest, NotFound, TargetError
from openclaw_channel_octo.host.base import AgentHost, MediaItem
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.target import Destination, Target, calling, destination
from openclaw_channel_octo.policy.authority import Requester
from openclaw_channel_octo.rest.models import Group, GroupMember, ThreadInfo
from openclaw_channel_octo.runtime.actions.audit import Record, recorded
from openclaw_channel_octo.runtime.actions.editing import edit
from openclaw_channel_octo.runtime.actions.interrupted import said_already
from openclaw_channel_octo.runtime.actions.manage import GroupManagement
from openclaw_channel_octo.runtime.actions.once import digest_of, new_post, quote_of
from openclaw_channel_octo.runtime.actions.reach import Reach, by_name
from openclaw_channel_octo.runtime.actions.reading import messages_of, rows_of
from openclaw_channel_octo.runtime.actions.rich import together
from openclaw_channel_octo.runtime.actions.search import matching
from openclaw_channel_octo.runtime.actions.types import (
    ActionContext,
    NameMatches,
    ReadPage,
    SendReceipt,
)
from openclaw_channel_octo.runtime.delivery.parts import Said
from openclaw_channel_octo.runtime.delivery.posts import Posted
from openclaw_channel_octo.runtime.turn.runs import OpenRun
from openclaw_channel_octo.store.records import Part

__all__ = ["AgentActions"]

READ_LIMIT = 20
MOST_HERE = 100
"""Most messages of one read in the conversation of the turn."""
MOST_ELSEWHERE = 50
MOST_CANDIDATES = 50
SOURCE_CHARS = 200

DISBANDED = 2
"""Status of a group whose members get nothing any more (octo-bot-api §2.7)."""


class AgentActions:
    """Lets one requester act through one bot; made by `OctoChannel.outbound` and `operator_outbound`.

    Every request is recorded in the journal before anything is done for it. What a requester may reach is
    `policy.authority`. All methods raise `RequestDenied` for what they may not, `TargetError` for a target that names
    nothing, `ApiError` where the server does not do it, `StoreError` where it cannot be recorded.

    Args:
        bot: the bot.
        requester: for whom.
        run: the run whose agent asks, ``None`` for an operator; with it ends what its agent may do.
        host: the host where it is the one that speaks: of an interrupted run's end people read one.
    """

    def __init__(
        self,
        bot: ActionContext,
        requester: Requester,
        run: OpenRun | None = None,
        *,
        host: AgentHost | None = None,
    ) -> None:
        self._bot, self._host = bot, host
        self._requester, self._run = requester, run
        self._reach = Reach(bot, requester, run)
        self.role = requester.role
        self.mark = run.turn.mark if run else ""  # of what the agent reads, for `ReadPage.block`
        self._recorded = partial(recorded, bot.context, requester, run.turn.run_id if run else "")
        self.manage = GroupManagement(bot, requester, run, self._reach, self._recorded)
        """What it may change in groups and threads."""

    async def send_text(
        self, target: str, text: str, *, thread_id: str | int | None = None, scope: str = ""
    ) -> SendReceipt:
        """Send a message; a long one becomes several.

        In the conversation of the turn it is a part of the answer, so that an agent that has said all it wanted may
        end without a word. A send whose outcome is unknown is looked for in the chat before it is repeated.

        Args:
            target: see `parse_target`; people named behind ``@`` are called at the beginning of the text.
            text: Markdown; ``@name`` and ``@[uid:name]`` call people of that conversation.
            thread_id: see `destination`.
            scope: see `destination`.
        """
        return await self._send("send", target, text, (), thread_id=thread_id, scope=scope)

    async def send_media(
        self,
        target: str,
        files: Sequence[MediaItem],
        *,
        text: str = "",
        rich: bool = False,
        thread_id: str | int | None = None,
        scope: str = "",
    ) -> SendReceipt:
        """Send files, after a text if there is one. One that cannot be sent does not keep the others back.

        Args:
            target: as in `send_text`.
            files: as in an answer; inside a turn also those in `Turn.output`.
            text: said before them, may be empty.
            rich: whether text and pictures are one message, where the text fits one; other files follow.
            thread_id: see `destination`.
            scope: see `destination`.
        """
        if not files:
            raise BadRequest("sendMessage", "there is no file; nothing was sent")
        return await self._send(
            "send-media", target, text, files, rich=rich, thread_id=thread_id, scope=scope
        )

    async def send_once(
        self,
        target: str,
        text: str = "",
        files: Sequence[MediaItem] = (),
        *,
        key: str = "",
        thread_id: str | int | None = None,
        reply_to: str = "",
    ) -> SendReceipt:
        """Send a message that the journal holds before anything of it is sent: all of it, once, or an error.

        In the conversation of the turn it is a part of the answer, as in `send_text`. A file that cannot be sent
        keeps everything back.

        Args:
            target: as in `send_text`.
            text: Markdown; may be empty where there are files.
            files: sent behind the text.
            key: names the send for good: the same key sends nothing twice, also after a kill. Empty for a fresh one.
            thread_id: see `destination`.
            reply_to: id of a message there that it quotes; one that is not known is not quoted.

        Raises:
            SendFailed: it was not sent, or not to its end.
            HostUnavailable: a host speaks in a conversation whose interrupted run is still looked for.
        """
        async with self._recorded("send") as record:
            if not text.strip() and not files:
                raise BadRequest("sendMessage", "there is no text and no file; nothing was sent")
            found = await self._bound(target, record, thread_id, "")
            channel = found.target.channel
            text = await self._calling(found.target, text)
            if channel != self._reach.here and channel.type != ChannelType.PERSON:
                await self._require_alive(channel)
            if (ids := await said_already(self._bot, self._host, channel, text, key)) is not None:
                record.detail = "left out: people have the end of that turn already"
                return SendReceipt(message_ids=ids, target=found.target, reason=found.reason, repeated=True)
            run = self._run if channel == self._reach.here else None
            if run is None:
                self._reach.require_open()
            digest = digest_of(target, text, files, thread_id, reply_to)
            posted = await self._bot.posts.send(
                new_post(self._bot, key, digest, found),
                [*([text] if text.strip() else []), *files],
                run_id=self._run.turn.run_id if self._run else "",
                reply=await quote_of(self._bot, channel, reply_to),
                answering=run.post if run else None,
            )
            record.detail = f"messages {', '.join(posted.message_ids)}, {found.reason}"
            return SendReceipt(
                message_ids=posted.message_ids,
                target=found.target,
                reason=found.reason,
                repeated=posted.repeated,
            )

    async def sent(self, key: str) -> Posted:
        """Return what became of a send by its key, without sending anything; see `send_once`."""
        return await self._bot.posts.look(self._bot.context.config.account_id, key)

    async def type(self, target: str, *, thread_id: str | int | None = None) -> Target:
        """Show the bot as typing for some seconds; return where. Nothing of it is recorded; see `send_text`."""
        found = await self._bound(target, Record(), thread_id, "")
        await self._bot.context.api.typing(found.target.channel)
        return found.target

    async def edit(self, target: str, message_id: str, text: str, *, scope: str = "") -> None:
        """Put another text in the place of one of the bot's own messages; see `editing.edit` for which.

        Args:
            target: where the message stands, as in `send_text`.
            message_id: which, from a `SendReceipt` or a `ReadMessage`.
            text: the whole new text; it has to fit one message.
            scope: see `destination`.
        """
        async with self._recorded("edit") as record:
            if not text.strip():
                raise BadRequest("editMessage", "the text is empty; nothing was changed")
            found = await self._bound(target, record, None, scope)
            record.detail = f"message {message_id}"
            text = await self._calling(found.target, text)
            await edit(self._bot, found.target.channel, message_id, text)

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
        async with self._recorded("read") as record:
            named = await self._reach.reach(target, record)
            elsewhere = named.channel != self._reach.here
            wanted = max(1, min(limit, MOST_ELSEWHERE if elsewhere else MOST_HERE))
            rows = await rows_of(self._bot, named.channel, wanted + 1, before, after)
            kept = rows[:wanted] if after else rows[-wanted:]
            record.detail = f"{len(kept)} messages"
            return ReadPage(
                target=named,
                messages=await messages_of(self._bot, named.channel, kept),
                has_more=len(rows) > wanted,
                elsewhere=elsewhere,
            )

    async def search(self, target: str, words: str, *, limit: int = READ_LIMIT) -> ReadPage:
        """Return the newest messages of a conversation that contain all words; looks through its last thousand.

        Args:
            target: see `parse_target`.
            words: separated by white space, in any case.
            limit: most messages, 50 at most.
        """
        async with self._recorded("search") as record:
            if not words.strip():
                raise BadRequest("messages/sync", "there are no words to look for")
            named = await self._reach.reach(target, record)
            most = max(1, min(limit, MOST_ELSEWHERE))
            rows, more = await matching(self._bot.context.api, named.channel, words, most)
            heard = [row for row in rows if not self._bot.context.blocks(row.from_uid)]
            found = await messages_of(self._bot, named.channel, heard)
            elsewhere = named.channel != self._reach.here
            return ReadPage(target=named, messages=found, has_more=more, elsewhere=elsewhere)

    async def groups(self) -> list[Group]:
        """Return the bot's groups; for a person only those that person is in too."""
        async with self._recorded("groups") as record:
            if self._requester.unbounded:
                self._reach.require_open()
                found = list(await self._bot.directory.groups.groups())
            else:
                found = await self._reach.shared(self._requester.uid)
            record.detail = f"{len(found)} groups"
            return found

    async def shared_groups(self, uid: str = "") -> list[Group]:
        """Return the groups the bot shares with a person.

        Args:
            uid: the person; the requester by default, and for everybody but the bot's owner and operators.
        """
        async with self._recorded("shared-groups") as record:
            asked = uid or self._requester.uid
            if not asked:
                raise TargetError("whose groups? give the uid of a person")
            record.target = f"user:{asked}"
            found = await self._reach.shared(asked)
            record.detail = f"{len(found)} groups"
            return found

    async def group_members(self, group: str) -> list[GroupMember]:
        """Return who is in a group, or in a thread's group; names are chosen by their owners: untrusted."""
        async with self._recorded("members") as record:
            found = await self._members(group, record)
            record.detail = f"{len(found)} members"
            return found

    async def search_members(self, group: str, name: str) -> list[GroupMember]:
        """Return the members of a group whose names contain ``name``, in any case; exact names first."""
        async with self._recorded("search-members") as record:
            wanted = name.strip().casefold()
            members = await self._members(group, record)
            found = [member for member in members if wanted in member.name.casefold()]
            found.sort(key=lambda member: member.name.casefold() != wanted)
            record.detail = f"{len(found)} members"
            return found

    async def threads(self, group: str) -> list[ThreadInfo]:
        """Return a group's active threads, at most 100."""
        async with self._recorded("threads") as record:
            named = await self._reach.reach_group(group, record)
            found = await self._bot.context.api.threads(named.group_no)
            record.detail = f"{len(found)} threads"
            return found

    async def resolve(self, name: str) -> NameMatches:
        """Return the groups and threads that a name may mean; which one is never guessed, see `NameMatches.only`.

        Servers that cannot be asked for names know groups alone, by the list of the bot's groups.
        """
        async with self._recorded("resolve") as record:
            self._reach.require_open()
            found = await self._candidates(name.strip())
            if not self._requester.unbounded:
                found = await self._reach.within_reach(found)
            record.detail = f"{len(found.candidates)} candidates"
            return found

    async def _calling(self, target: Target, text: str) -> str:
        """Return a text that calls the people its target names; nobody but people of that conversation."""
        if target.group_no and (target.mentions or "@" in text):
            await self._bot.directory.roster.asked(target.channel, next(iter(target.mentions), ""))
        return calling(text, target.mentions, self._bot.directory.roster.known(target.channel).people)

    async def _bound(self, text: str, record: Record, thread_id: str | int | None, scope: str) -> Destination:
        """Return where a message to a target goes, once it is certain that the requester may write there."""
        found = destination(
            await self._reach.named(text, record), here=self._reach.here, thread_id=thread_id, scope=scope
        )
        record.target = str(found.target)
        await self._reach.require(found.target)
        return found

    async def _send(  # noqa: PLR0913  # each with a name at every call
        self,
        action: str,
        target: str,
        text: str,
        files: Sequence[MediaItem],
        *,
        rich: bool = False,
        thread_id: str | int | None,
        scope: str,
    ) -> SendReceipt:
        async with self._recorded(action) as record:
            if not text.strip() and not files:
                raise BadRequest("sendMessage", "the text is empty; nothing was sent")
            found = await self._bound(target, record, thread_id, scope)
            channel = found.target.channel
            text = await self._calling(found.target, text)
            if channel != self._reach.here and channel.type != ChannelType.PERSON:
                await self._require_alive(channel)
            message, files = await self._together(channel, text, files) if rich else (None, files)
            said = [message] if message else text if text.strip() else []
            ids = list(await self._post(channel, said)) if said else []
            failed: list[tuple[str, str]] = []
            for file in files:
                posted = await self._post(channel, file)
                ids += posted
                reasons = filter(None, map(self._bot.outbox.missing_file, posted))
                failed += [(_source(file), reason) for reason in reasons]
            record.detail = f"messages {', '.join(ids)}, {found.reason}, {len(failed)} files failed"
            return SendReceipt(
                message_ids=tuple(ids), target=found.target, reason=found.reason, failed_media=tuple(failed)
            )

    async def _together(
        self, channel: ChannelRef, text: str, files: Sequence[MediaItem]
    ) -> tuple[Part | None, Sequence[MediaItem]]:
        self._reach.require_open()
        return await together(self._bot, channel, text, files, self._run.turn.run_id if self._run else "")

    async def _post(self, channel: ChannelRef, said: Said) -> Sequence[str]:
        if self._run is None:
            return await self._bot.outbox.post(channel, said)
        if channel == self._reach.here:
            return await self._run.post(said)
        self._reach.require_open()
        return await self._bot.outbox.post(channel, said, self._run.turn.run_id)

    async def _require_alive(self, channel: ChannelRef) -> None:
        """Raise where a message would be accepted and reach nobody (octo-bot-api §4.2)."""
        info = await self._bot.context.api.group_info(Target(channel).group_no)
        if info.status == DISBANDED:
            raise BadRequest("sendMessage", "the group is disbanded: nobody would get it; nothing was sent")

    async def _members(self, group: str, record: Record) -> list[GroupMember]:
        named = await self._reach.reach_group(group, record)
        return await self._bot.directory.groups.members(named.group_no)

    async def _candidates(self, name: str) -> NameMatches:
        if not name:
            raise TargetError("the name is empty")
        try:
            found = await self._bot.context.api.named_targets(name, MOST_CANDIDATES)
        except NotFound:
            return by_name(name, await self._bot.directory.groups.groups())
        complete = not found.truncated and found.total <= len(found.candidates)
        return NameMatches(candidates=found.candidates, complete=complete)


def _source(file: MediaItem) -> str:
    """Return what a file is called when it is told of; an address may hold the whole file."""
    return file.name or str(file.path or file.url)[:SOURCE_CHARS]
