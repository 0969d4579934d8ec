"""The demo's story: one failed turn, what an unguarded channel makes of it, and what the guard does."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from openclaw_channel_octo.cli.demo.chat import ACCOUNT, AGENT_ID, Chat, Pace, Place
from openclaw_channel_octo.cli.demo.check import Heard, Question
from openclaw_channel_octo.cli.demo.screen import Screen
from openclaw_channel_octo.cli.playground.app import PlaygroundApp, Settings, configured
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import GuardConfig
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing.octo.double import OctoDouble

__all__ = ["FAST", "NORMAL", "tell"]

NORMAL: Final = Pace(budget_s=2.0, thinking_s=0.4, settle_s=0.15, pause_s=0.25, silence_s=0.5)
FAST: Final = Pace(budget_s=1.0, thinking_s=0.1, settle_s=0.06, pause_s=0.0, silence_s=0.05)

AGENT: Final = """
import json, sys, time
thinking, answers = json.loads(sys.argv[1])
prompt = sys.stdin.read()
if "build log" in prompt:
    time.sleep(30)
time.sleep(thinking)
print(next((answer for text, answer in answers.items() if text in prompt), "I know nothing about that."))
"""
"""The agent: a program that never gets through a build log and knows an answer to everything else."""

_IN_GROUP: Final = (
    Question(
        place="group",
        who="Ben",
        text="@Helper try again",
        answer="The log is too long for me. Ask for a part of it.",
    ),
    Question(
        place="group",
        who="Ann",
        text="@Helper which step failed?",
        answer="Step 7, the upload test: its server was switched off.",
    ),
)
_IN_DIRECT: Final = Question(
    place="direct chat",
    who="Ann",
    text="remind me who owns the upload test?",
    answer="Mei from the storage team does.",
)
_IN_THREAD: Final = Question(
    place="thread",
    who="Ben",
    text="@Helper can we skip it for today?",
    answer="Yes: mark it as flaky, the other 412 tests pass.",
)
_AT_ONCE: Final = (
    Question(
        place="group",
        who="Ann",
        text="@Helper is main green now?",
        answer="Yes, main is green since a minute ago.",
    ),
    Question(
        place="group",
        who="Ben",
        text="@Helper when is the next build?",
        answer="Tonight at 02:00, like every night.",
    ),
)
_UNGUARDED: Final = (
    Question(place="group", who="Ben", text="@Helper and now?", answer="Nothing is running."),
    Question(place="group", who="Ben", text="@Helper hello?? 在吗", answer="Yes, I am here."),
)
_QUESTIONS: Final = (*_IN_GROUP, _IN_DIRECT, _IN_THREAD, *_AT_ONCE)


async def tell(state_dir: Path, pace: Pace) -> Heard:
    """Play the whole story and return what there is to check.

    Args:
        state_dir: an empty folder for sessions and journal.
        pace: how fast to go.
    """
    screen = Screen()
    journal = Journal(state_dir / "octo.sqlite", SystemClock())
    async with OctoDouble() as octo, journal:
        chat = Chat(octo, state_dir, journal, screen, pace)
        story = _Story(chat, screen, pace)
        async with chat.shown():
            screen.heading("1. The old way (guard.enabled: false)")
            async with PlaygroundApp(octo, _bot(state_dir, pace, guarded=False), SystemClock()):
                unguarded_lines = await story.without_guard()
            before = {place.name: len(chat.lines(place)) for place in chat.places}
            screen.heading("2. With the guard (the default), on the same session file")
            async with PlaygroundApp(octo, _bot(state_dir, pace, guarded=True), SystemClock()):
                await story.with_guard()
        return Heard(
            unguarded=_UNGUARDED,
            unguarded_lines=unguarded_lines,
            asked=_QUESTIONS,
            lines={place.name: chat.lines(place)[before[place.name] :] for place in chat.places},
            statuses={place.name: chat.status(place) for place in chat.places},
            announcement=GuardConfig().notice_text,
            direct=chat.direct.name,
        )


class _Story:
    """Who says what, and when."""

    def __init__(self, chat: Chat, screen: Screen, pace: Pace) -> None:
        self._chat = chat
        self._screen = screen
        self._pace = pace

    async def without_guard(self) -> list[str]:
        """Let a turn fail and ask again; return what the bot still said after the failure."""
        chat, group = self._chat, self._chat.group
        self._screen.prose("One turn fails. Watch what becomes of every message after it.")
        await self._chatter(group, "Ann", "morning! did the nightly build go through?")
        await self._chatter(group, "Ben", "no idea, I was asleep 😴")
        failing = await chat.say(group, "Ann", "@Helper read the build log, what broke?")
        await asyncio.sleep(self._pace.budget_s / 2)
        self._screen.remark(f"(the agent hangs; a run may take {self._pace.budget_s:g} s)")
        await chat.settled(group, failing)
        self._show_entry(group)
        chat.enter(group, again=True)
        said = len(chat.lines(group))
        for question in _UNGUARDED:
            await chat.settled(group, await chat.say(group, question.who, question.text))
            await asyncio.sleep(self._pace.silence_s)
            if len(chat.lines(group)) == said:
                self._screen.remark("(and then nothing: the host skips a failed session)")
        return chat.lines(group)[said:]

    async def with_guard(self) -> None:
        """Ask in every conversation; the first mention meets the session that failed."""
        self._screen.prose(
            "Started again with this one setting changed; the file still says timeout. The guard sees it at the"
            " first mention, says so in the group, clears the status, and the turn runs."
        )
        self._chat.enter(self._chat.group, again=True)
        for question in _IN_GROUP:
            await self._ask(self._chat.group, question)
        await self._ask(self._chat.direct, _IN_DIRECT)
        await self._ask(self._chat.thread, _IN_THREAD)
        self._chat.enter(self._chat.group, remark=", two mentions in the same instant")
        await self._ask(self._chat.group, *_AT_ONCE)

    async def _chatter(self, place: Place, who: str, text: str) -> None:
        await self._chat.say(place, who, text)
        await asyncio.sleep(self._pace.pause_s)

    async def _ask(self, place: Place, *questions: Question) -> None:
        asked = [await self._chat.say(place, each.who, each.text) for each in questions]
        await self._chat.settled(place, *asked)
        await asyncio.sleep(self._pace.pause_s)

    def _show_entry(self, place: Place) -> None:
        entry = self._chat.entry(place)
        shown = {name: entry.get(name) for name in ("status", "abortedLastRun", "runtimeMs")}
        fields = json.dumps(shown)[1:-1]
        self._screen.quote(
            f"What the host has written to agents/{AGENT_ID}/sessions/sessions.json:",
            [f'"{place.session_key}": {{', f"  {fields}, …", "}"],
        )


def _bot(state_dir: Path, pace: Pace, *, guarded: bool) -> Settings:
    """Return bot and host as a configuration file would describe them."""
    bot = {"botToken": "bf_demo", "guard": {"enabled": guarded}}
    host = {
        "kind": "embedded",
        "stateDir": str(state_dir),
        "agent": {"kind": "command", "command": _agent(pace)},
        "timeoutSeconds": pace.budget_s,
    }
    mapping = {"channels": {"octo": {"accounts": {ACCOUNT: bot}}}, "host": host}
    return configured(parse_config(mapping, base=state_dir, env={}).config, state_dir)


def _agent(pace: Pace) -> Sequence[str]:
    answers = {_bare(each.text): each.answer for each in (*_QUESTIONS, *_UNGUARDED)}
    return [sys.executable, "-X", "utf8", "-I", "-S", "-c", AGENT, json.dumps([pace.thinking_s, answers])]


def _bare(text: str) -> str:
    return text.removeprefix("@Helper ")
