"""Fields of answers, read tolerantly: ids as numbers, null for nothing, 0/1 for flags (octo-bot-api §1.3)."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Flag", "Id", "MessageId", "Model", "Number", "Text", "listed"]


def _text(value: Any) -> Any:
    """Return a number as its digits and null as an empty string; leave the rest to the field's own check."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _number(value: Any) -> Any:
    return 0 if value is None else value


def _flag(value: Any) -> Any:
    return bool(value) if value is None or isinstance(value, int) else value


def listed(value: Any) -> Any:
    """Return an empty list for null: lists without rows are null on servers (octo-bot-api §1.3)."""
    return [] if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
"""A text, empty for null."""

Id = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
"""An id, as text or number."""

MessageId = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[1-9][0-9]{0,19}$")]
"""A message's id: decimal digits, as text or number."""

Number = Annotated[int, BeforeValidator(_number), Field(ge=-(2**63), lt=2**63)]
"""A 64-bit integer, 0 for null."""

Flag = Annotated[bool, BeforeValidator(_flag)]
"""A flag, as boolean or integer."""


class Model(BaseModel):
    """Base of answers: unknown keys are ignored, no input in errors."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)
