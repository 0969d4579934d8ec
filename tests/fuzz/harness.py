"""What a harness is: makes inputs for one reader of foreign data, and judges what the reader does with each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import Make

FIXTURES = Path(__file__).parents[2] / "fixtures"

PLANTED = "bf_0123456789abcdef0123456789abcdef"
"""A token that inputs carry and no error may show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """One reader under test.

    Attributes:
        name: what reports and files call it.
        make: makes an input.
        check: feeds one input to the reader; whatever it raises is a finding.
        share: its part of all inputs, relative to the others; cheap readers take more.
    """

    name: str
    make: Make
    check: Callable[[bytes], None]
    share: int


def is_in_order(small: str, large: str) -> bool:
    """Return whether all characters of a text stand in another, in their order."""
    rest = iter(large)
    return all(character in rest for character in small)
