"""The order of one conversation's messages, by their sequence numbers (protocol §4.7)."""

from typing import Generic, TypeVar

__all__ = ["ReorderBuffer"]

_T = TypeVar("_T")


class ReorderBuffer(Generic[_T]):
    """Puts the messages of one conversation in order, holding back what came too early. No clock, no I/O.

    Args:
        last: highest number known to be complete; the next message expected is ``last + 1``.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self.cursor = last
        """Highest number up to which nothing is missing, as far as anybody can know."""
        self.behind = False
        """Whether a gap was passed over because the history could not be asked."""
        self.held: dict[int, _T] = {}
        """Messages held back, by number."""

    @property
    def gap(self) -> int | None:
        """Number of the first message that is held back, ``None`` when none is."""
        return min(self.held, default=None)

    def offer(self, seq: int, item: _T, *, hold: bool = False) -> list[_T]:
        """Take a message that arrived by itself; return what may go on now, in order.

        Args:
            seq: its number.
            item: the message.
            hold: keep whatever is new, because missed messages are being fetched.
        """
        if seq <= self._last or seq in self.held:
            return [item]  # late, or known: nothing could be put behind it any more
        self.held[seq] = item
        return [] if hold else self._contiguous()

    def fetched(self, seq: int, item: _T) -> list[_T]:
        """Take a message of the history, which comes in ascending order; return what may go on now, in order.

        A copy of it that is held back goes on with it: only one of the two was new to the journal, and either may be.
        """
        ready = [self.held.pop(number) for number in sorted(self.held) if number <= seq]
        ready.append(item)
        self._advance(max(seq, self._last))
        return ready

    def complete(self, before: int | None) -> list[_T]:
        """Note that the history holds nothing else below ``before``; return what may go on now.

        Args:
            before: end of the gap that was asked for, ``None`` for everything there was. What arrived while
                the history was read may lie behind a new gap, and stays.
        """
        self.behind = False
        self._advance(self._last if before is None else max(self._last, before - 1))
        return self._contiguous()

    def begin(self, last: int) -> list[_T]:
        """Take the conversation up behind ``last``; return what may go on now, in order."""
        ready = [self.held.pop(number) for number in sorted(self.held) if number <= last]
        self._advance(max(last, self._last))
        return ready + self._contiguous()

    def restart(self) -> None:
        """Forget how far the conversation was: its numbers have begun anew. What is held back stays."""
        self._last = self.cursor = 0
        self.behind = False

    def resume(self) -> list[_T]:
        """Return what was only held because the history was being read."""
        return self._contiguous()

    def skip_gap(self) -> list[_T]:
        """Pass over the gaps, because the history cannot be asked; return everything held, in order."""
        self.behind = True
        ready = [self.held[number] for number in sorted(self.held)]
        self._advance(max(self.held, default=self._last))
        self.held.clear()
        return ready

    def _contiguous(self) -> list[_T]:
        ready: list[_T] = []
        while (item := self.held.pop(self._last + 1, None)) is not None:
            ready.append(item)
            self._advance(self._last + 1)
        return ready

    def _advance(self, seq: int) -> None:
        self._last = seq
        if not self.behind:
            self.cursor = seq
