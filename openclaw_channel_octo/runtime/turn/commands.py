"""The bot's own commands: answered by the channel itself, past a busy lane."""

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AgentHost, AsksApprovals
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.session.route import Routing
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
        host: asked about sessions.
        routing: which session a conversation belongs to.
        runs: runs under way.
        lanes: messages that wait behind them.
        clock: time.
        commanders: who may do what concerns others.
        log: the bot's log.
    """

    host: AgentHost
    routing: Routing
    runs: Runs
    lanes: Lanes
    clock: Clock
    commanders: Commanders
    log: BotLog

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
                case "/approve" if self.commanders.include(row.from_uid):
                    return self._approve()
                case "/stop" if self._may(row):
                    return await self._stop(row.session_key)
                case "/reset" if self._may(row):
                    resetting = self.host.reset(row.session_key)
                    await ask_host(self.clock, "begin a new session", resetting)
                    return "🔄 New conversation. What was said before is forgotten."
                case "/stop" | "/reset" | "/approve":
                    return OWNER_ONLY
                case _:
                    return HELP_TEXT
        except HostError as error:
            self.log.warning("%s failed: %s", command, error)
            return FAILED

    def _may(self, row: InboundRow) -> bool:
        shared = self.routing.shares_direct(row.account, row.channel)
        own = row.channel.type == ChannelType.PERSON and not shared
        return own or self.commanders.include(row.from_uid)

    def _approve(self) -> str:
        if isinstance(self.host, AsksApprovals):
            return APPROVED_ELSEWHERE % self.host.approvals_in
        return NO_APPROVALS

    async def _status(self, key: str) -> str:
        snapshot = await ask_host(self.clock, "describe the session", self.host.describe(key))
        status = (snapshot.status if snapshot else None) or "new"
        return f"Session: {status}\nWaiting messages: {self.lanes.depth(key)}"

    async def _stop(self, key: str) -> str:
        run = self.runs.active.get(key)
        if run is None:
            return "Nothing is running here."
        stopping = self.host.abort(key, run.run_id)
        stopped = await ask_host(self.clock, "stop the run", stopping)
        return "Stopping." if stopped else "Nothing is running here."
