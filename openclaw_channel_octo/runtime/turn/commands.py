"""The bot's commands: its own, and those of its host; answered past a busy lane, where they need not wait."""

from collections.abc import Mapping

from msgspec import Struct

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.approvals import DecidesApprovals
from openclaw_channel_octo.host.base import AgentHost, AsksApprovals
from openclaw_channel_octo.host.commands import CommandCall, HasCommands, HostCommand
from openclaw_channel_octo.ids import ChannelType, split_space
from openclaw_channel_octo.message.payload import Payload
from openclaw_channel_octo.policy.commands import DECISIONS, Commanders
from openclaw_channel_octo.policy.gate import argument_of, command_of
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.underway import UnderwayMessages
from openclaw_channel_octo.runtime.received import Addressed
from openclaw_channel_octo.runtime.turn.decisions import Decisions
from openclaw_channel_octo.runtime.turn.host_calls import HOST_ANSWERS_S, ask_host
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Commands", "Told", "words_of"]

STATUS = "/status"
_LOOKS = frozenset({STATUS, "/help", "/whoami"})
"""Commands that change nothing."""
WAITING_COMMAND_S = 600.0
"""Longest wait for a command that waits in its lane, such as one for which a model sums up a conversation."""


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
    conversations that share a session, only commanders may stop, reset, or change what the host's commands change.
    Who may approve, `Decisions` says.

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

    def of(self, row: InboundRow, payload: Payload) -> str:
        """Return the command that a recorded message is; empty where its host has it no more."""
        direct = row.channel.type == ChannelType.PERSON
        return command_of(payload, self.context.identity, direct=direct, others=words_of(self.runs.host))

    def waits(self, message: Addressed) -> bool:
        """Return whether a command has to wait in the lane of its session."""
        found = _commands_of(self.runs.host).get(message.command)
        if found is None or not found.waits:
            return False
        return not found.shows or bool(self._argument(message))

    async def answer(self, message: Addressed) -> Told:
        """Carry out a command and return what it came to."""
        row, command = message.row, message.command
        argument = self._argument(message)
        if not self._may(row, command, argument):
            return Told(self._texts.owner_only, f"{command}: not allowed")
        try:
            return Told(await self._carried_out(row, command, argument), command)
        except HostError as error:
            self.context.log.warning("%s failed: %s", command, error)
            return Told(self._texts.command_failed, f"{command}: failed")

    def _argument(self, message: Addressed) -> str:
        direct = message.row.channel.type == ChannelType.PERSON
        return argument_of(message.payload, self.context.identity, direct=direct)

    async def _carried_out(self, row: InboundRow, command: str, argument: str) -> str:
        """Carry out a command and return what people read of it. Raises `HostError`."""
        match command:
            case "/status":
                return await self._status(row)
            case "/whoami":
                return self._whoami(row)
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
            case _ if (found := _commands_of(self.runs.host).get(command)) is not None:
                return await self._host_answers(row, found, argument)
            case _:  # also what only a host knew that runs the turns no more
                return self._help(row)

    async def _host_answers(self, row: InboundRow, command: HostCommand, argument: str = "") -> str:
        """Return the host's answer to a command of its own; empty where it has no such command. Raises `HostError`."""
        host = self.runs.host
        if not isinstance(host, HasCommands):
            return ""
        call = CommandCall(
            session_key=row.session_key,
            name=command.name,
            argument=argument,
            key=f"{row.account}-{row.message_id}",
            texts=self._texts,
        )
        seconds = WAITING_COMMAND_S if command.waits else HOST_ANSWERS_S
        asked = f"answer {command.name}"
        return await ask_host(self.context.clock, asked, host.command(call), seconds)

    def _whoami(self, row: InboundRow) -> str:
        texts = self._texts
        may = texts.whoami_may if self._may(row, "/reset") else texts.whoami_may_not
        return f"{texts.whoami.replace('%s', split_space(row.from_uid)[1])}\n{may}"

    def _help(self, row: InboundRow) -> str:
        texts = self._texts
        lines = {
            "/status": texts.help_status,
            "/stop": texts.help_stop,
            "/reset": texts.help_reset,
        }
        for name, command in _commands_of(self.runs.host).items():
            ours: str = getattr(texts, f"help_{name[1:]}", "")
            lines[name] = lines.get(name) or command.help or ours
        if self.decisions.possible:
            lines |= {"/approve": texts.help_approve, "/deny": texts.help_deny}
        lines |= {"/whoami": texts.help_whoami, "/help": texts.help_help}
        return "\n".join(line for command, line in lines.items() if line and self._may(row, command))

    def can_stop(self, session_key: str) -> bool:
        """Return whether a message of the session is worked on, or will be before one that comes now."""
        return self.underway.in_session(session_key) is not None or self.lanes.depth(session_key) > 0

    def _may(self, row: InboundRow, command: str, argument: str = "") -> bool:
        """Return whether the sender of a message may command that there."""
        if command in DECISIONS:
            return self.decisions.may(row)
        if command in _LOOKS or self._commanders.include(row.from_uid):
            return True
        found = _commands_of(self.runs.host).get(command)
        if found is not None and (not found.changes or (found.shows and not argument)):
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

    async def _status(self, row: InboundRow) -> str:
        key = row.session_key
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
        if (command := _commands_of(self.runs.host).get(STATUS)) is not None:
            try:
                lines.append(await self._host_answers(row, command))
            except HostError as error:  # the lines above hold without it
                self.context.log.warning("the host adds nothing to /status: %s", error)
        return "\n".join(filter(None, lines))

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


def words_of(host: AgentHost) -> Mapping[str, str]:
    """Return the commands of a host, by each word for them."""
    return {word: name for name, one in _commands_of(host).items() for word in (name, *one.words)}


def _commands_of(host: AgentHost) -> Mapping[str, HostCommand]:
    return {command.name: command for command in host.commands} if isinstance(host, HasCommands) else {}
