"""What the interpreter keeps of a light dataclass; that its fields stay as they are is for the type checker."""

from dataclasses import field, replace
from typing import TYPE_CHECKING

import pytest

from openclaw_channel_octo.values import light_dataclass


@light_dataclass
class Point:
    x: int
    y: int = 0
    note: str = field(default="", compare=False)


def test_equal_values_are_equal_and_hash_alike() -> None:
    assert Point(x=1, note="a") == Point(x=1, note="b") != Point(x=2)
    assert len({Point(x=1), Point(x=1, note="b"), Point(x=2)}) == 2


def test_a_changed_copy_leaves_the_value_as_it_is() -> None:
    point = Point(x=1)
    assert (replace(point, y=2), point) == (Point(x=1, y=2), Point(x=1))


def test_fields_are_named_and_there_are_no_others() -> None:
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[call-arg]  # the point of the test
    with pytest.raises(AttributeError):
        Point(x=1).z = 3  # type: ignore[attr-defined]  # the point of the test


if TYPE_CHECKING:
    Point(x=1).x = 2  # type: ignore[misc]  # `make types` fails here once fields may be changed
