"""The long form with a real gateway as the host, `make chaos HOST=gateway`: kills of the program and of the gateway."""

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.live.gateway.install import CURRENT
from tests.live.gateway.model import StubModel
from tests.live.gateway.rig import RealGateway
from tests.programs import PROGRAM, write
from tests.runtime.rig import ANN, HELPER, Rig

__all__ = ["GATEWAY_KILLS", "MENTIONS", "PROGRAM_KILLS", "Counts", "judged", "play"]

MENTIONS, GROUPS = 100, 8
PROGRAM_KILLS, GATEWAY_KILLS = 10, 6
WISHES = ("", "", "[stub:slow 3]", "[stub:toolslow 3]")
"""What a mention asks of the model."""
PAUSE_S = 1.5
"""Longest wait between two mentions."""
END_S, QUIET_S = 420.0, 20.0
"""How long the last ends may take, and how long nothing more may come behind them."""

_NUMBER = re.compile(r"\bm(\d+)\b")


class Counts(Struct, frozen=True):
    """What people saw that they must not see; all of them have to be 0.

    Attributes:
        silent: mentions without an end.
        twice: ends beside the one of their mention.
        out_of_order: answers in front of that to an earlier mention of their group.
    """

    silent: int = 0
    twice: int = 0
    out_of_order: int = 0

    @property
    def fine(self) -> bool:
        """Whether there is nothing."""
        return self == Counts()


def judged(asked: Mapping[str, int], chats: Mapping[str, Sequence[str]]) -> Counts:
    """Return what is wrong in some groups.

    Args:
        asked: how many mentions each group had.
        chats: what the bot said there, oldest first: an answer has its mention's number last, everything else but the
            notice of a new session is an end too.
    """
    silent = twice = out_of_order = 0
    for group, count in asked.items():
        ends = [text for text in chats[group] if text != Texts().restarting]
        numbers = [int(found[-1]) for text in ends if (found := _NUMBER.findall(text))]
        repeated = len(numbers) - len(set(numbers))
        silent += max(0, count - (len(ends) - repeated))
        twice += max(repeated, len(ends) - count)
        out_of_order += sum(after < before for before, after in pairwise(numbers))
    return Counts(silent, twice, out_of_order)


class _Run:
    """One program on one gateway, and the mentions in between."""

    def __init__(
        self, octo: OctoDouble, gateway: RealGateway, folder: Path, seed: int, say: Callable[[str], None]
    ) -> None:
        self._gateway = gateway
        self._folder, self._say = folder, say
        self._random = random.Random(seed)
        self._rig = Rig(octo, folder / "state", SystemClock())
        self._groups = [octo.add_group(f"chaos{number}", [ANN, HELPER]) for number in range(GROUPS)]
        self._asked = dict.fromkeys((group.id for group in self._groups), 0)
        self._program: asyncio.subprocess.Process | None = None

    async def play(self) -> Counts:
        """Mention, kill, start again; return what people saw of it."""
        kills = ["program"] * PROGRAM_KILLS + ["gateway"] * GATEWAY_KILLS
        self._random.shuffle(kills)
        places = sorted(self._random.sample(range(2, MENTIONS), len(kills)))
        at = dict(zip(places, kills, strict=True))
        await self._start_program()
        try:
            for number in range(1, MENTIONS + 1):
                await self._mention(number)
                await asyncio.sleep(self._random.uniform(0, PAUSE_S))
                match at.get(number):
                    case "program":
                        await self._kill_program()
                        await self._start_program()
                    case "gateway":
                        await self._gateway.kill()
                        await self._gateway.start()
                if number in at:
                    self._say(f"{number} mentions, the {at[number]} was killed")
            return await self._counts()
        finally:
            await self._kill_program()

    async def _mention(self, number: int) -> None:
        group = self._random.choice(self._groups)
        self._asked[group.id] += 1
        await self._rig.mention(f"{self._random.choice(WISHES)} m{number}".strip(), where=group)

    async def _start_program(self) -> None:
        config = self._rig.config(maxTurns=32)
        config["host"] = {
            "kind": "gateway",
            "url": self._gateway.url,
            "token": self._gateway.token,
            "stateDir": str(self._rig.state_dir),
        }
        with (self._folder / "program.log").open("ab") as log:
            self._program = await asyncio.create_subprocess_exec(
                *(PROGRAM, "run", "--config", write(self._folder, config)), stdout=log, stderr=log
            )

    async def _kill_program(self) -> None:
        program, self._program = self._program, None
        if program is not None:
            with suppress(ProcessLookupError):
                program.kill()
            await program.wait()

    async def _counts(self) -> Counts:
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                while judged(self._asked, self._chats()).silent:  # noqa: ASYNC110  # chats set no event
                    await asyncio.sleep(1)
        await asyncio.sleep(QUIET_S)
        return judged(self._asked, self._chats())

    def _chats(self) -> Mapping[str, Sequence[str]]:
        return {group.id: self._rig.said(ChannelRef(group.id, group.type)) for group in self._groups}


async def play(seed: int, folder: Path, say: Callable[[str], None]) -> Counts:
    """Play it once.

    Args:
        seed: of the plan.
        folder: for the program's files and log.
        say: gets a line at each kill.

    Raises:
        CannotInstall: there is no gateway to be had.
    """
    state = folder / "state"
    state.mkdir()
    async with (
        StubModel() as model,
        OctoDouble() as octo,
        RealGateway(CURRENT, model_url=model.url, run_budget_s=60, control=state / "control.sock") as gateway,
    ):
        return await _Run(octo, gateway, folder, seed, say).play()
