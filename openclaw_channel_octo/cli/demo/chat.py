"""The demo's chat: people speak into it, and whatever happens in it is printed at that moment.

The session's status stands on the left, the chat beside it. Colours vanish where the output is no terminal.
"""

import asyncio
import json
import textwrap
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from openclaw_channel_octo.cli.demo.command import WIDTH
from openclaw_channel_octo.cli.playground.app import HELPER, seed
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.session.key import session_key
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.octo.double import NotReached, OctoDouble
from openclaw_channel_octo.testing.octo.records import RestCall

__all__ = ["ACCOUNT", "AGENT_ID", "Chat", "Pace", "Place", "remark"]

ACCOUNT: Final = "helper"
AGENT_ID: Final = "main"

LONGEST_WAIT_S: Final = 8.0
"""Longest wait for the channel's last word on a message; then the demo goes on, and its check will tell."""

READ: Final = "✓ read"
TYPING: Final = "… typing"

NAME: Final = 8
STATUS: Final = 8
CHAT: Final = WIDTH - STATUS - NAME - 5

_STATUS_COLOURS: Final = {"timeout": "red", "failed": "red", "running": "yellow", "done": "green"}
_NAME_COLOURS: Final = {"Ann": "cyan", "Ben": "magenta", "Helper": "green"}

_POLL_S: Final = 0.02
_EVER_S: Final = 3_600.0


class Pace(Struct, frozen=True, kw_only=True):
    """How fast the demo goes, in seconds.

    Attributes:
        budget_s: what a run may take.
        thinking_s: what the agent takes for an answer.
        settle_s: how long receipt and typing are waited for, to be printed on one line.
        pause_s: a reader's pause between two messages.
        silence_s: how long the silence is listened to.
    """

    budget_s: float
    thinking_s: float
    settle_s: float
    pause_s: float
    silence_s: float


class Place(Struct, frozen=True):
    """A conversation.

    Attributes:
        name: what it is called in sentences.
        title: what stands above its lines.
        people: the channel as people address it.
        bot: the channel as the bot addresses it.
    """

    name: str
    title: str
    people: ChannelRef
    bot: ChannelRef

    @property
    def session_key(self) -> str:
        """The key of the conversation's session in the host."""
        return session_key(AGENT_ID, self.bot)


