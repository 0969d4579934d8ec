"""What a text for people has to be."""

from typing import Annotated

from pydantic import AfterValidator, Field

__all__ = ["Notice", "with_signs"]

_LONGEST_TEXT = 2_000
"""Characters a text for people may have."""


def _visible(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank: people would see nothing")
    return text


def with_signs(**signs: str) -> AfterValidator:
    """Return the check that a text has each placeholder once; by its letter, what it stands for."""

    def check(text: str) -> str:
        if text.count("%") != len(signs) or not all(f"%{letter}" in text for letter in signs):
            wanted = " and ".join(f"%{letter}, {meaning}," for letter, meaning in signs.items())
            raise ValueError(f"must contain {wanted} exactly once and no other %")
        return text

    return AfterValidator(check)


Notice = Annotated[str, Field(max_length=_LONGEST_TEXT), AfterValidator(_visible)]
