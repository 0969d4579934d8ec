"""Starts the real program with a fast clock, a point to die at, or a planted bug, all from outside the package."""

import asyncio
import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from openclaw_channel_octo.cli import main
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.host.embedded.session_file import SessionFile
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.admission.notifier import Notifier
from openclaw_channel_octo.runtime.connection.link import Link
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.runtime.intake.history import MissedHistory
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.store import deliveries, messages
from openclaw_channel_octo.store.cursors import Cursors
from openclaw_channel_octo.store.deliveries import Deliveries
from openclaw_channel_octo.store.episodes import Episodes
from openclaw_channel_octo.store.messages import Messages
from openclaw_channel_octo.store.states import ChunkState
from tests.chaos.judge import DRAIN

_log = logging.getLogger("openclaw_channel_octo.chaos")

SPEED = 20.0
"""How many seconds of the program's clock pass in a real one."""

Method = Callable[..., Awaitable[Any]]

POINTS: dict[str, tuple[object, str, bool]] = {
    "after the commit, before the ack": (Messages, "append", True),
    "after the ack": (Link, "_acknowledge", True),
    "after the episode is noted, before the announcement": (Episodes, "note", True),
    "after the announcement, before the recovery": (Outbox, "announce", True),
    "after the recovery, before the turn": (EmbeddedHost, "recover", True),
    "after the session's change is written, before the host goes on": (SessionFile, "change", True),
    "after the host took the turn, before it is marked as running": (Messages, "start_run", False),
    "after the turn is marked as running": (Messages, "start_run", True),
    "after the run, before its answer is planned": (Runs, "run", True),
    "after the answer is planned, before it is sent": (Deliveries, "plan", True),
    "before a message is sent": (BotApi, "send_message", False),
    "after a message was accepted, before that is recorded": (BotApi, "send_message", True),
    "after a piece of an answer was accepted, before that is recorded": (Sender, "deliver", True),
    "after a progress message was accepted, before that is recorded": (Sender, "send_progress", True),
    "before an answer takes the place of the progress": (BotApi, "edit_message", False),
    "after it has, before that is recorded": (BotApi, "edit_message", True),
    "after a chunk is recorded": (Deliveries, "mark", True),
    "before the row is settled": (Messages, "settle", False),
    "between the statements that settle a row": (messages, "forget_failures", False),
    "after the row is settled": (Messages, "settle", True),
    "after a notice that stands for a burst": (Notifier, "_tell", True),
    "after the cursors are saved": (Cursors, "save", True),
}
"""Name of each point, the method or function it lies at, and whether behind its call or before it."""


def replaced(owner: object, name: str, method: Callable[..., Any]) -> None:
    """Put another method or function in the place of one of the package's."""
    getattr(owner, name)  # what is renamed in the package must not silently be no plant any more
    setattr(owner, name, method)


def speed_up() -> None:
    """Let the program's waits take a fraction of their time."""

    def now(_: SystemClock) -> float:
        return time.monotonic() * SPEED

    async def sleep(_: SystemClock, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)

    replaced(SystemClock, "now", now)
    replaced(SystemClock, "sleep", sleep)


def tell_of_the_drain() -> None:
    """Log the moment from which on no turn may begin, in the order of the program's own lines."""
    original: Method = Lanes.drain

    async def drain(*args: Any) -> Any:
        _log.info(DRAIN)
        return await original(*args)

    replaced(Lanes, "drain", drain)


def die_at(point: str, passage: int) -> None:
    """Kill this process at the n-th passage of a point."""
    owner, name, behind = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    left = passage

    @contextmanager
    def passage_counted() -> Iterator[None]:
        nonlocal left
        left -= 1
        if not left and not behind:
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if not left and behind:
            os.kill(os.getpid(), signal.SIGKILL)

    async def passing(*args: Any, **kwargs: Any) -> Any:
        with passage_counted():
            return await original(*args, **kwargs)

    def passing_on_a_thread(*args: Any, **kwargs: Any) -> Any:
        with passage_counted():
            return original(*args, **kwargs)

    replaced(owner, name, passing if inspect.iscoroutinefunction(original) else passing_on_a_thread)


def look_away() -> None:
    """Let the program find nothing in the history."""

    async def finds_nothing(*_: Any, **__: Any) -> list[Any]:
        return []

    for name in ("conversations", "_read"):
        replaced(MissedHistory, name, finds_nothing)


def acknowledge_first() -> None:
    """Let the program acknowledge what arrives before it is recorded."""

    acknowledge: Method = Link._acknowledge

    async def acknowledged(*args: Any) -> None:
        await acknowledge(*args)
        await asyncio.sleep(0.05)  # until it has left: what dies with the process was never acknowledged

    async def record(link: Any) -> None:
        while batch := await link._next_batch():
            arrived = [SimpleNamespace(message=event.message, acknowledge=True) for event in batch]
            await link._acknowledge(arrived)
            link._intake.dispatch(await link._intake.commit(batch))

    replaced(Link, "_acknowledge", acknowledged)
    replaced(Link, "_record", record)


def forget_the_end_of_chunks() -> None:
    """Let the program neither record that a chunk was sent nor give one up when its message ends."""
    mark: Method = Deliveries.mark

    async def marked(owner: Deliveries, ref: str, state: ChunkState, **told: str) -> None:
        if state is not ChunkState.SENT:
            await mark(owner, ref, state, **told)

    replaced(Deliveries, "mark", marked)
    for module in (deliveries, messages):
        replaced(module, "drop_unsent", lambda *_: None)
    replaced(messages, "mark_chunk", lambda *_: None)


def plant(bug: str) -> None:
    """Break the program in a way the judge has to notice."""

    async def finds_nothing(*_: Any) -> str:
        return ""

    match bug:
        case "no look-up before a resend":
            replaced(Sender, "_search", finds_nothing)
        case "the lanes stay open during a drain":
            replaced(Lanes, "close", lambda _: None)
        case "the end of a chunk is not recorded":
            forget_the_end_of_chunks()
        case "missed messages are not fetched":
            look_away()
        case "acknowledged before the commit, and missed messages are not fetched":
            look_away()
            acknowledge_first()
        case _:
            raise ValueError(bug)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored below nohup, which the program respects
    speed_up()
    tell_of_the_drain()
    if bug := os.environ.get("CHAOS_BUG"):
        plant(bug)
    if point := os.environ.get("CHAOS_POINT"):
        die_at(point, int(os.environ["CHAOS_PASSAGE"]))
    sys.exit(main())
