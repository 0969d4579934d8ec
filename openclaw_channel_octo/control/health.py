"""Whether the bots work, as probes and a service manager ask for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.observe.logs import on_one_line
from openclaw_channel_octo.observe.notify import ALIVE, READY, ServiceManager
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState

__all__ = ["Health", "reported"]

READY_WITHIN_S = 30.0
"""A start counts as done after this time, also where a bot has not reached its server: it keeps trying."""

LOOK_S = 0.1
"""Seconds between two looks during the start."""

NAMED = 5
"""Most troubles that one line tells."""

TROUBLE_BYTES = 300
"""Longest trouble in that line, bytes of UTF-8: systemd ignores a datagram of more than 4096 bytes."""


class Health:
    """How the bots are.

    Attributes:
        begun: whether every bot was started; set by who starts them.
        ending: why the process stops, empty while it does not; set by who stops it.

    Args:
        status: returns how the channel's bots are.
        hide: returns a text without secrets.
    """

    def __init__(self, status: Callable[[], ChannelStatus], hide: Callable[[str], str] = str) -> None:
        self._status = status
        self._hide = hide
        self.begun = False
        self.ending = ""

    @property
    def _bots(self) -> Mapping[str, ConnectionStatus]:
        """The bots that are to work: one that ends because it was removed does not count."""
        bots = self._status().bots
        return {name: bot for name, bot in bots.items() if bot.state is not LinkState.ENDING}

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the bots do not all work, one line each; none where all are online and the journal is written."""
        if self.ending or not self.begun:
            return (f"stopping: {self.ending}" if self.ending else "starting",)
        trouble = self._status().trouble
        found = [f"the journal cannot be written: {trouble}"] if trouble else []
        found += [
            f"{name}: {bot.state}: {bot.why}"
            for name, bot in self._bots.items()
            if bot.state is not LinkState.ONLINE
        ]
        return tuple(on_one_line(self._hide(line)) for line in found)

    @property
    def settled(self) -> bool:
        """Whether every bot was started, and is online or kept from it by more than its first try."""
        states = (bot.state for bot in self._bots.values())
        return self.begun and LinkState.CONNECTING not in states

    @property
    def line(self) -> str:
        """The state in one line of bounded length, such as ``1 of 2 bots online; other: refused: …``."""
        troubles = self.troubles
        if self.ending or not self.begun:
            return troubles[0]
        states = [bot.state for bot in self._bots.values()]
        online = f"{states.count(LinkState.ONLINE)} of {len(states)} bots online"
        more = [f"and {len(troubles) - NAMED} more"] * (len(troubles) > NAMED)
        return "; ".join((online, *map(_short, troubles[:NAMED]), *more))


def _short(trouble: str) -> str:
    raw = trouble.encode(errors="replace")
    return trouble if len(raw) <= TROUBLE_BYTES else raw[:TROUBLE_BYTES].decode(errors="ignore") + "…"


@asynccontextmanager
async def reported(health: Health, manager: ServiceManager, clock: Clock) -> AsyncIterator[None]:
    """Tell the service manager meanwhile that the process is ready, how the bots are, and that its loop lives."""
    if not manager.listens:
        yield
        return
    reporting = asyncio.create_task(_report(health, manager, clock), name="octo:service-manager")
    try:
        yield
    finally:
        reporting.cancel()
        await asyncio.wait({reporting})


async def _report(health: Health, manager: ServiceManager, clock: Clock) -> None:
    """Tell each thing in a datagram of its own, so that what is lost takes nothing else with it."""
    latest, told = clock.now() + READY_WITHIN_S, ""
    while True:
        if manager.watchdog_s:
            manager.tell(ALIVE)
        line = f"STATUS={health.line}"
        if line != told and manager.tell(line):
            told = line
        if manager.owes_ready and not health.ending and (health.settled or clock.now() >= latest):
            manager.tell(READY)
        await clock.sleep(LOOK_S if manager.owes_ready else manager.every_s)
