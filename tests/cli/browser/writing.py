"""What people do on the page of the playground."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Locator, Page, Route, expect

from openclaw_channel_octo.ids import ChannelRef

ROOM = ChannelRef("build-room", 2)


def field(page: Page) -> Locator:
    """Return the field to write in."""
    return page.locator("#text")


async def write(page: Page, text: str) -> None:
    """Write a message and send it."""
    await field(page).fill(text)
    await page.keyboard.press("Enter")


async def next_turn(page: Page, value: str) -> None:
    """Choose what the bot's next turn does; it counts from here on."""
    button = page.locator(f'#next [value="{value}"]')
    await button.click()
    await expect(button).to_have_attribute("aria-pressed", "true")


@asynccontextmanager
async def held(page: Page, url: str) -> AsyncIterator[None]:
    """Keep back what the page asks of ``url`` until the block ends."""
    goes_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await goes_on.wait()
        await route.continue_()

    await page.route(url, hold)
    try:
        yield
    finally:
        goes_on.set()
        await page.unroute_all(behavior="wait")
