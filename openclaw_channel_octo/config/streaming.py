"""What people see of a turn that takes long."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from openclaw_channel_octo.config.base import FrozenModel

__all__ = ["StreamingConfig", "StreamingMode"]

_OF_OPENCLAW: Mapping[object, str] = {False: "off", True: "progress", "partial": "text", "block": "text"}
"""How OpenClaw's channels spell the modes, and spelled them."""


def _mode(value: object) -> object:
    return _OF_OPENCLAW.get(value, value) if isinstance(value, bool | str) else value


StreamingMode = Annotated[
    Literal["off", "progress", "text"],
    BeforeValidator(
        _mode, json_schema_input_type=Literal["off", "progress", "text", "partial", "block"] | bool
    ),
]
"""``off``; ``progress`` shows what the agent does; ``text`` shows the beginning of its answer, too."""

ToolName = Annotated[str, Field(min_length=1, max_length=200)]


def _one_mistake(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Tell a wrong value once, not once for each kind that it could have been."""
    try:
        return read(value)
    except ValidationError:
        raise ValueError("must be 'all', 'none' or a list of tool names") from None


Tools = Annotated[
    Literal["all", "none"] | Annotated[tuple[ToolName, ...], Field(strict=False, max_length=1_000)],
    WrapValidator(_one_mistake),
]
"""Tools that people see by their names."""


class StreamingConfig(FrozenModel):
    """One message that shows the progress of a turn that takes long, and becomes its answer.

    Attributes:
        mode: what it shows; ``None`` for ``progress``, but nothing in groups with other bots, which see no edits.
        after_seconds: how long a turn takes before there is such a message.
        max_group: members of the largest group in which there is one, unless an entry of ``groups`` says so.
        tools: the tools of the agent that people see by their names: ``all``, ``none``, or a list of names.
    """

    mode: StreamingMode | None = None
    after_seconds: Annotated[int, Field(ge=1, le=3_600)] = 15
    max_group: Annotated[int, Field(ge=0, le=100_000)] = 20
    tools: Tools = "all"

    @classmethod
    def as_object(cls, value: Any) -> Any:
        """Return a mode that stands alone as the object it is short for."""
        return {"mode": value} if isinstance(value, bool | str) else value

    def shows(self, tool: str) -> bool:
        """Return whether people may see the name of a tool."""
        return self.tools == "all" or (self.tools != "none" and tool in self.tools)
