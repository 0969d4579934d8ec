"""Slots shared fairly: turns at every level, nobody starves, none is lost whoever is cancelled."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from openclaw_channel_octo.fair import IN_A_ROW, FairSlots

COUNT = 2


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that want a slot, hold it until they are told to leave, and say when they got it."""

    def __init__(self, count: int = 1) -> None:
        self.slots = FairSlots(count)
        self.served: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def come(self, name: str, path: Sequence[str], *, first: bool = False) -> None:
        self.gates[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._want(name, path, first=first))

    async def _want(self, name: str, path: Sequence[str], *, first: bool) -> None:
        async with self.slots.slot(path, first=first):
            self.served.append(name)
            await self.gates[name].wait()

    async def all_leave(self) -> list[str]:
        """Let each one leave as soon as it has its slot; return the order in which they were served."""
        for gate in self.gates.values():
            gate.set()
        await asyncio.gather(*self.tasks.values())
        return self.served


async def test_names_take_turns_whatever_number_waits_behind_each() -> None:
    crowd = Crowd()
    crowd.come("now", ("x", "x"))
    for number in range(4):
        crowd.come(f"a{number}", ("bot", "a"))
    for name in ("b0", "c0"):
        crowd.come(name, ("bot", name[0]))
    await settle()
    assert await crowd.all_leave() == ["now", "a0", "b0", "c0", "a1", "a2", "a3"]


async def test_a_crowd_of_different_people_in_one_branch_delays_another_branch_by_one() -> None:
    crowd = Crowd()
    crowd.come("now", ("x", "x"))
    for number in range(300):
        crowd.come(f"stranger{number}", ("direct", f"stranger{number}"))
    await settle()
    crowd.come("group", ("group", "g2"))
    await settle()
    assert (await crowd.all_leave()).index("group") == 2


async def test_slots_can_become_more_and_fewer_while_they_are_held() -> None:
    crowd = Crowd(1)
    for name in "abcd":
        crowd.come(name, ("bot", name))
    await settle()
    crowd.slots.resize(3)
    await settle()
    assert crowd.served == ["a", "b", "c"]
    crowd.slots.resize(2)
    crowd.gates["a"].set()
    await settle()
    assert crowd.served == ["a", "b", "c"]
    crowd.gates["b"].set()
    await settle()
    assert await crowd.all_leave() == ["a", "b", "c", "d"]


async def test_equal_paths_are_served_in_their_order() -> None:
    crowd = Crowd()
    for number in range(20):
        crowd.come(f"{number}", ("bot", "a"))
    await settle()
    assert await crowd.all_leave() == [f"{number}" for number in range(20)]


async def test_who_goes_first_is_next_and_keeps_nobody_out_for_ever() -> None:
    crowd = Crowd()
    crowd.come("now", ("x",))
    crowd.come("other", ("x",))
    await settle()
    for number in range(50):
        crowd.come(f"owner{number}", ("owner",), first=True)
    await settle()
    served = await crowd.all_leave()
    assert served[1] == "owner0"
    assert served.index("other") == IN_A_ROW + 1


async def test_who_is_cancelled_in_the_moment_of_being_served_passes_the_slot_on() -> None:
    crowd = Crowd()
    for name in ("a", "b", "c"):
        crowd.come(name, ("x",))
    await settle()
    crowd.gates["a"].set()
    await asyncio.sleep(0)  # a leaves, b has the slot and has not run yet
    crowd.tasks["b"].cancel()
    await settle()
    assert crowd.served == ["a", "c"]
    crowd.gates["c"].set()
    await crowd.tasks["c"]


class Slots(RuleBasedStateMachine):
    """Any mix of coming, leaving and giving up: slots are never more than there are, never idle while one waits."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.crowd = self.runner.run(self.make())
        self.number = 0
        self.paths: dict[str, tuple[str, str]] = {}
        self.waiting: list[str] = []
        self.inside: set[str] = set()
        self.firsts: set[str] = set()

    async def make(self) -> Crowd:
        return Crowd(COUNT)

    def look(self) -> None:
        """Take note of who was served."""
        self.runner.run(settle())
        for name in self.crowd.served:
            if name in self.waiting:
                mine = [
                    other
                    for other in self.waiting
                    if self.paths[other] == self.paths[name]
                    and (other in self.firsts) == (name in self.firsts)
                ]
                assert mine[0] == name
                self.waiting.remove(name)
                self.inside.add(name)

    @rule(path=st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), first=st.booleans())
    def come(self, path: tuple[str, str], *, first: bool) -> None:
        name = f"{self.number}"
        self.number += 1
        self.paths[name] = path
        if first:
            self.firsts.add(name)
        self.waiting.append(name)
        self.runner.run(self._come(name, path, first=first))
        self.look()

    async def _come(self, name: str, path: tuple[str, str], *, first: bool) -> None:
        self.crowd.come(name, path, first=first)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.inside)))
        self.inside.discard(name)
        self.crowd.gates[name].set()
        self.look()

    @precondition(lambda self: self.waiting or self.inside)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted({*self.waiting, *self.inside})))
        self.crowd.tasks[name].cancel()
        self.inside.discard(name)
        if name in self.waiting:
            self.waiting.remove(name)
        self.look()

    @precondition(lambda self: self.inside and self.waiting)
    @rule(data=st.data())
    def leave_while_the_next_gives_up(self, data: st.DataObject) -> None:
        leaving = data.draw(st.sampled_from(sorted(self.inside)))
        other = data.draw(st.sampled_from(self.waiting))
        self.inside.discard(leaving)
        self.waiting.remove(other)
        self.runner.run(self._both(leaving, other, steps=data.draw(st.integers(0, 3))))
        self.look()

    async def _both(self, leaving: str, other: str, *, steps: int) -> None:
        self.crowd.gates[leaving].set()
        for _ in range(steps):
            await asyncio.sleep(0)
        self.crowd.tasks[other].cancel()
        await settle()
        if other in self.crowd.served:
            self.crowd.served.remove(other)

    @invariant()
    def slots_are_neither_lost_nor_too_many(self) -> None:
        assert len(self.inside) == min(COUNT, len(self.inside) + len(self.waiting))

    def teardown(self) -> None:
        async def end() -> None:
            for task in self.crowd.tasks.values():
                task.cancel()
            await asyncio.gather(*self.crowd.tasks.values(), return_exceptions=True)
            async with asyncio.timeout(10), AsyncExitStack() as held:
                for _ in range(COUNT):
                    await held.enter_async_context(self.crowd.slots.slot(("a", "x")))

        self.runner.run(end())
        self.runner.close()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


async def test_under_a_steady_flood_everybody_gets_their_share() -> None:
    crowd = Crowd()
    crowd.come("now", ("x", "x"))
    await settle()
    for person in ("loud", "quiet"):
        for number in range(100 if person == "loud" else 3):
            crowd.come(f"{person}{number}", ("g", person))
    await settle()
    shares = Counter(name.rstrip("0123456789") for name in (await crowd.all_leave())[1:7])
    assert shares == {"loud": 3, "quiet": 3}
