"""Slots shared fairly: those who wait take turns, so that a crowd holds up its own members and nobody else."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

__all__ = ["FairSlots"]

IN_A_ROW = 8
"""Slots that those who go first get one after the other while somebody else waits."""

_Waiter = asyncio.Future[None]


class _Ring:
    """Those who wait, in a tree; at each node the branches take turns."""

    def __init__(self) -> None:
        self._waiters: deque[_Waiter] = deque()
        self._branches: OrderedDict[str, _Ring] = OrderedDict()

    def add(self, path: Sequence[str], waiter: _Waiter) -> None:
        if path:
            self._branches.setdefault(path[0], _Ring()).add(path[1:], waiter)
        else:
            self._waiters.append(waiter)

    def remove(self, path: Sequence[str], waiter: _Waiter) -> None:
        """Take out somebody who waits no more, if they are still there."""
        if not path:
            with suppress(ValueError):
                self._waiters.remove(waiter)
        elif branch := self._branches.get(path[0]):
            branch.remove(path[1:], waiter)
            if branch.empty:
                del self._branches[path[0]]

    def pop(self) -> _Waiter:
        """Take out whose turn it is; not to be called on an empty ring."""
        if self._waiters:
            return self._waiters.popleft()
        name, branch = self._branches.popitem(last=False)
        waiter = branch.pop()
        if not branch.empty:
            self._branches[name] = branch  # behind the others
        return waiter

    @property
    def empty(self) -> bool:
        return not (self._waiters or self._branches)


class FairSlots:
    """A number of slots. While all are taken, each one that gets free goes to whose turn it is.

    Who asks is told by a path such as bot, conversation, person. At every level of it the names take turns, whatever
    number waits behind each; equal paths are served in the order they came.

    Args:
        count: how many slots there are.
    """

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._first = _Ring()
        self._others = _Ring()
        self._in_a_row = 0

    @property
    def is_full(self) -> bool:
        """Whether somebody who asks now has to wait."""
        return self._free <= 0

    def resize(self, count: int) -> None:
        """Have so many slots from now on; held ones above that number end with those who hold them."""
        self._free += count - self._count
        self._count = count
        self._serve()

    @asynccontextmanager
    async def slot(self, path: Sequence[str], *, first: bool = False) -> AsyncIterator[None]:
        """Hold a slot.

        Args:
            path: who asks, from the widest to the narrowest; all paths of these slots have the same length.
            first: whether it goes before those who do not; they get one slot in `IN_A_ROW` + 1 all the same.
        """
        await self._take(self._first if first else self._others, path)
        try:
            yield
        finally:
            self._give()

    async def _take(self, ring: _Ring, path: Sequence[str]) -> None:
        if self._free > 0:  # then nobody waits
            self._free -= 1
            return
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        ring.add(path, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                ring.remove(path, waiter)
            else:
                self._give()  # it was ours already
            raise

    def _give(self) -> None:
        """Pass a slot on."""
        self._free += 1
        self._serve()

    def _serve(self) -> None:
        while self._free > 0 and (ring := self._whose_turn()) is not None:
            waiter = ring.pop()
            if not waiter.done():  # else cancelled, and about to leave
                self._free -= 1
                self._in_a_row = self._in_a_row + 1 if ring is self._first else 0
                waiter.set_result(None)

    def _whose_turn(self) -> _Ring | None:
        order = (self._first, self._others)
        if self._in_a_row >= IN_A_ROW:
            order = (self._others, self._first)
        return next((ring for ring in order if not ring.empty), None)
