"""Pydantic building blocks that read a stranger's JSON: a field of the wrong shape reads as absent."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from openclaw_channel_octo.message.text import well_formed

__all__ = ["IdText", "LenientModel", "Number", "Object", "Size", "Text", "or_else"]


class LenientModel(BaseModel):
    """Base of payload models: no conversions between types, unknown keys ignored, values frozen."""

    model_config = ConfigDict(
        defer_build=True, strict=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )


def or_else(fallback: Callable[[], Any]) -> WrapValidator:
    """Return a validator that puts ``fallback()`` in the place of a value that does not fit."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return fallback()

    return WrapValidator(validate)


def _nothing() -> None:
    return None


def _repaired(value: object) -> object:
    return well_formed(value) if isinstance(value, str) else value


def _id_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _repaired(value)


Text = Annotated[str, BeforeValidator(_repaired), or_else(str)]
"""A string without lone surrogates, empty when it is none."""

IdText = Annotated[str, BeforeValidator(_id_text), or_else(str)]
"""An id sent as a string or as an integer, read as a string."""

Size = Annotated[Annotated[int, Field(ge=0)] | None, or_else(_nothing)]
"""A count of bytes."""

Number = Annotated[int | Annotated[float, Field(allow_inf_nan=False)] | None, or_else(_nothing)]
"""A finite number."""

Object = Annotated[dict[str, Any], or_else(dict)]
"""A JSON object, unread; empty when it is none."""
