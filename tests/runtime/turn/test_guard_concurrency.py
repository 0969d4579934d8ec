"""The guard when others act at the same time: more mentions, more bots, more processes, a crash between two steps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.host.base import Accepted, Failed, Final, Recovery
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.session.key import session_key
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.store.journal import Journal
from openclaw_channel_octo.testing import HANG, ScriptedHost, Split
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, OTHER_TOKEN, RESTART, TOKEN, FastClock, Rig
from tests.until import until

GROUP_KEY = "agent:main:octo:group:g1"
FOREIGN = "a-run-of-somebody-else"
TEXTS = Texts()


def failed_host(status: str = "failed") -> ScriptedHost:
    host = ScriptedHost()
    host.set_status(GROUP_KEY, status)
    return host


class WatchedHost(ScriptedHost):
    """A host that counts how often it was asked for a session.

    Attributes:
        looks: the count.
    """

    looks = 0

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        self.looks += 1
        return await super().describe(session_key)

    async def until_looked(self, count: int) -> None:
        """Wait until the guard has looked that often, or a turn has begun."""
        await until(lambda: self.looks >= count or bool(self.turns))


class DyingHost(ScriptedHost):
    """A host under which the process dies while it recovers a session.

    Attributes:
        recovered: whether the recovery had happened by then.
        dying: set when that point is reached.
    """

    def __init__(self, *, recovered: bool) -> None:
        super().__init__()
        self.recovered = recovered
        self.dying = asyncio.Event()

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        if self.recovered:
            await super().recover(snapshot)
        self.dying.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class OvertakenHost(WatchedHost):
    """A host on which another process begins to run the session just before it is recovered from here."""

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        if not self.recoveries:
            self.set_status(GROUP_KEY, "running", run_id=FOREIGN)
        return await super().recover(snapshot)


@asynccontextmanager
async def second_process(rig: Rig, host: ScriptedHost) -> AsyncIterator[None]:
    """Run the other bot as another process on the same state folder would."""
    config = parse_config(rig.config(bots={"other": OTHER_TOKEN}), base=rig.state_dir).config
    channel = OctoChannel(config, clock=rig.clock)
    await channel.start("other", host)
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    try:
        yield
    finally:
        await channel.stop(0)


def everything(rig: Rig) -> list[str]:
    """Return what both bots have said in the group."""
    return [line.text for line in rig.octo.chat(rig.group) if line.from_uid in (HELPER, OTHER)]


async def until_everything(rig: Rig, count: int) -> list[str]:
    """Wait until both bots together have said so much in the group and return it."""
    await rig.octo.wait_for(lambda: len(everything(rig)) >= count)
    return everything(rig)


@pytest.mark.parametrize("recovered", [False, True], ids=["before the recovery", "after the recovery"])
async def test_a_crash_between_announcement_and_turn_neither_repeats_the_one_nor_loses_the_other(
    rig: Rig, recovered: bool
) -> None:
    dying = DyingHost(recovered=recovered)
    dying.set_status(GROUP_KEY, "failed")
    await rig.start(rig.config(), dying)
    message_id = await rig.mention("hello?")
    await dying.dying.wait()
    assert rig.said() == [RESTART]
    await rig.stop()

    again = ScriptedHost()
    again.sessions = dying.sessions
    await rig.start(rig.config(), again)
    await rig.until_row(message_id, "answered")
    assert rig.said() == [RESTART, "echo: @Helper hello?"]
    assert dying.turns == []


async def test_mentions_that_arrive_in_one_packet_share_one_announcement_in_each_conversation(
    rig: Rig,
) -> None:
    host = failed_host()
    host.set_status(session_key("main", rig.thread), "timeout")
    await rig.start(rig.config(), host)
    rig.octo.split = Split.COALESCED
    rig.octo.freeze()
    ids = []
    for number in range(6):
        ids.append(await rig.mention(f"m{number}", who=(ANN, BEN)[number % 2]))
        ids.append(await rig.mention(f"t{number}", who=BEN, where=rig.thread))
    rig.octo.thaw()
    await rig.until_answered(*ids)
    assert rig.said() == [RESTART, *(f"echo: @Helper m{number}" for number in range(6))]
    assert rig.said(rig.thread) == [RESTART, *(f"echo: @Helper t{number}" for number in range(6))]


async def test_two_bots_of_one_agent_announce_each_failed_run_once_whichever_of_them_failed(
    rig: Rig,
) -> None:
    host = await rig.start_with(ScriptedHost(), bots={"helper": TOKEN, "other": OTHER_TOKEN})
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    for number in range(1, 4):
        host.script(Accepted("r"), Failed("failed", "no luck"))
        await rig.octo.say(ANN, rig.group, f"round {number}", mention=[HELPER, OTHER])
        round_said = (await until_everything(rig, 3 * number))[-3:]
        assert round_said[:2] == [TEXTS.failed, RESTART]
        assert f"round {number}" in round_said[2]


async def test_two_processes_on_one_journal_announce_each_failed_run_once_and_both_answer(rig: Rig) -> None:
    one, two = ScriptedHost(), ScriptedHost()
    two.sessions = one.sessions
    await rig.start(rig.config(), one)
    async with second_process(rig, two):
        for number in range(1, 9):
            one.set_status(GROUP_KEY, "failed", run_id=f"run-{number}")
            await rig.octo.say(ANN, rig.group, f"round {number}", mention=[HELPER, OTHER])
            round_said = (await until_everything(rig, 3 * number))[-3:]
            assert round_said.count(RESTART) == 1
            assert sum(f"round {number}" in text for text in round_said) == 2


async def test_one_of_two_journals_on_one_file_is_the_first_to_note_an_episode(tmp_path: Path) -> None:
    path, clock = tmp_path / "octo.sqlite", SystemClock()
    async with Journal(path, clock) as one, Journal(path, clock) as two:
        episodes = [f"episode-{number}" for number in range(30)]
        noted = await asyncio.gather(
            *(journal.episodes.note("key", episode) for episode in episodes for journal in (one, two))
        )
        firsts = [noted[position : position + 2].count(True) for position in range(0, len(noted), 2)]
        assert firsts == [1] * len(episodes)
        assert (await one.episodes.ledger("key")).announced == frozenset(episodes)
        assert (await two.episodes.ledger("key")).failures == len(episodes)


@pytest.mark.parametrize("conflicts", [1, 5])
async def test_a_recovery_that_meets_a_conflict_is_tried_once_more_and_the_turn_runs_either_way(
    rig: Rig, conflicts: int
) -> None:
    host = failed_host()
    host.conflicts = conflicts
    await rig.start(rig.config(), host)
    await rig.mentioned("hello?")
    assert rig.said() == [RESTART, "echo: @Helper hello?"]
    assert len(host.recoveries) == 2


async def assert_waits(rig: Rig, host: WatchedHost) -> None:
    """A mention waits for the run of somebody else, and is answered once that has ended."""
    await rig.start(rig.config(), host)
    message_id = await rig.mention("hello?")
    await host.until_looked(4)
    assert host.turns == []
    host.set_status(GROUP_KEY, "done", run_id=FOREIGN)
    await rig.until_row(message_id, "answered")


async def test_after_a_conflict_the_turn_waits_for_the_run_that_overtook_it(fast_rig: Rig) -> None:
    fast_rig.clock = FastClock(20)  # an announcement has five seconds of it
    host = OvertakenHost()
    host.set_status(GROUP_KEY, "failed")
    await assert_waits(fast_rig, host)
    assert fast_rig.said() == [RESTART, "echo: @Helper hello?"]


@pytest.mark.parametrize("status", ["running", "queued"])
async def test_a_run_of_somebody_else_is_waited_for_without_a_word(fast_rig: Rig, status: str) -> None:
    host = WatchedHost()
    host.set_status(GROUP_KEY, status, run_id=FOREIGN)
    await assert_waits(fast_rig, host)
    assert fast_rig.said() == ["echo: @Helper hello?"]
    assert host.aborts == []


async def test_a_run_without_progress_is_aborted_once_patience_is_over(fast_rig: Rig) -> None:
    fast_rig.clock = FastClock(20)  # an announcement has five seconds of it
    host = WatchedHost()
    host.set_status(GROUP_KEY, "running", run_id=FOREIGN)
    await fast_rig.start(fast_rig.config(dispatchTimeoutMs=20_000), host)
    message_id = await fast_rig.mention("hello?")
    await host.until_looked(4)
    assert host.aborts == []
    long_ago = fast_rig.clock.wall_ms() - (20_000 + 60_000)
    host.sessions[GROUP_KEY] = replace(host.sessions[GROUP_KEY], last_progress_at=long_ago)
    await fast_rig.until_row(message_id, "answered")
    assert host.aborts == [(GROUP_KEY, FOREIGN)]
    assert fast_rig.said() == [RESTART, "echo: @Helper hello?"]


async def test_a_host_that_orders_turns_itself_gets_the_turn_while_somebody_else_runs(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("one")], [Accepted("r"), Final("two")])
    host.queues_turns = True
    host.set_status(GROUP_KEY, "running", run_id=FOREIGN)
    await rig.start(rig.config(), host)
    first, second = await rig.mention("first"), await rig.mention("second")
    await host.wait_for_turns(1)
    await rig.until_row(second, "queued")
    assert len(host.turns) == 1  # our own turns stay one behind the other all the same
    host.release()
    await rig.until_answered(first, second)
    assert rig.said() == ["one", "two"]