class Chat:
    """The people and their conversations with the bot, all of it printed on the screen.

    Args:
        octo: the running server.
        state_dir: the host's folder.
        journal: the channel's journal, to see when a message has met its end.
        pace: how fast to go.

    Attributes:
        pace: as given.
        places: every conversation: ``group``, ``direct`` and ``thread``.
    """

    def __init__(self, octo: OctoDouble, state_dir: Path, journal: Journal, pace: Pace) -> None:
        self._octo = octo
        self._sessions = state_dir / "agents" / AGENT_ID / "sessions" / "sessions.json"
        self._journal = journal
        self.pace = pace
        self._signs: list[tuple[Place, str]] = []
        self._shown = 0
        group, thread = seed(octo)
        self._here: Place | None = None
        self.group = Place("group", 'group "Build room"', group, group)
        self.thread = Place(
            "thread", 'thread "upload test" of the group, a session of its own', thread, thread
        )
        self.direct = Place(
            "direct chat",
            "direct chat of Ann and Helper, a session of its own",
            ChannelRef(HELPER, ChannelType.PERSON),
            ChannelRef("ann", ChannelType.PERSON),
        )
        self.places = (self.group, self.direct, self.thread)

    def entry(self, place: Place) -> Mapping[str, Any]:
        """Return what ``sessions.json`` holds of a conversation at this moment, empty for nothing."""
        if not self._sessions.exists():
            return {}
        found = json.loads(self._sessions.read_text("utf-8")).get(place.session_key, {})
        return found if isinstance(found, dict) else {}

    def status(self, place: Place) -> str:
        """Return the status of a conversation's session at this moment; ``none`` where it has none."""
        return str(self.entry(place).get("status", "none"))

    def lines(self, place: Place) -> list[str]:
        """Return what the bot has said in a conversation, oldest first."""
        return [line.text for line in self._octo.chat(place.bot) if line.from_uid == HELPER]

    def enter(self, place: Place, *, again: bool = False, remark: str = "") -> None:
        """Print the title of a conversation, unless the last line printed was one of it.

        Args:
            place: the conversation.
            again: print it in any case.
            remark: stands behind the title.
        """
        if again or place is not self._here:
            click.echo()
            click.secho(f"  {'session':{STATUS}} ┌ {place.title}{remark}", bold=True)
        self._here = place

    async def say(self, place: Place, who: str, text: str) -> str:
        """Let a person say something, and print it; return the message id.

        Args:
            place: where.
            who: the person's name.
            text: what; a leading ``@Helper`` is picked from the member list.
        """
        self._show_signs()
        mention = [HELPER] if text.startswith("@Helper") else []
        message_id = await self._octo.say(who.lower(), place.people, text, mention=mention)
        self._print(place, who, text)
        return message_id

    async def settled(self, place: Place, *message_ids: str) -> None:
        """Return when the channel has had its last word on messages, or should have had it by far."""
        for _ in range(round(LONGEST_WAIT_S / _POLL_S)):
            read = {line.message_id for line in self._octo.chat(place.bot) if HELPER in line.read_by}
            if read.issuperset(message_ids) and not await self._journal.messages.unfinished(ACCOUNT):
                break
            await asyncio.sleep(_POLL_S)
        await asyncio.sleep(self.pace.settle_s)
        self._show_signs()

    async def follow(self) -> None:
        """Print each call of the bot the moment it is answered, before the bot itself can go on; never returns."""
        while True:
            limit_s = self.pace.settle_s if self._signs else _EVER_S
            try:
                calls = await self._octo.wait_for(self._next_answered, timeout=limit_s)
            except NotReached:
                self._show_signs()
            else:
                self._shown += len(calls)
                for call in calls:
                    self._show(call)

    def _next_answered(self) -> Sequence[RestCall]:
        """Return the calls not shown yet, as far as they have their answers."""
        rest = self._octo.calls[self._shown :]
        return list(takewhile(lambda call: call.status is not None, rest))

    def _show(self, call: RestCall) -> None:
        body = call.body if isinstance(call.body, dict) else {}
        place = next((place for place in self.places if place.bot.id == body.get("channel_id")), None)
        if place is None or call.status != HTTPStatus.OK:
            return
        match call.name:
            case "readReceipt":
                self._signs += [(place, READ)] * len(body["message_ids"])
            case "typing":
                self._signs.append((place, TYPING))
            case "sendMessage":
                self._show_signs()
                self._print(place, "Helper", body["payload"]["content"])

    def _show_signs(self) -> None:
        signs, self._signs = self._signs, []
        for place in dict.fromkeys(place for place, _ in signs):
            here = [sign for where, sign in signs if where == place]
            read = here.count(READ)
            words = [READ if read == 1 else f"{READ}, both"] if read else []
            line = "   ".join([*words, *([TYPING] if TYPING in here else [])])
            self.enter(place)
            _line(click.style(line, dim=True), self.status(place))

    def _print(self, place: Place, name: str, text: str) -> None:
        """Print a message, and beside it the session's status at this moment."""
        self.enter(place)
        first, *rest = textwrap.wrap(text, CHAT) or [""]
        speaker = click.style(f"{name:{NAME}}", fg=_NAME_COLOURS.get(name), bold=True)
        _line(first, self.status(place), speaker)
        for line in rest:
            _line(line)


def remark(text: str) -> None:
    """Print a remark about what happens at this moment, in the place of a message."""
    for line in textwrap.wrap(text, CHAT):
        _line(click.style(line, fg="yellow"))


def _line(text: str, status: str = "", speaker: str = " " * NAME) -> None:
    column = click.style(f"{status:{STATUS}}", fg=_STATUS_COLOURS.get(status))
    click.echo(f"  {column} │ {speaker}{text}")
