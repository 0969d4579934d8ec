"""What values with secrets share; every other value is a plain `msgspec.Struct` (docs/decisions/0024)."""

from typing import Any, ClassVar

from msgspec import Struct

__all__ = ["SecretStruct"]


class SecretStruct(Struct, frozen=True):
    """A struct that shows all its fields but those it names in ``HIDDEN``.

    A struct compares, copies and converts the hidden fields like the others: only ``repr``, and with it every log
    line and traceback, leaves them out.
    """

    HIDDEN: ClassVar[frozenset[str]] = frozenset()
    """Names of the fields that hold secrets."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.HIDDEN]
