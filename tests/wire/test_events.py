"""What events tell people."""

import pytest

from openclaw_channel_octo.wire.events import reason_words


@pytest.mark.parametrize(
    ("reason", "text", "words"),
    [
        (12, "", "reason 12, kicked"),
        (12, "12", "reason 12, kicked"),
        (12, "login in other device", "login in other device (reason 12, kicked)"),
        (19, "", "reason 19, banned"),
        (200, "", "reason 200, unknown"),
    ],
)
def test_a_reason_is_told_in_words_also_where_the_server_gives_a_number_only(
    reason: int, text: str, words: str
) -> None:
    assert reason_words(reason, text) == words
