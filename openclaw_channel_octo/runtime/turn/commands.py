"""The bot's own commands: answered by the channel itself, past a busy lane."""

from msgspec import Struct

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AsksApprovals
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.underway import UnderwayMessages
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.runtime.turn.turn import STOPPED_TEXT
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Commands"]

HELP_TEXT = """\
/status – what this conversation's session is doing
/stop – stop the answer being worked on
/reset – begin a new conversation; I forget what was said here
/help – this list"""

FAILED = "⚠️ That did not work. The operator's log says why."
OWNER_ONLY = "Only the bot's owner, or somebody they have named for it, may do that here."
NO_APPROVALS = "This agent asks for no approvals."
APPROVED_ELSEWHERE = "I cannot pass decisions on. Please decide in %s."


class Commands(Struct, frozen=True, kw_only=True):
    """Answers commands for one bot.

    Everybody may look. In a direct conversation everybody commands their own session; in a group, and in direct
    conversations that share a session, only commanders may stop or reset. Only they may approve.

    Attributes:
        context: what every part of the bot is made from.
        runs: runs under way.
        lanes: messages that wait behind them.
        underway: messages that are worked on.
    """

    context: BotContext
    runs: Runs
    lanes: Lanes
    underway: UnderwayMessages

    async def answer(self, row: InboundRow, command: str) -> str:
        """Carry out a command and return what to say about it.

        Args:
            row: the message.
            command: the command word, such as ``/status``.
        """
        try:
            match command:
                case "/status":
                    return await self._status(row.session_key)
                case "/approve" if self._commanders.include(row.from_uid):
                    return self._approve()
                case "/stop" if self._may(row):
                    return "Stopping." if await self._stop(row.session_key) else "Nothing is running here."
                case "/reset" if self._may(row):
                    await self._stop(row.session_key)
                    resetting = self.context.host.reset(row.session_key)
                    await ask_host(self.context.clock, "begin a new session", resetting)
                    return "🔄 New conversation. What was said before is forgotten."
                case "/stop" | "/reset" | "/approve":
                    return OWNER_ONLY
                case _:
                    return HELP_TEXT
        except HostError as error:
            self.context.log.warning("%s failed: %s", command, error)
            return FAILED

    def _may(self, row: InboundRow) -> bool:
        shared = self.context.routing.shares_direct(row.account, row.channel)
        own = row.channel.type == ChannelType.PERSON and not shared
        return own or self._commanders.include(row.from_uid)

    @property
    def _commanders(self) -> Commanders:
        config, identity = self.context.config, self.context.identity
        return Commanders(identity.owner_uid, frozenset(config.commands.allow_from))

    def _approve(self) -> str:
        if isinstance(self.context.host, AsksApprovals):
            return APPROVED_ELSEWHERE % self.context.host.approvals_in
        return NO_APPROVALS

    async def _status(self, key: str) -> str:
        snapshot = await ask_host(self.context.clock, "describe the session", self.context.host.describe(key))
        status = (snapshot.status if snapshot else None) or "new"
        lines = [f"Session: {status}", f"Waiting messages: {self.lanes.depth(key)}"]
        found = self.underway.in_session(key)
        if found is not None and found.sent < found.planned:
            lines.append(f"Sending part {found.sent + 1} of {found.planned}")
        return "\n".join(lines)

    async def _stop(self, key: str) -> bool:
        """End what is done for a session's message, in the host and here; return whether there was anything."""
        run = self.runs.active.get(key)

        async def end_run() -> None:
            if run is not None:
                stopping = self.context.host.abort(key, run.run_id)
                try:
                    await ask_host(self.context.clock, "stop the run", stopping)
                except HostError as error:  # nothing more of it is shown all the same
                    self.context.log.warning("a stopped run may go on in its host: %s", error)

        return await self.underway.stop(key, self.context.journal, STOPPED_TEXT, end_run)
