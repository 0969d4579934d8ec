"""The failure table in ``docs/gateway.md``, written by the live suite."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tests.live.gateway.deployment import Said

PAGE = Path(__file__).parents[3] / "docs" / "gateway.md"
BEGIN, END = "<!-- failures {} -->", "<!-- end -->"
_ECHO = re.compile(r"^echo: .*", re.DOTALL)


def record(version: str, cells: Sequence[tuple[str, Sequence[Said]]]) -> None:
    """Renew a release's part of the page, where ``OCTO_GATEWAY_TABLE=1`` asks for it."""
    if not os.environ.get("OCTO_GATEWAY_TABLE"):
        return
    rows = "\n".join(f"| {title} | {' · '.join(map(_told, seen))} |" for title, seen in cells)
    table = f"| What happens on {version} | What the group sees, seconds after the first mention |\n|---|---|\n{rows}\n"
    begin = BEGIN.format(version)
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n\n{table}\n{END}{after}")


def _told(said: Said) -> str:
    text = _ECHO.sub("the answer", said.text)
    return f"{text if text == 'the answer' else f'`{text}`'} +{said.after_s:.1f}"
