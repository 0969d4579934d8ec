"""The process that runs the bots, asked over its control socket: it has what the doctor's environment may lack."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, warning
from openclaw_channel_octo.cli.options import with_store
from openclaw_channel_octo.cli.output import age, local_time
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["Running", "check_running", "find_running", "new_token"]

ANSWER_WITHIN_S = 5.0
IN_FILE = "configuration file"
"""What a bot's ``token_source`` is where the token itself is written there."""

SETTLED_MS = 60_000
"""A connection that is down for less may be on its way up again."""

_ADVICE: Mapping[str, str] = {
    LinkState.CONNECTING: "see whether the socket's address (wsUrl, else the server's) is right and its server is up",
    LinkState.KICKED: "stop the other program that uses this bot, or give it a bot of its own",
    LinkState.SUSPECT: "the server forgets the login: stop other programs with this bot, look at the IM server's log",
    LinkState.PAUSED: "stop the other process, or make room where the journal lies",
    LinkState.ENDING: "have it read its configuration again: openclaw-octo reload",
}


class Running(Struct, frozen=True):
    """The process that has a state folder.

    Attributes:
        holder: its id, empty where none has it.
        told: what it says of its bots (docs/control.md, ``status``), empty where it cannot be asked.
        problem: why it cannot be asked.
        broken: why nobody can tell whether there is one, empty where that can be told.
    """

    holder: str = ""
    told: Mapping[str, Any] = MappingProxyType({})
    problem: str = ""
    broken: str = ""

    @property
    def connections(self) -> Mapping[str, Mapping[str, Any]]:
        """The bots' connections by account id."""
        found: Mapping[str, Mapping[str, Any]] = self.told.get("bots", {})
        return found

    def runs(self, account_id: str) -> bool:
        """Return whether it runs a bot, with a token it could read."""
        connection = self.connections.get(account_id)
        return connection is not None and connection["state"] != LinkState.NO_TOKEN


def new_token(bot: BotConfig | None) -> str:
    """Return what to do about a token the server refuses: where a new one comes from, and where it has to go.

    Args:
        bot: its settings; ``None`` where no configuration tells.
    """
    source = bot.token_source if bot else ""
    place = f"to where it is read, the {source}" if source and source != IN_FILE else "into botToken"
    again = "reload the bots"
    if source.startswith("environment"):
        again = "reload the bots, or restart them where the variable does not stand in .env"
    return f"ask the bot's owner for its token (BotFather: /token, on this very server), put it {place}, and {again}"


def find_running(folder: Path) -> Running:
    """Return the process that has a state folder, and what it says; waits some seconds at most."""
    try:
        holder = owner_lock(folder).holder()
    except HostError as problem:
        return Running(broken=str(problem))
    if not holder:
        return Running()
    try:
        return Running(holder, ask(folder, "status", timeout_s=ANSWER_WITHIN_S))
    except ControlError as problem:
        return Running(holder, problem=str(problem))


def check_running(running: Running, folder: Path, bots: Sequence[BotConfig] | None) -> Iterator[Finding]:
    """Yield what the process that has a state folder says; its bots are not logged in to ask.

    Args:
        running: that process.
        folder: the folder.
        bots: the bots it should run; ``None`` where no configuration tells, and all it has are told of.
    """
    holder = running.holder
    if running.problem:
        advice = (
            f"if it is a program of yours with a host of its own, all is well; else stop process {holder}: "
            "no other can work with the folder"
        )
        words = f"process {holder} works with {folder}, but: {running.problem}"
        yield warning("state folder", words, advice)
        return
    yield fine("state folder", f"process {holder} runs bots with {folder}")
    if trouble := running.told.get("trouble"):
        yield error("journal", str(trouble), "no message is taken until it can be written again")
    now_ms = SystemClock().wall_ms()
    for key, since_ms in running.told.get("unsent", {}).items():
        how_long = f"for {age(since_ms, now_ms)}, since {local_time(since_ms)}"
        words = f"an answer to {key} cannot be sent, API fails {how_long}"
        advice = (
            "it is tried again until the server takes it; the server's log, and that of the bots, say why not"
        )
        yield warning("answers", words, advice)
    named = list(running.connections)
    if bots is not None:  # a token that is missing here and there is told of where tokens are looked at
        named = [each.account_id for each in bots if not each.token_problem or running.runs(each.account_id)]
    settings = {each.account_id: each for each in bots or ()}
    for name in named:
        connection, subject = running.connections.get(name), f"{name}: connection"
        if connection is None:
            words = f"process {holder} does not run this bot"
            yield error(
                subject, words, f"have it read its configuration again: {with_store('reload', folder)}"
            )
        else:
            yield _connection(subject, holder, connection, settings.get(name))


def _connection(subject: str, holder: str, connection: Mapping[str, Any], bot: BotConfig | None) -> Finding:
    state, now_ms = str(connection["state"]), SystemClock().wall_ms()
    words = f"process {holder} is {state} with it for {age(connection['since_ms'], now_ms)}"
    if state == LinkState.ONLINE:
        return fine(subject, words)
    words = f"{words}: {connection['why']}"
    advice = new_token(bot) if state == LinkState.REFUSED else _ADVICE.get(state, "start it anew")
    if state == LinkState.CONNECTING and now_ms - connection["since_ms"] < SETTLED_MS:
        return warning(subject, words, f"look again in a minute; if it stays so, {advice}")
    return error(subject, words, advice)
