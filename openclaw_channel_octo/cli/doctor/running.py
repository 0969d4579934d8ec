"""What the process that runs the bots says of their connections; they are not logged in to ask."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, warning
from openclaw_channel_octo.cli.output import age
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["check_running"]

SETTLED_MS = 60_000
"""A connection that is down for less may be on its way up again."""

_ADVICE: Mapping[str, str] = {
    LinkState.CONNECTING: "see whether the socket's address (wsUrl, else the server's) is right and its server is up",
    LinkState.KICKED: "stop the other program that uses this bot, or give it a bot of its own",
    LinkState.SUSPECT: "the server forgets the login: stop other programs with this bot, look at the IM server's log",
    LinkState.PAUSED: "stop the other process, or make room where the journal lies",
    LinkState.REFUSED: "ask the bot's owner for its token (BotFather: /token), put it into botToken, and start anew",
}


def check_running(told: Mapping[str, Any], holder: str, bots: Sequence[BotConfig]) -> Iterator[Finding]:
    """Yield what is found about running bots.

    Args:
        told: what the process answers to ``status``.
        holder: its process id.
        bots: those that are looked at.
    """
    if trouble := told.get("trouble"):
        yield error("journal", str(trouble), "no message is taken until it can be written again")
    for bot in bots:
        connection = told.get("bots", {}).get(bot.account_id)
        subject = f"{bot.account_id}: connection"
        if connection is None:
            yield error(
                subject, f"process {holder} does not run this bot", "start that process anew, with it"
            )
        else:
            yield _connection(subject, holder, connection)


def _connection(subject: str, holder: str, connection: Mapping[str, Any]) -> Finding:
    state, now_ms = str(connection["state"]), SystemClock().wall_ms()
    words = f"process {holder} is {state} with it for {age(connection['since_ms'], now_ms)}"
    if state == LinkState.ONLINE:
        return fine(subject, words)
    words = f"{words}: {connection['why']}"
    advice = _ADVICE.get(state, "start it anew")
    if state == LinkState.CONNECTING and now_ms - connection["since_ms"] < SETTLED_MS:
        return warning(subject, words, f"look again in a minute; if it stays so, {advice}")
    return error(subject, words, advice)
