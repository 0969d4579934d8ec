"""What an agent asks leave for, written so that people see all of it and nothing passes for something else."""

import re
from collections.abc import Sequence

from openclaw_channel_octo.message.text import HIDDEN, single_line, well_formed

__all__ = ["LONGEST", "asked_block"]

LONGEST = 3_000
"""Characters of a request, facts and warnings included, that people are shown."""

_UNSEEN = re.compile(
    f"{HIDDEN.pattern}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u034f\u115f\u1160\u17b4\u17b5\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0]"
)
_FENCE = re.compile(r"`{3,}|~{3,}")


def asked_block(what: str, where: Sequence[str], warnings: Sequence[str]) -> str:
    r"""Return a request as a block of code, with the facts and warnings about it below.

    Signs that change a line without being seen are written out, as ``\u202e``.

    Args:
        what: what would be done, whole.
        where: facts, a line for each.
        warnings: likewise.
    """
    shown = _UNSEEN.sub(_written_out, well_formed(what).replace("\r\n", "\n"))
    fence = "`" * max((len(found[0]) + 1 for found in _FENCE.finditer(shown)), default=3)
    lines = [*where, *(f"! {warning}" for warning in warnings)]
    facts = "\n".join(
        single_line(_UNSEEN.sub(_written_out, line.replace("\n", "\\n")), LONGEST) for line in lines
    )
    facts = facts.replace("`", "'")
    return f"{fence}\n{shown}\n{fence}" + (f"\n{facts}" if facts else "")


def _written_out(sign: re.Match[str]) -> str:
    return sign[0].encode("unicode_escape").decode()
