"""The codes people read out to each other."""

from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.policy.access import ALPHABET, CODE_LENGTH, new_code

hex_digits = st.text("0123456789abcdef", min_size=20, max_size=40)


@given(hex_digits)
def test_no_code_holds_a_letter_that_looks_like_another(chance: str) -> None:
    code = new_code(chance)
    assert len(code) == CODE_LENGTH
    assert set(code) <= set("ABCDEFGHJKMNPQRSTUVWXYZ23456789")
    assert not set(code) & set("0O1IL")


@given(st.integers(0, len(ALPHABET) ** CODE_LENGTH - 2))
def test_neighbouring_chances_give_different_codes(number: int) -> None:
    assert new_code(f"{number:032x}") != new_code(f"{number + 1:032x}")
