"""The demo without a story: a person types into the chat, and sees what the bot makes of it."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from openclaw_channel_octo.cli.demo_chat import Chat, Pace, Place
from openclaw_channel_octo.cli.demo_screen import Screen
from openclaw_channel_octo.cli.play.agent import NextTurn
from openclaw_channel_octo.cli.play.stage import HELPER, Stage, plain
from openclaw_channel_octo.cli.play.timeline import Entry, Kind
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.double import OctoDouble

__all__ = ["converse"]

TURN_S: Final = 5.0
"""What a turn may take."""

PACE: Final = Pace(budget_s=TURN_S, thinking_s=1.0, settle_s=0.1, pause_s=0.0, silence_s=0.0)

HELP: Final = f"""\
  @Helper TEXT    ask the bot in the group, as Ann; chatter without @Helper
  /ben TEXT       the same as Ben
  /dm TEXT        write to the bot alone
  /thread TEXT    write in the group's thread
  /fail  /hang  /empty
                  let the bot's next turn fail, hang (for {TURN_S:g} s), say nothing
  /cut            cut the bot's connection
  /guard on|off   restart the bot with or without its guard
  /help           this
  /quit           or Ctrl-D"""

UNDO_LINE: Final = "\x1b[1A\x1b[2K"
"""Moves a terminal up by a line and empties it."""


async def converse(state_dir: Path) -> None:
    """Take lines from standard input until they end, and print what happens in the chat.

    Args:
        state_dir: an empty folder for sessions and journal.
    """
    screen = Screen()
    clock = SystemClock()
    journal = Journal(state_dir / "octo.sqlite", clock)
    async with OctoDouble() as octo, journal:
        chat = Chat(octo, state_dir, journal, screen, PACE)
        live = _Live(octo, chat, screen)
        async with Stage(octo, plain(state_dir, turn_s=TURN_S), clock, live.told) as stage, chat.shown():
            click.echo(f"\n{HELP}")
            chat.enter(chat.group)
            async for line in _typed():
                if line == "/quit":
                    break
                await live.take(stage, line)
            await live.settled()


class _Live:
    """What the lines that are typed do."""

    def __init__(self, octo: OctoDouble, chat: Chat, screen: Screen) -> None:
        self._octo = octo
        self._chat = chat
        self._screen = screen
        self._asked: dict[Place, list[str]] = {}
        self._over = False

    def told(self, entry: Entry) -> None:
        """Print what the chat does not show: the session's status, the connection."""
        if entry.kind in {Kind.STATUS, Kind.CONNECTION} and not self._over:
            self._screen.remark(f"({entry.text})")

    async def take(self, stage: Stage, line: str) -> None:
        """Do what one line says."""
        word, _, text = line.partition(" ")
        text = text.strip()
        speaks = {
            "/ben": (self._chat.group, "Ben"),
            "/dm": (self._chat.direct, "Ann"),
            "/thread": (self._chat.thread, "Ann"),
        }.get(word)
        if speaks and text:
            await self._say(*speaks, text)
        elif line.startswith("/"):
            await self._command(stage, word, text)
        else:
            await self._say(self._chat.group, "Ann", line)

    async def _command(self, stage: Stage, word: str, text: str) -> None:
        match word, text:
            case (("/fail" | "/hang" | "/empty"), ""):
                stage.agent.next_turn = NextTurn(word[1:])
                self._screen.remark(f"(the bot's next turn: {word[1:]})")
            case "/cut", "":
                self._octo.drop_connections(HELPER)
            case "/guard", ("on" | "off"):
                await stage.guard(enabled=text == "on")
            case _:
                click.echo(HELP)

    async def settled(self) -> None:
        """Return when the bot has had its last word on everything that was asked; nothing is told after that."""
        for place, messages in self._asked.items():
            await self._chat.settled(place, *messages)
        self._over = True

    async def _say(self, place: Place, who: str, text: str) -> None:
        message_id = await self._chat.say(place, who, text)
        if place is self._chat.direct or text.startswith("@Helper"):
            self._asked.setdefault(place, []).append(message_id)


async def _typed() -> AsyncIterator[str]:
    """Yield each line of standard input that is not empty; a terminal's own copy of it is taken back."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def read() -> None:
        # A reader of its own: the interpreter could not close sys.stdin under a thread that waits in it.
        with suppress(RuntimeError):  # the loop is closed already
            with (
                suppress(OSError),  # there is no standard input
                open(0, encoding="utf-8", errors="replace", closefd=False) as stdin,
            ):
                for line in stdin:
                    loop.call_soon_threadsafe(lines.put_nowait, line.strip())
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    undo = UNDO_LINE if terminal and os.environ.get("TERM", "dumb") != "dumb" else ""
    while (line := await lines.get()) is not None:
        click.echo(undo, nl=False)
        if line:
            yield line
