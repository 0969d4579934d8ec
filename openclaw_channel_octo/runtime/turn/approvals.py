"""What agents ask leave for: shown in the conversation of the run, once, and decided there (decision 0051)."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import ApiError, HostError
from openclaw_channel_octo.host.approvals import Approval, ApprovalEnd, ApprovalsChanged, DecidesApprovals
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.asked import LONGEST, asked_block
from openclaw_channel_octo.message.payload import ContentType
from openclaw_channel_octo.message.text import label, utf16_length
from openclaw_channel_octo.policy.verdicts import ALWAYS, DENY, ONCE, short_id
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store.approvals import EXPIRED, GONE, ApprovalRow
from openclaw_channel_octo.store.records import Chunk, InboundRow

__all__ = ["ApprovalDesk"]

COMMANDS_OF: Mapping[str, str] = {ONCE: "/approve %s once", ALWAYS: "/approve %s always", DENY: "/deny %s"}
"""What people write for each decision; ``%s`` stands for the request."""


class ApprovalDesk(Struct, frozen=True, kw_only=True):
    """Tells the people of a conversation what its run asks leave for, and how that ended where nobody there ended it.

    Every message is in the journal before it is sent, so that a restart neither repeats nor forgets one.

    Attributes:
        context: what every part of the bot is made from.
        sender: brings a message into the chat.
        runs: the host that is told what cannot be shown.
        hide: takes the secrets of the configuration out of a text.
    """

    context: BotContext
    sender: Sender
    runs: Runs
    hide: Callable[[str], str]

    async def update(self, row: InboundRow, run_id: str, changed: ApprovalsChanged) -> None:
        """Bring the conversation up to date with what the run of a message asks leave for.

        Raises:
            StoreError: the journal did not take it.
        """
        pending = {approval.id for approval in changed.pending}
        ends = {end.id: end for end in changed.ends}
        for known in await self.context.journal.approvals.unfinished(row.id):
            if known.decision:
                await self._tell_end(row, known, known.decision, known.end_ref, uncertain=True)
            elif known.id not in pending:
                await self._end(row, known, ends.get(known.id))
        for approval in changed.pending:
            await self._ask(row, run_id, approval)

    async def _ask(self, row: InboundRow, run_id: str, approval: Approval) -> None:
        """Show a request, unless it was shown."""
        choices = " ".join(approval.choices)
        known, is_new = await self.context.journal.approvals.ask(row.account, row.id, approval.id, choices)
        if known is None or known.shown or known.decision:
            return
        text = self._text(row.channel, approval)
        if not text:
            await self._deny_unseen(row, run_id, approval, known)
        elif await self._send(row.channel, known.ref, text, known.asked_at, uncertain=not is_new):
            await self.context.journal.approvals.shown(row.account, approval.id)
            self.context.log.info("an agent asks for leave: %s in %s", short_id(approval.id), row.channel.id)
        else:
            await self._deny(run_id, approval.id)

    async def _deny_unseen(
        self, row: InboundRow, run_id: str, approval: Approval, known: ApprovalRow
    ) -> None:
        """Deny what is too long to be shown whole: nobody is to allow what they have not seen."""
        await self._deny(run_id, approval.id)
        end_ref = await self.context.journal.approvals.end(row.account, approval.id, DENY, tell=True)
        if end_ref:
            text = self._texts.approval_too_long.replace("%s", _agent(approval))
            text = text.replace("%d", str(len(approval.what)))
            if await self._send(row.channel, end_ref, text, known.asked_at, uncertain=False):
                await self.context.journal.approvals.told(row.account, approval.id)

    async def _deny(self, run_id: str, approval_id: str) -> None:
        """Deny a request nobody can decide, so that its run goes on without."""
        host = self.runs.host_of(run_id)
        if isinstance(host, DecidesApprovals):
            try:
                await ask_host(self.context.clock, "deny a request", host.decide(approval_id, DENY))
            except HostError as error:
                self.context.log.warning("a request that cannot be shown stays open: %s", error)

    async def _end(self, row: InboundRow, known: ApprovalRow, end: ApprovalEnd | None) -> None:
        """Tell that a request is over that nobody here has decided."""
        decision = GONE if end is None else end.decision or EXPIRED
        end_ref = await self.context.journal.approvals.end(row.account, known.id, decision, tell=True)
        if end_ref:
            await self._tell_end(row, known, decision, end_ref, uncertain=False)

    async def _tell_end(
        self, row: InboundRow, known: ApprovalRow, decision: str, end_ref: str, *, uncertain: bool
    ) -> None:
        texts = self._texts
        told = {
            ONCE: texts.approval_allowed_elsewhere,
            ALWAYS: texts.approval_allowed_elsewhere,
            DENY: texts.approval_denied_elsewhere,
            EXPIRED: texts.approval_expired,
        }.get(decision, texts.approval_gone)
        text = told.replace("%s", short_id(known.id))
        if await self._send(row.channel, end_ref, text, known.asked_at, uncertain=uncertain):
            await self.context.journal.approvals.told(row.account, known.id)

    async def _send(
        self, channel: ChannelRef, ref: str, text: str, since_ms: int, *, uncertain: bool
    ) -> bool:
        """Send a text as it is: nothing in it calls anybody, no agent may change it. Return whether it stands there."""
        payload = json.dumps({"type": int(ContentType.TEXT), "content": text}, ensure_ascii=False)
        chunk = Chunk(ref=ref, text=text, payload=payload, since_ms=since_ms)
        try:
            message_id = await self.sender.deliver(channel, chunk, uncertain=uncertain)
        except ApiError as error:
            self.context.log.warning("people could not be told what an agent asks leave for: %s", error)
            return False
        await self.context.journal.lines.add(self.context.config.account_id, message_id)
        return True

    def _text(self, channel: ChannelRef, approval: Approval) -> str:
        """Return what people read of a request, empty where it is too long to be shown whole."""
        lines = (approval.what, *approval.where, *approval.warnings)
        if sum(map(len, lines)) > LONGEST:
            return ""
        texts, request = self._texts, short_id(approval.id)
        to_bot = "" if channel.type == ChannelType.PERSON else f"@{self.context.identity.name} "
        until = datetime.fromtimestamp(approval.expires_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        commands = [f"{to_bot}{command}" for one, command in COMMANDS_OF.items() if one in approval.choices]
        text = "\n".join(
            (
                texts.approval_asked.replace("%s", _agent(approval)),
                self.hide(asked_block(approval.what, approval.where, approval.warnings)),
                texts.approval_until.replace("%s", until),
                texts.approval_decide.replace("%s", " · ".join(commands).replace("%s", request)),
            )
        )
        return text if utf16_length(text) <= self.context.config.reply_chunk else ""

    @property
    def _texts(self) -> Texts:
        return self.context.config.texts


def _agent(approval: Approval) -> str:
    return label(approval.agent_id) or "?"
