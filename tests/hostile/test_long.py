"""The short mode of the long attacks."""

from tests.fuzz.runner import Result
from tests.hostile.long import deployment, report


async def test_a_bot_on_the_double_answers_whatever_members_send_beside_it() -> None:
    result, _ = await deployment("short", 0.1)
    assert result.inputs
    assert result.failures == {}


def test_the_result_is_one_table() -> None:
    table = report([Result("prompt", inputs=1_000, seconds=2.0, slowest_s=0.05)], 0.02)
    assert "| prompt | 1,000 | 500 | 50 ms | 0 |" in table
    assert "20 ms" in table
