"""What an answered mention costs: the program in a process of its own, seen from outside, a server beside it.

The floor is a program that makes the same calls of the bot API, those of a conversation one after the other, and one
synced write before each answer.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.store.database import open_database
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.records import RawMessage, RestCall
from tests.bench.measure import Row
from tests.bench.outside import Program, Spent, program
from tests.bench.store import INSERT, key, sessions

ANN, HELPER, TOKEN = "ann", "helper_bot", "bf_0123456789abcdef"
GROUPS = 40
ECHO = {"agent": {"kind": "echo"}}
SESSION = key(1)
LATER = 1_000_000
"""Numbers of mentions behind all messages there were."""

CALM_S = 0.5
"""How long no call means that nothing goes on any more."""

WITHIN_S = 300.0
_MADE_AGAIN = {"sendMessage", "typing", "readReceipt"}


class _Cost(Struct, frozen=True, kw_only=True):
    """What mentions took, each of them on average.

    Attributes:
        cpu_ms: of the program.
        syncs: synced writes.
        wall_ms: from the first of all to the last answer.
    """

    cpu_ms: float
    syncs: float
    wall_ms: float


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` mentions, 1,000 for a real run, and with states that have grown as large as that is."""
    ours, base = asyncio.run(_crowd(scale))
    what = f"an answered mention of {scale:,} in {GROUPS} groups, echo agent"
    floor = "a program that makes the same calls and one synced write"
    rows = [
        Row(what=f"{what}: CPU", floor=floor, ours=ours.cpu_ms, base=base.cpu_ms, unit="ms", most_ours=4.0),
        Row(
            what=f"{what}: time", floor=floor, ours=ours.wall_ms, base=base.wall_ms, unit="ms", most_ours=4.0
        ),
        Row(what=f"{what}: synced writes", floor=floor, ours=ours.syncs, base=base.syncs, unit="writes"),
    ]
    few = max(1, scale // 10)
    empty = asyncio.run(_alone(few, lambda _: None))
    for name, grow in _grown(scale).items():
        cost = asyncio.run(_alone(few, grow))
        rows.append(
            Row(
                what=f"an answered mention, one after the other, {name}: CPU",
                floor="the same with an empty state",
                ours=cost.cpu_ms,
                base=empty.cpu_ms,
                unit="ms",
                most=1.3,
            )
        )
    return rows


def _grown(scale: int) -> dict[str, Callable[[Path], None]]:
    """Return what makes a state folder that was used for long, by what it is full of."""
    rows, text, count = 200 * scale, 8_000 * scale, 10 * scale
    return {
        f"{rows:,} messages of its group": partial(_recorded, rows),
        f"a transcript of {text / 1e6:g} MB": partial(_remembered, text),
        f"{count:,} sessions": partial(_known, count),
    }


def _recorded(count: int, state: Path) -> None:
    with closing(open_database(state / "octo.sqlite", 0)) as db, db:
        now_ms = SystemClock().wall_ms()
        talk = ((number, number, "context", "context", b"x" * 150, now_ms) for number in range(1, count))
        db.executemany(INSERT, talk)


def _remembered(size: int, state: Path) -> None:
    said = {"role": "user", "content": [{"type": "text", "text": "x" * 300}]}
    line = json.dumps({"type": "message", "id": "a", "message": said}) + "\n"
    folder = _sessions_folder(state)
    (folder / "s1.jsonl").write_text(line * (size // len(line)))
    entry = {"sessionId": "s1", "status": "done", "updatedAt": 1}
    (folder / "sessions.json").write_text(json.dumps({SESSION: entry}))


def _known(count: int, state: Path) -> None:
    (_sessions_folder(state) / "sessions.json").write_bytes(sessions(count))


def _sessions_folder(state: Path) -> Path:
    folder = state / "agents" / "main" / "sessions"
    folder.mkdir(parents=True)
    return folder


async def _crowd(mentions: int) -> tuple[_Cost, _Cost]:
    """Have people in many groups mention the bot, all at once; return what that costs, and its calls alone."""
    async with deployment() as (octo, folder):
        groups = [octo.add_group(f"g{number}", [ANN, HELPER]) for number in range(min(GROUPS, mentions))]
        async with bot(octo, folder, mentions, ECHO) as running:

            async def mention(count: int) -> None:
                answers = Answers(octo)
                for number in range(count):
                    await octo.say(ANN, groups[number % len(groups)], f"hello {number}", mention=[HELPER])
                await answers.reach(count)

            await mention(len(groups))
            await calm(octo)
            seen = len(octo.calls)
            ours = await _cost(octo, running, mention, mentions)
        return ours, await _floor(octo, folder, octo.calls[seen:], mentions)


async def _alone(mentions: int, grow: Callable[[Path], None]) -> _Cost:
    """Return what it costs to answer mentions in one group, one after the other, with a state folder as it was made."""
    async with deployment() as (octo, folder):
        group = octo.add_group("g1", [ANN, HELPER])
        (folder / "state").mkdir(mode=0o700)
        grow(folder / "state")
        async with bot(octo, folder, mentions, ECHO) as running:

            async def mention(count: int) -> None:
                for number in range(count):
                    answers = Answers(octo)
                    payload = {"type": 1, "content": f"hello {number}", "mention": {"uids": [HELPER]}}
                    packet = RawMessage(
                        from_uid=ANN,
                        channel=group,
                        payload=json.dumps(payload).encode(),
                        message_seq=LATER + len(octo.calls),
                    )
                    await octo.inject(HELPER, packet)
                    await answers.reach(1)

            await mention(3)
            await calm(octo)
            return await _cost(octo, running, mention, mentions)


@asynccontextmanager
async def deployment() -> AsyncIterator[tuple[OctoDouble, Path]]:
    """Serve a double with a person and a bot; also give a folder."""
    with TemporaryDirectory() as folder:
        async with OctoDouble() as octo:
            octo.add_person(ANN, "Ann")
            octo.add_bot(HELPER, TOKEN, name="Helper", owner=ANN)
            yield octo, Path(folder)


@asynccontextmanager
async def bot(
    octo: OctoDouble, folder: Path, mentions: int, host: Mapping[str, object]
) -> AsyncIterator[Program]:
    """Run the program with one bot.

    Args:
        octo: a server of `deployment`.
        folder: for its configuration, log and state.
        mentions: how many may wait in a group.
        host: of the configuration, without its state folder.
    """
    config = {
        "channels": {
            "octo": {
                "apiUrl": octo.api_url,
                "laneLength": mentions,
                "rateLimit": {"personPerMinute": 0, "conversationPerMinute": 0},
                "accounts": {"helper": {"botToken": TOKEN}},
            }
        },
        "host": {"stateDir": str(folder / "state"), **host},
    }
    (folder / "octo.json").write_text(json.dumps(config))
    async with program(folder / "log", "run", "--config", str(folder / "octo.json")) as running:
        await octo.wait_for(lambda: octo.online(HELPER), timeout=WITHIN_S)
        yield running


async def _cost(
    octo: OctoDouble, bot: Program, mention: Callable[[int], Awaitable[None]], mentions: int
) -> _Cost:
    before = await bot.spent()
    await mention(mentions)
    answered = await bot.spent()
    await calm(octo)
    return _average(before, await bot.spent(), answered.at, mentions)


class Answers:
    """Watches for the answers that are sent from now on; looks at each call once.

    Args:
        octo: the server that they are sent to.
    """

    def __init__(self, octo: OctoDouble) -> None:
        self._octo = octo
        self._seen = len(octo.calls)
        self._sent: list[float] = []

    async def reach(self, count: int) -> Sequence[float]:
        """Return once there are so many; at what times of `time.perf_counter` they came."""
        await self._octo.wait_for(lambda: self._look() >= count, timeout=WITHIN_S)
        return self._sent

    def _look(self) -> int:
        new = self._octo.calls[self._seen :]
        self._seen += len(new)
        self._sent += [time.perf_counter() for call in new if call.name == "sendMessage"]
        return len(self._sent)


async def calm(octo: OctoDouble) -> None:
    """Return once no call comes any more."""
    seen = -1
    while seen != len(octo.calls):
        seen = len(octo.calls)
        await asyncio.sleep(CALM_S)


async def _floor(octo: OctoDouble, folder: Path, calls: Sequence[RestCall], mentions: int) -> _Cost:
    """Make the same calls with nothing around them."""
    by_channel: dict[str, list[tuple[str, object]]] = {}
    for call in calls:
        if call.name in _MADE_AGAIN:
            by_channel.setdefault(call.body["channel_id"], []).append((call.name, call.body))
    told = {"url": octo.api_url, "token": TOKEN, "conversations": list(by_channel.values())}
    (folder / "calls").write_text(json.dumps(told))
    async with program(folder / "log", "floor", str(folder / "calls")) as client:
        before, after = await client.told(), await client.told()
        return _average(before, after, after.at, mentions)


def _average(before: Spent, after: Spent, ended_at: float, mentions: int) -> _Cost:
    return _Cost(
        cpu_ms=(after.cpu_s - before.cpu_s) / mentions * 1e3,
        syncs=(after.syncs - before.syncs) / mentions,
        wall_ms=(ended_at - before.at) / mentions * 1e3,
    )
