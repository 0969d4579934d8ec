"""The bot's own commands: answered by the channel itself, past a busy lane."""

from msgspec import Struct

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AsksApprovals
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.policy.commands import APPROVE, Commanders
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Commands", "Told"]

HELP_STATUS = "/status – what this conversation's session is doing"
HELP_STOP = "/stop – stop the answer being worked on"
HELP_RESET = "/reset – begin a new conversation; I forget what was said here"
HELP_HELP = "/help – this list"

FAILED = "⚠️ That did not work. The operator's log says why."
OWNER_ONLY = "Only the bot's owner, or somebody they have named for it, may do that here."
NO_APPROVALS = "This agent asks for no approvals."
_LOOKS = frozenset({"/status", "/help"})
"""Commands that change nothing."""
APPROVED_ELSEWHERE = "I cannot pass decisions on. Please decide in %s."


class Told(Struct, frozen=True):
    """What a command came to.

    Attributes:
        text: what people read.
        detail: for the row: the command, with what kept it from being done. The look back for context goes by
            ``/reset`` alone (`store.schema`).
    """

    text: str
    detail: str


class Commands(Struct, frozen=True, kw_only=True):
    """Answers commands for one bot.

    Everybody may look. In a direct conversation everybody commands their own session; in a group, and in direct
    conversations that share a session, only commanders may stop or reset. Only they may approve.

    Attributes:
        context: what every part of the bot is made from.
        runs: runs under way.
        lanes: messages that wait behind them.
    """

    context: BotContext
    runs: Runs
    lanes: Lanes

    async def answer(self, row: InboundRow, command: str) -> Told:
        """Carry out a command and return what it came to.

        Args:
            row: the message.
            command: the command, such as ``/status``, or `STOP_WORD`.
        """
        if not self._may(row, command):
            return Told(OWNER_ONLY, f"{command}: not allowed")
        try:
            return Told(await self._carried_out(row, command), command)
        except HostError as error:
            self.context.log.warning("%s failed: %s", command, error)
            return Told(FAILED, f"{command}: failed")

    async def _carried_out(self, row: InboundRow, command: str) -> str:
        """Carry out a command and return what people read of it. Raises `HostError`."""
        match command:
            case "/status":
                return await self._status(row.session_key)
            case "/approve":
                return self._approve()
            case "/stop" | "stop":
                return await self._stop(row.session_key)
            case "/reset":
                resetting = self.context.host.reset(row.session_key)
                await ask_host(self.context.clock, "begin a new session", resetting)
                return "🔄 New conversation. What was said before is forgotten."
            case _:
                return self._help(row)

    def _help(self, row: InboundRow) -> str:
        lines = {"/status": HELP_STATUS, "/stop": HELP_STOP, "/reset": HELP_RESET, "/help": HELP_HELP}
        return "\n".join(line for command, line in lines.items() if self._may(row, command))

    def can_stop(self, session_key: str) -> bool:
        """Return whether a turn of the session runs."""
        return session_key in self.runs.active

    def _may(self, row: InboundRow, command: str) -> bool:
        """Return whether the sender of a message may command that there."""
        if command in _LOOKS or self._commanders.include(row.from_uid):
            return True
        shared = self.context.routing.shares_direct(row.account, row.channel)
        return command != APPROVE and row.channel.type == ChannelType.PERSON and not shared

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
        return f"Session: {status}\nWaiting messages: {self.lanes.depth(key)}"

    async def _stop(self, key: str) -> str:
        run = self.runs.active.get(key)
        if run is None:
            return "Nothing is running here."
        stopping = self.context.host.abort(key, run.run_id)
        stopped = await ask_host(self.context.clock, "stop the run", stopping)
        return "Stopping." if stopped else "Nothing is running here."
