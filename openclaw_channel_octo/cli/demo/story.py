"""The demo's story: one failed turn, what an unguarded channel makes of it, and what the guard does."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import click

from openclaw_channel_octo.cli.demo.chat import ACCOUNT, AGENT_ID, Chat, Pace, Place, remark
from openclaw_channel_octo.cli.demo.command import Heard, Question, heading, prose
from openclaw_channel_octo.cli.playground.app import PlaygroundApp, Settings, configured, meanwhile
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
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
    Question("group", "Ben", "@Helper try again", "The log is too long for me. Ask for a part of it."),
    Question(
        "group", "Ann", "@Helper which step failed?", "Step 7, the upload test: its server was switched off."
    ),
)
_IN_DIRECT: Final = Question(
    "direct chat", "Ann", "remind me who owns the upload test?", "Mei from the storage team does."
)
_IN_THREAD: Final = Question(
    "thread", "Ben", "@Helper can we skip it for today?", "Yes: mark it as flaky, the other 412 tests pass."
)
_AT_ONCE: Final = (
    Question("group", "Ann", "@Helper is main green now?", "Yes, main is green since a minute ago."),
    Question("group", "Ben", "@Helper when is the next build?", "Tonight at 02:00, like every night."),
)
_UNGUARDED: Final = (
    Question("group", "Ben", "@Helper and now?", "Nothing is running."),
    Question("group", "Ben", "@Helper hello?? 在吗", "Yes, I am here."),
)
_QUESTIONS: Final = (*_IN_GROUP, _IN_DIRECT, _IN_THREAD, *_AT_ONCE)


async def tell(state_dir: Path, pace: Pace) -> Heard:
    """Play the whole story and return what there is to check.

    Args:
        state_dir: an empty folder for sessions and journal.
        pace: how fast to go.
    """
    journal = Journal(state_dir / "octo.sqlite", SystemClock())
    async with OctoDouble() as octo, journal:
        chat = Chat(octo, state_dir, journal, pace)
        async with meanwhile(chat.follow()):
            heading("1. The old way (guard.enabled: false)")
            async with PlaygroundApp(octo, _bot(state_dir, pace, guarded=False), SystemClock()).running():
                unguarded_lines = await _without_guard(chat)
            before = {place.name: len(chat.lines(place)) for place in chat.places}
            heading("2. With the guard (the default), on the same session file")
            async with PlaygroundApp(octo, _bot(state_dir, pace, guarded=True), SystemClock()).running():
                await _with_guard(chat)
        return Heard(
            unguarded=_UNGUARDED,
            unguarded_lines=unguarded_lines,
            asked=_QUESTIONS,
            lines={place.name: chat.lines(place)[before[place.name] :] for place in chat.places},
            statuses={place.name: chat.status(place) for place in chat.places},
            announcement=Texts().restarting,
            direct=chat.direct.name,
        )


async def _without_guard(chat: Chat) -> list[str]:
    """Let a turn fail and ask again; return what the bot still said after the failure."""
    group, pace = chat.group, chat.pace
    prose("One turn fails. Watch what becomes of every message after it.")
    await chat.say(group, "Ann", "morning! did the nightly build go through?")
    await asyncio.sleep(pace.pause_s)
    await chat.say(group, "Ben", "no idea, I was asleep 😴")
    await asyncio.sleep(pace.pause_s)
    failing = await chat.say(group, "Ann", "@Helper read the build log, what broke?")
    await asyncio.sleep(pace.budget_s / 2)
    remark(f"(the agent hangs; a run may take {pace.budget_s:g} s)")
    await chat.settled(group, failing)
    entry = chat.entry(group)
    fields = json.dumps({name: entry.get(name) for name in ("status", "abortedLastRun", "runtimeMs")})[1:-1]
    click.echo()
    prose(f"What the host has written to agents/{AGENT_ID}/sessions/sessions.json:")
    click.echo(f'    "{group.session_key}": {{\n      {fields}, …\n    }}')
    chat.enter(group, again=True)
    said = len(chat.lines(group))
    for question in _UNGUARDED:
        await chat.settled(group, await chat.say(group, question.who, question.text))
        await asyncio.sleep(pace.silence_s)
        if len(chat.lines(group)) == said:
            remark("(and then nothing: the host skips a failed session)")
    return chat.lines(group)[said:]


async def _with_guard(chat: Chat) -> None:
    """Ask in every conversation; the first mention meets the session that failed."""
    prose(
        "Started again with this one setting changed; the file still says timeout. The guard sees it at the"
        " first mention, says so in the group, clears the status, and the turn runs."
    )
    chat.enter(chat.group, again=True)
    for question in _IN_GROUP:
        await _ask(chat, chat.group, question)
    await _ask(chat, chat.direct, _IN_DIRECT)
    await _ask(chat, chat.thread, _IN_THREAD)
    chat.enter(chat.group, remark=", two mentions in the same instant")
    await _ask(chat, chat.group, *_AT_ONCE)


async def _ask(chat: Chat, place: Place, *questions: Question) -> None:
    asked = [await chat.say(place, each.who, each.text) for each in questions]
    await chat.settled(place, *asked)
    await asyncio.sleep(chat.pace.pause_s)


def _bot(state_dir: Path, pace: Pace, *, guarded: bool) -> Settings:
    """Return bot and host as a configuration file would describe them."""
    bot = {"botToken": "bf_demo", "guard": {"enabled": guarded}}
    answers = {each.text.removeprefix("@Helper "): each.answer for each in (*_QUESTIONS, *_UNGUARDED)}
    told = json.dumps([pace.thinking_s, answers])
    host = {
        "kind": "embedded",
        "stateDir": str(state_dir),
        "agent": {
            "kind": "command",
            "command": [sys.executable, "-X", "utf8", "-I", "-S", "-c", AGENT, told],
        },
        "timeoutSeconds": pace.budget_s,
    }
    mapping = {"channels": {"octo": {"accounts": {ACCOUNT: bot}}}, "host": host}
    return configured(parse_config(mapping, base=state_dir, env={}).config, state_dir)
