"""What every model of the configuration has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

__all__ = ["LONGEST_TEXT", "FrozenModel", "visible"]

LONGEST_TEXT = 2_000
"""Characters a text for people may have."""


class FrozenModel(BaseModel):
    """Base of the models: camelCase in files, snake_case in Python, nothing coerced, no input in errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        defer_build=True,
        validate_by_alias=True,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )


def visible(text: str) -> str:
    """Return a text people can see. Raises `ValueError` for a blank one."""
    if not text.strip():
        raise ValueError("must not be blank: people would see nothing")
    return text
