"""The bot's own commands: answered by the channel itself, past a busy lane."""

from msgspec import Struct

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.approvals import DecidesApprovals
from openclaw_channel_octo.host.base import AsksApprovals
from openclaw_channel_octo.ids import ChannelType
from openclaw_channel_octo.policy.commands import DECISIONS, Commanders
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.underway import UnderwayMessages
from openclaw_channel_octo.runtime.turn.decisions import Decisions
from openclaw_channel_octo.runtime.turn.host_calls import ask_host
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Commands", "Told"]

_LOOKS = frozenset({"/status", "/help"})
"""Commands that change nothing."""


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
    conversations that share a session, only commanders may stop or reset. Who may approve, `Decisions` says.

    Attributes:
        context: what every part of the bot is made from.
        runs: runs under way.
        lanes: messages that wait behind them.
        underway: messages that are worked on.
        decisions: takes what people approve or deny to the host.
    """

    context: BotContext
    runs: Runs
    lanes: Lanes
    underway: UnderwayMessages
    decisions: Decisions

    async def answer(self, row: InboundRow, command: str) -> Told:
        """Carry out a command and return what it came to.

        Args:
            row: the message.
            command: the command, such as ``/status``, or `STOP_WORD`.
        """
        if not self._may(row, command):
            return Told(self._texts.owner_only, f"{command}: not allowed")
        try:
            return Told(await self._carried_out(row, command), command)
        except HostError as error:
            self.context.log.warning("%s failed: %s", command, error)
            return Told(self._texts.command_failed, f"{command}: failed")

    async def _carried_out(self, row: InboundRow, command: str) -> str:
        """Carry out a command and return what people read of it. Raises `HostError`."""
        match command:
            case "/status":
                return await self._status(row.session_key)
            case "/approve" | "/deny":
                return await self._decide(row)
            case "/stop" | "stop":
                stopped = await self._stop(row.session_key)
                return self._texts.stopping if stopped else self._texts.nothing_running
            case "/reset":
                await self._stop(row.session_key)
                resetting = self.runs.host.reset(row.session_key)
                await ask_host(self.context.clock, "begin a new session", resetting)
                return self._texts.reset
            case _:
                return self._help(row)

    def _help(self, row: InboundRow) -> str:
        texts = self._texts
        lines = {
            "/status": texts.help_status,
            "/stop": texts.help_stop,
            "/reset": texts.help_reset,
            "/help": texts.help_help,
        }
        if self.decisions.possible:
            lines |= {"/approve": texts.help_approve, "/deny": texts.help_deny}
        return "\n".join(line for command, line in lines.items() if self._may(row, command))

    def can_stop(self, session_key: str) -> bool:
        """Return whether a message of the session is worked on, or will be before one that comes now."""
        return self.underway.in_session(session_key) is not None or self.lanes.depth(session_key) > 0

    def _may(self, row: InboundRow, command: str) -> bool:
        """Return whether the sender of a message may command that there."""
        if command in DECISIONS:
            return self.decisions.may(row)
        if command in _LOOKS or self._commanders.include(row.from_uid):
            return True
        shared = self.context.routing.shares_direct(row.account, row.channel)
        return row.channel.type == ChannelType.PERSON and not shared

    @property
    def _texts(self) -> Texts:
        return self.context.config.texts

    @property
    def _commanders(self) -> Commanders:
        config, identity = self.context.config, self.context.identity
        return Commanders(identity.owner_uid, frozenset(config.commands.allow_from))

    async def _decide(self, row: InboundRow) -> str:
        host = self.runs.host
        if self.decisions.possible:
            return await self.decisions.decide(row)
        if isinstance(host, DecidesApprovals):
            return self._texts.approvals_off
        if isinstance(host, AsksApprovals):
            place = host.approvals_in or self._texts.gateway_interface
            return self._texts.approve_elsewhere.replace("%s", place)
        return self._texts.no_approvals

    async def _status(self, key: str) -> str:
        snapshot = await ask_host(self.context.clock, "describe the session", self.runs.host.describe(key))
        status = (snapshot.status if snapshot else None) or "new"
        lines = [
            self._texts.status.replace("%d", str(self.lanes.depth(key))).replace(
                "%s", self._texts.session(status)
            )
        ]
        found = self.underway.in_session(key)
        if found is not None and found.sent < found.planned:
            sending = self._texts.sending.replace("%s", str(found.sent + 1))
            lines.append(sending.replace("%d", str(found.planned)))
        return "\n".join(lines)

    async def _stop(self, key: str) -> bool:
        """End what is done for a session's message, in the host and here; return whether there was anything."""
        run = self.runs.active.get(key)

        async def end_run() -> None:
            if run is not None:
                stopping = self.runs.abort(key, run.run_id)
                try:
                    await ask_host(self.context.clock, "stop the run", stopping)
                except HostError as error:  # nothing more of it is shown all the same
                    self.context.log.warning("a stopped run may go on in its host: %s", error)

        return await self.underway.stop(key, self.context.journal, self._texts.stopped, end_run)
