"""The bot's own commands: answered by the channel itself, past a busy lane."""

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AgentHost, AsksApprovals
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.runtime.lanes import Lanes
from openclaw_channel_octo.runtime.runs import Runs
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


class Commands:
    """Answers commands for one bot.

    Everybody may look. In a direct conversation everybody commands their own session; in a group, and in direct
    conversations that share a session, only commanders may stop or reset. Only they may approve.

    Args:
        host: keeps the sessions.
        runs: runs under way.
        lanes: waiting messages.
        commanders: who may do what concerns others.
        routing: which conversations share a session.
        log: the bot's log.
    """

    def __init__(  # its parts
        self,
        host: AgentHost,
        runs: Runs,
        lanes: Lanes,
        commanders: Commanders,
        routing: Routing,
        log: BotLog,
    ) -> None:
        self._host = host
        self._runs = runs
        self._lanes = lanes
        self._commanders = commanders
        self._routing = routing
        self._log = log

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
                    return await self._stop(row.session_key)
                case "/reset" if self._may(row):
                    await self._host.reset(row.session_key)
                    return "🔄 New conversation. What was said before is forgotten."
                case "/stop" | "/reset" | "/approve":
                    return OWNER_ONLY
                case _:
                    return HELP_TEXT
        except HostError as error:
            self._log.warning("%s failed: %s", command, error)
            return FAILED

    def _may(self, row: InboundRow) -> bool:
        shared = self._routing.shares_direct(row.account, row.channel)
        own = row.channel.type == ChannelType.PERSON and not shared
        return own or self._commanders.include(row.from_uid)

    def _approve(self) -> str:
        if isinstance(self._host, AsksApprovals):
            return APPROVED_ELSEWHERE % self._host.approvals_in
        return NO_APPROVALS

    async def _status(self, key: str) -> str:
        snapshot = await self._host.describe(key)
        status = (snapshot.status if snapshot else None) or "new"
        return f"Session: {status}\nWaiting messages: {self._lanes.depth(key)}"

    async def _stop(self, key: str) -> str:
        run = self._runs.active.get(key)
        if run and await self._host.abort(key, run.run_id):
            return "Stopping."
        return "Nothing is running here."
