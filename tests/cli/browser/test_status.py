"""`status --watch` beside a bot at work, as a terminal shows it; ``make docs`` draws docs/status.png anew."""

import asyncio
import html
import os
import pty
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from openclaw_channel_octo.message.terminal import screen_text
from tests.cli.browser.writing import next_turn, write
from tests.programs import PROGRAM
from tests.runtime.rig import TOKEN
from tests.until import PATIENCE_S

PICTURE = Path(__file__).parents[3] / "docs" / "status.png"
FRAME = """<body style="margin: 0; padding: 1rem 1.2rem; background: #15181c; color: #e6e9ed; width: fit-content">
<pre style="margin: 0; font: 14px/1.5 monospace"><span style="color: #7fd99a">$</span> {}

{}</pre>"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def watched(store: Path, awaited: bytes) -> str:
    """Return the first frame of a watch that says something, as a terminal shows it."""
    ours, theirs = pty.openpty()
    command = (PROGRAM, "status", "--store", store, "--watch", "--every", "0.2")
    watching = await asyncio.create_subprocess_exec(
        *command, stdout=theirs, stderr=PIPE, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    seen = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while awaited not in seen or not seen.endswith(b"\n"):
                read = await asyncio.get_running_loop().run_in_executor(None, os.read, ours, 4096)
                seen = (seen + read).rpartition(b"\x1b[H")[2]  # the newest frame
    finally:
        watching.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(watching.communicate(), PATIENCE_S)
        os.close(ours)
    assert (watching.returncode, said) == (0, b"")
    return screen_text(seen.decode())


async def test_the_watch_of_a_playground_shows_the_failure_and_the_turn_under_way(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    await next_turn(page, "fail")
    await write(page, "@Helper read the build log")
    await expect(page.locator("#status.bad")).to_be_visible()
    await next_turn(page, "hang")
    await write(page, "@Helper try again")
    await expect(page.locator("#status.running")).to_be_visible()
    await write(page, "good morning")

    screen = await watched(tmp_path, b"works on message")

    assert "helper: online for" in screen
    assert "people were told: the turn was made to fail" in screen
    assert TOKEN not in screen
    if os.environ.get("OCTO_DOCS") == "write":
        terminal = await browser.new_page(viewport={"width": 400, "height": 100})
        shown = "openclaw-octo status --store state --watch"
        await terminal.set_content(FRAME.format(shown, html.escape(screen.strip())))
        await terminal.locator("body").screenshot(path=PICTURE)
        await terminal.close()
