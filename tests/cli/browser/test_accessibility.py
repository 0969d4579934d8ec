"""The pages under axe-core, which finds what people cannot read, reach or hear."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import FilePayload, Page, expect

from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.browser.writing import ROOM, next_turn, write
from tests.npm import CannotInstall, package

AXE = "axe-core@4.11"
CACHE = Path(__file__).parents[3] / ".cache" / "axe"

FINDINGS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(each => each.nodes.map(node => `${each.id}: ${node.html} ${node.failureSummary}`));
}"""

MARKDOWN = "**bold** `code` https://a.example\n\n|x|\n|-|\n|1|\n\n```\ncode\n```\n\n> quote\n\n# Top"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the program of axe-core."""
    try:
        return (package(CACHE / AXE, AXE) / "axe-core" / "axe.min.js").read_text("utf-8")
    except CannotInstall as missing:
        pytest.skip(f"the page is not tried with axe-core: {missing}")


async def findings(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds, in light and in dark, on a desktop and on a phone."""
    await page.evaluate(axe)
    found: list[Any] = []
    for width, height in ((1280, 820), (390, 844)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme="light")
        found += await page.evaluate(FINDINGS)
        await page.emulate_media(color_scheme="dark")
        found += await page.evaluate(FINDINGS)
    return found


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_axe_finds_nothing_on_the_playground(page: Page, octo: OctoDouble, axe: str) -> None:
    assert await findings(page, axe) == []

    png = (Path(__file__).parents[3] / "docs" / "playground.png").read_bytes()
    told: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": png}
    await octo.say(
        "ben",
        ROOM,
        "**bold** `code` https://a.example\n\n|x|\n|-|\n|1|\n\n```\ncode\n```\n\n> quote\n\n# Top",
    )
    await octo.say("ben", ROOM, {"type": 8, "url": octo.put_file("a.txt", b"x"), "name": "a.txt"})
    await octo.say("ben", ROOM, {"type": 2, "url": octo.put_file("a.png", png), "name": "a.png"})
    await next_turn(page, "fail")
    await write(page, "@Helper one")
    await expect(page.locator("#status.bad")).to_be_visible()
    await write(page, "@Helper two")
    await expect(page.locator("#chat li.bot", has_text="@Helper two")).to_be_visible()
    for number in range(30):
        await octo.say("ben", ROOM, f"message {number}")
    await page.locator("#messages").evaluate("chat => { chat.scrollTop = 0; }")
    await page.locator("#file").set_input_files(told)
    await expect(page.locator("#below")).to_be_visible()
    assert await findings(page, axe) == []

    await page.locator("#timeline button").first.click()
    await expect(page.locator("#prompt")).to_be_visible()
    assert await findings(page, axe) == []


async def test_axe_finds_nothing_on_the_page_of_the_double(page: Page, octo: OctoDouble, axe: str) -> None:
    await page.goto(f"{octo.api_url}/_double")
    await write(page, "@Helper hello")
    await expect(page.locator("#calls").get_by_text("sendMessage")).to_be_visible()
    await page.get_by_text("add-person", exact=True).click()
    assert await findings(page, axe) == []

    await page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert any(each.startswith("image-alt") for each in await findings(page, axe))
