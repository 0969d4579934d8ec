"""History whose messages do not fit into one answer: asked for in parts, nothing left out."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.rest.answers import AnswerTooLarge
from openclaw_channel_octo.rest.history import Part, in_parts
from openclaw_channel_octo.rest.models import HistoryMessage

MOST = 40


class Engine:
    """A conversation as the server reads it; an answer holds so many bytes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.asked = 0

    async def ask(self, part: Part) -> list[HistoryMessage]:
        self.asked += 1
        found = self.page(part)
        if sum(self.sizes[row.message_seq - 1] for row in found) > MOST:
            raise AnswerTooLarge("messages/sync", "too large")
        return found

    def page(self, part: Part) -> list[HistoryMessage]:
        numbers = range(1, len(self.sizes) + 1)
        if not (part.start or part.end):
            picked = list(numbers)[-part.limit :]
        elif part.pull_up:
            picked = [seq for seq in numbers if part.start <= seq and (not part.end or seq < part.end)]
            picked = picked[: part.limit]
        else:
            picked = [seq for seq in numbers if part.end < seq <= part.start][-part.limit :]
        return [HistoryMessage(message_id=str(seq), message_seq=seq) for seq in picked]


parts = st.one_of(
    st.builds(Part, st.just(0), st.just(0), st.integers(1, 30), st.booleans()),
    st.builds(Part, st.integers(1, 30), st.sampled_from([0, 35]), st.integers(1, 30), st.just(True)),  # noqa: FBT003
    st.builds(Part, st.integers(10, 30), st.integers(0, 9), st.integers(1, 30), st.just(False)),  # noqa: FBT003
)


@given(st.lists(st.integers(1, MOST), max_size=30), parts)
async def test_parts_put_together_are_the_page_that_was_asked_for(sizes: list[int], wanted: Part) -> None:
    engine = Engine(sizes)
    assert await in_parts(engine.ask, wanted) == engine.page(wanted)
    assert engine.asked <= 2 * wanted.limit + 4


async def test_a_page_that_fits_is_asked_for_once() -> None:
    engine = Engine([1] * 30)
    assert len(await in_parts(engine.ask, Part(1, 0, 30))) == 30
    assert engine.asked == 1


async def test_a_single_message_larger_than_any_answer_is_an_error() -> None:
    with pytest.raises(AnswerTooLarge):
        await in_parts(Engine([1, MOST + 1]).ask, Part(0, 0, 20))


async def test_a_server_that_repeats_itself_is_not_asked_for_ever() -> None:
    row = HistoryMessage(message_id="7", message_seq=7)

    async def same(part: Part) -> list[HistoryMessage]:
        if part.limit > 1:
            raise AnswerTooLarge("messages/sync", "too large")
        return [row]

    assert await in_parts(same, Part(7, 0, 200)) == [row, row]
