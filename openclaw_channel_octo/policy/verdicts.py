"""The words with which people decide what an agent asks leave for (reference-behaviour §c.2)."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

__all__ = ["ALWAYS", "DENY", "ONCE", "VERDICTS", "Verdict", "is_short_id", "short_id"]

ONCE, ALWAYS, DENY = "allow-once", "allow-always", "deny"
"""The decisions there are, in the words of the gateway protocol."""

VERDICTS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("allow", "once", "allow-once", "allowonce"), ONCE)
    | dict.fromkeys(("允许", "允許", "同意", "一次", "允许一次", "允許一次"), ONCE)
    | dict.fromkeys(("always", "allow-always", "allowalways", "始终允许", "始終允許"), ALWAYS)
    | dict.fromkeys(("deny", "reject", "block", "拒绝", "拒絕", "禁止"), DENY)
)
"""The decision of each word, in lower case."""

_SHORT = 8
"""Characters of an id that people type: they tell a bot's requests of a month apart."""


class Verdict(Struct, frozen=True):
    """What somebody decides.

    Attributes:
        request: the beginning of a request's id, empty for the only one that is open.
        decision: `ONCE`, `ALWAYS` or `DENY`.
    """

    request: str
    decision: str


def short_id(approval_id: str) -> str:
    """Return what people type for a request: the beginning of its id, without ``plugin:``."""
    return approval_id.removeprefix("plugin:")[:_SHORT]


def is_short_id(word: str) -> bool:
    """Return whether a word may be a request's whole `short_id`, or more of its id."""
    return len(word.removeprefix("plugin:")) >= _SHORT
