"""The playground in a real Chromium, without its window (docs/decisions/0023)."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from openclaw_channel_octo.cli.playground.app import plain
from openclaw_channel_octo.cli.playground.server import served
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.runtime.rig import FastClock

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
HERE = Path(__file__).parent

expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the tests of this folder share their module's loop, and skip them with a line where there is no Chromium."""
    skip = pytest.mark.skipif(
        not CHROMIUM,
        reason="no Chromium on this machine (Debian: apt install chromium): the page is not tried",
    )
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(skip)


@pytest_asyncio.fixture(loop_scope="module")
async def octo(tmp_path: Path) -> AsyncIterator[OctoDouble]:
    async with served(plain(tmp_path, turn_s=600), FastClock()) as octo:
        yield octo


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        await browser.close()


@pytest.fixture
def locale() -> str:
    """Return the browser's language; a test may have another."""
    return "en-US"


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, octo: OctoDouble, locale: str) -> AsyncIterator[Page]:
    """Yield the playground's page; at the end nothing came from elsewhere, and the console is empty."""
    page = await browser.new_page(
        viewport={"width": 1280, "height": 820}, color_scheme="light", locale=locale
    )
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda request: elsewhere.append(request.url) if not request.url.startswith(octo.api_url) else None,
    )
    await page.goto(octo.api_url)
    await expect(page.locator("#bots .good")).to_be_visible()
    yield page
    await page.close()
    assert (troubles, elsewhere) == ([], [])
