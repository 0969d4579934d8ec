"""What people may tell the channel itself instead of asking the agent, and who may."""

import re

from msgspec import Struct

from openclaw_channel_octo.ids import split_space
from openclaw_channel_octo.policy.access import ANYONE

__all__ = ["APPROVE", "COMMANDS", "VERDICTS", "Commanders", "command_in"]

COMMANDS = frozenset({"/help", "/status", "/reset", "/stop"})
"""Commands that are one word."""

APPROVE = "/approve"
"""The command that decides what an agent has asked leave for."""

VERDICTS = frozenset(
    {"allow", "once", "allow-once", "allowonce", "always", "allow-always", "allowalways"}
    | {"deny", "reject", "block"}
)
"""What can be decided (reference-behaviour §c.2)."""

_FIRST_WORD = re.compile(r"\S+")
_APPROVAL = re.compile(r"(/?)approve(?:\s+\S+)?\s+(\S+)\s*")


class Commanders(Struct, frozen=True):
    """Who may stop, reset and approve where others take part.

    Attributes:
        owner_uid: whose bot it is, empty when unknown.
        listed: people they have named.
    """

    owner_uid: str
    listed: frozenset[str] = frozenset()

    def include(self, uid: str) -> bool:
        """Return whether somebody may; their uid may carry a space prefix."""
        bare = split_space(uid)[1]
        return bool(bare) and (bare == self.owner_uid or ANYONE in self.listed or bare in self.listed)


def command_in(text: str, *, direct: bool) -> str:
    """Return the command a text is, empty for an ordinary message.

    Args:
        text: what was said, without mentions of the bot before it.
        direct: whether it was said in a direct conversation: only there ``approve`` needs no slash.
    """
    word = _FIRST_WORD.match(text)
    if word and word[0] in COMMANDS:
        return word[0]
    found = _APPROVAL.fullmatch(text)
    return APPROVE if found and found[2] in VERDICTS and (found[1] or direct) else ""
