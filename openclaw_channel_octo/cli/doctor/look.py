"""Everything that is looked at, side by side: each part within its time, with a word about what takes long."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.doctor.bot import check_bot
from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, skipped, warning
from openclaw_channel_octo.cli.doctor.host import check_host
from openclaw_channel_octo.cli.doctor.journal import check_journal
from openclaw_channel_octo.cli.doctor.metrics import check_metrics
from openclaw_channel_octo.cli.doctor.running import Running, find_running
from openclaw_channel_octo.cli.doctor.state import check_state
from openclaw_channel_octo.cli.run.start import not_installed
from openclaw_channel_octo.cli.sessions.files import PATIENCE_MS
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import Loaded
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, OctoConfig
from openclaw_channel_octo.runtime.background import aside
from openclaw_channel_octo.session.guard import patience_ms

__all__ = ["Look"]

BOTS_AT_ONCE = 8
STATE_WITHIN_S = 20.0
PART_WITHIN_S = 90.0
"""Longest time for one part; what it waits for has bounds of its own, which are shorter together."""

PROGRESS_S = 5.0
"""How often it is told what is waited for."""

_T = TypeVar("_T")


class Look(Struct):
    """One look around.

    Attributes:
        tell: is told in words what happens meanwhile.
        register: whether to log in; ``None`` to do so only where nobody runs the bot.
        ask_agent: whether the agent is asked for a word.
        more: the command that tells more of a gateway.
    """

    tell: Callable[[str], None]
    register: bool | None = None
    ask_agent: bool = False
    more: str = ""
    _pending: dict[str, None] = field(default_factory=dict)

    async def around(self, loaded: Loaded, bots: Sequence[BotConfig]) -> list[Finding]:
        """Return what is found about a configuration that can be read, its bots and where they run."""
        config, folder = loaded.config, loaded.config.host.state_dir
        found = [
            warning("configuration", text, "change it, unless it is meant so") for text in loaded.warnings
        ]
        if not bots:
            found.append(error("configuration", "no account is on", "switch one on with enabled: true"))
        at_once = asyncio.Semaphore(BOTS_AT_ONCE)

        async def in_turn(bot: BotConfig) -> list[Finding]:
            async with at_once:
                looking = check_bot(bot, running=running, register=self.register, tell=self.tell)
                return await self._part(bot.account_id, looking)

        async with self._with_progress():
            running = await self._running(folder)
            several = await asyncio.gather(
                self._part("agent", self._host(loaded, running)),
                *(in_turn(bot) for bot in bots),  # a refusal comes before what it does to a connection
                self._part("state folder", _state(folder, bots, running, _silent_ms(config, bots))),
                self._part("metrics", check_metrics(config.metrics, running)),
                self._part(
                    "journal", _journal(folder, bots)
                ),  # last: what is wrong now comes before what was
            )
        for problem in not_installed(config):
            subject, _, words = problem.partition(": ")
            found.append(error(subject, words, "the bots do not start without it"))
        return [*found, *(each for part in several for each in part), _about()]

    async def without_configuration(self, folder: Path | None) -> list[Finding]:
        """Return what is found beside a configuration that cannot be used.

        Args:
            folder: the state folder, whose process is asked; ``None`` where that is wrong too.
        """
        first = "the configuration has to be right first"
        rest = [skipped("server, token and agent", first), _about()]
        if folder is None:
            return [skipped("state folder", first), *rest]
        async with self._with_progress():
            running = await self._running(folder)
            silent_ms = PATIENCE_MS if running.told.get("host") != "gateway" else None
            state = await self._part("state folder", _state(folder, None, running, silent_ms))
            return [*state, *await self._part("journal", _journal(folder, None)), *rest]

    async def _host(self, loaded: Loaded, running: Running) -> list[Finding]:
        """Return what is found about who runs the turns; a secret that only the service has is no trouble."""
        subject = "agent" if isinstance(loaded.config.host, EmbeddedHostConfig) else "gateway"
        if not loaded.unread:
            return await check_host(loaded.config, ask=self.ask_agent, more=self.more)
        if running.told:
            why = f"process {running.holder}, which runs the bots, has an environment of its own"
            return [skipped(subject, f"{problem} here; {why}") for problem in loaded.unread]
        advice = "set it here as it is where the bots run, such as from the service's EnvironmentFile"
        return [error(subject, problem, advice) for problem in loaded.unread]

    async def _running(self, folder: Path) -> Running:
        self._pending["the process that runs the bots"] = None
        try:
            return await _aside(lambda: find_running(folder))
        except TimeoutError:
            return Running()  # the disk hangs: told where the state folder is looked at
        finally:
            del self._pending["the process that runs the bots"]

    async def _part(self, subject: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
        """Return what one part finds; one that breaks or hangs hides none of the others."""
        self._pending[subject] = None
        try:
            return await asyncio.wait_for(looking, PART_WITHIN_S)
        except TimeoutError:
            words = f"not looked at to its end within {PART_WITHIN_S:.0f} s"
            return [error(subject, words, "somebody it asks is very slow: try again")]
        except Exception as problem:  # noqa: BLE001  # boundary of a part: its break must not hide what others find
            advice = "doctor has no words for this: please report it, with what it says here"
            return [error(subject, f"{type(problem).__name__}: {problem}", advice)]
        finally:
            del self._pending[subject]

    @asynccontextmanager
    async def _with_progress(self) -> AsyncIterator[None]:
        """Tell now and then what is waited for, meanwhile."""
        telling = asyncio.create_task(self._progress())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait({telling})

    async def _progress(self) -> None:
        clock = SystemClock()
        began = clock.now()
        while True:
            await clock.sleep(PROGRESS_S)
            self.tell(f"after {clock.now() - began:.0f} s still waiting for: {', '.join(self._pending)}")


def _silent_ms(config: OctoConfig, bots: Iterable[BotConfig]) -> int | None:
    if not isinstance(config.host, EmbeddedHostConfig):
        return None
    return patience_ms(max((bot.turn_budget_s(config.host.timeout_seconds) for bot in bots), default=0.0))


def _about() -> Finding:
    return fine("version", f"openclaw-channel-octo {__version__}, Python {sys.version.split()[0]}")


async def _state(
    folder: Path, bots: Sequence[BotConfig] | None, running: Running, silent_ms: int | None
) -> list[Finding]:
    look = partial(check_state, folder, bots, running, silent_ms=silent_ms)
    return await _on_disk("state folder", folder, look)


async def _journal(folder: Path, bots: Sequence[BotConfig] | None) -> list[Finding]:
    return await _on_disk("journal", folder, partial(check_journal, folder, bots))


async def _on_disk(subject: str, folder: Path, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a look at the disk finds."""
    try:
        return await _aside(lambda: list(look()))
    except TimeoutError:
        words = f"{folder} is not read within {STATE_WITHIN_S:.0f} s"
        advice = "the disk hangs, or the network behind it: bots wait for it as well"
        return [error(subject, words, advice)]


async def _aside(look: Callable[[], _T]) -> _T:
    """Return what a look at the disk returns; a disk that hangs does not hang the doctor. Raises `TimeoutError`."""
    return await asyncio.wait_for(aside(look), STATE_WITHIN_S)
