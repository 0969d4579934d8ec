"""What people do on the page of the playground."""

from playwright.async_api import Locator, Page

from openclaw_channel_octo.ids import ChannelRef

ROOM = ChannelRef("build-room", 2)


def field(page: Page) -> Locator:
    """Return the field to write in."""
    return page.locator("#text")


async def write(page: Page, text: str) -> None:
    """Write a message and send it."""
    await field(page).fill(text)
    await page.keyboard.press("Enter")
