"""The tables in ``docs/gateway.md``, written by the live suite."""

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path

from tests.live.gateway.deployment import Said

PAGE = Path(__file__).parents[3] / "docs" / "gateway.md"
FAILURES, MEMBER, END = "<!-- failures {} -->", "<!-- member {} -->", "<!-- end -->"
_ECHO = re.compile(r"^echo: .*", re.DOTALL)


def record(version: str, cells: Sequence[tuple[str, Sequence[Said]]]) -> None:
    """Renew a release's table of failures, where ``OCTO_GATEWAY_TABLE=1`` asks for it."""
    rows = [(title, " · ".join(map(_told, seen))) for title, seen in cells]
    _renew(
        FAILURES.format(version),
        f"What happens on {version}",
        "What the group sees, seconds after the first mention",
        rows,
    )


def record_member(version: str, rows: Sequence[tuple[str, str]]) -> None:
    """Renew a release's table of what agents and operators say, likewise; each row is what is done, what is seen."""
    _renew(MEMBER.format(version), f"On {version}", "What people see", rows)


def _renew(begin: str, doing: str, seeing: str, rows: Sequence[tuple[str, str]]) -> None:
    """Write a table behind its mark on the page."""
    if not os.environ.get("OCTO_GATEWAY_TABLE"):
        return
    lines = "\n".join(f"| {title} | {seen} |" for title, seen in rows)
    table = f"| {doing} | {seeing} |\n|---|---|\n{lines}\n"
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)  # files of the suite run beside each other
        before, _, rest = page.read().partition(begin)
        _, _, after = rest.partition(END)
        page.seek(0)
        page.write(f"{before}{begin}\n\n{table}\n{END}{after}")
        page.truncate()


def _told(said: Said) -> str:
    text = _ECHO.sub("the answer", said.text)
    return f"{text if text == 'the answer' else f'`{text}`'} +{said.after_s:.1f}"
