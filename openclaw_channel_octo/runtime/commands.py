"""The bot's own commands: answered by the channel itself, past a busy lane."""

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.runtime.lanes import Lanes
from openclaw_channel_octo.runtime.runs import Runs
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Commands"]

HELP_TEXT = """\
/status – what this conversation's session is doing
/stop – stop the answer being worked on
/reset – begin a new conversation; I forget what was said here
/help – this list"""

FAILED = "⚠️ That did not work. The operator's log says why."
OWNER_ONLY = "Only the bot's owner may do that in a group."


class Commands:
    """Answers `/help`, `/status`, `/stop` and `/reset` for one bot.

    In a direct conversation everybody commands their own session; in a group only the bot's owner may stop or reset.

    Args:
        host: keeps the sessions.
        runs: runs under way.
        lanes: waiting messages.
        owner_uid: the bot's owner.
        log: the bot's log.
    """

    def __init__(self, host: AgentHost, runs: Runs, lanes: Lanes, owner_uid: str, log: BotLog) -> None:
        self._host = host
        self._runs = runs
        self._lanes = lanes
        self._owner_uid = owner_uid
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
                case "/stop" if self._may(row.channel, row.from_uid):
                    return await self._stop(row.session_key)
                case "/reset" if self._may(row.channel, row.from_uid):
                    await self._host.reset(row.session_key)
                    return "🔄 New conversation. What was said before is forgotten."
                case "/stop" | "/reset":
                    return OWNER_ONLY
                case _:
                    return HELP_TEXT
        except HostError as error:
            self._log.warning("%s failed: %s", command, error)
            return FAILED

    def _may(self, channel: ChannelRef, uid: str) -> bool:
        return channel.type == ChannelType.PERSON or uid == self._owner_uid

    async def _status(self, key: str) -> str:
        snapshot = await self._host.describe(key)
        status = (snapshot.status if snapshot else None) or "new"
        return f"Session: {status}\nWaiting messages: {self._lanes.depth(key)}"

    async def _stop(self, key: str) -> str:
        run = self._runs.active.get(key)
        if run and await self._host.abort(key, run.run_id):
            return "Stopping."
        return "Nothing is running here."
