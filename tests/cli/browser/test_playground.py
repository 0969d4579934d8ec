"""The playground as a person meets it: in a real Chromium, without its window.

``make docs`` draws docs/playground.png anew.
"""

import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from openclaw_channel_octo.cli.playground.app import plain
from openclaw_channel_octo.cli.playground.server import served
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.browser.writing import ROOM, field, next_turn, write
from tests.runtime.rig import FastClock

DOCS = Path(__file__).parents[3] / "docs"

FAILED = "⚠️ Something went wrong while I was working on that. Please try again."
CUT = "✂️ I reached the length limit of an answer before I was done."
RESTART = "⚠️ Previous session failed, restarting..."

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(each => each / 255)
      .map(each => each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? ground(element.parentElement) : colour;
  };
  const written = [...document.querySelectorAll("body *")].filter(element =>
    element.checkVisibility() && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const contrast = (element, part, text) => {
    const [a, b] = [light(getComputedStyle(element, part).color), light(ground(element))].sort((x, y) => y - x);
    return [text, (a + .05) / (b + .05)];
  };
  const hints = [...document.querySelectorAll("[placeholder]")];
  return [...written.map(element => contrast(element, null, element.textContent)),
    ...hints.map(element => contrast(element, "::placeholder", element.placeholder))];
}"""
"""Contrast of every written element with its ground, as the accessibility guidelines reckon it."""


async def picture(page: Page, name: str) -> None:
    """Draw a picture of the documents; without words that a machine with no Chinese font has no form for."""
    await page.mouse.move(0, 0)
    await page.locator("#language").evaluate("button => { button.hidden = true; }")
    await page.screenshot(path=DOCS / name)


async def test_a_mention_is_read_typed_and_answered_and_its_session_is_shown(page: Page) -> None:
    await next_turn(page, "hang")
    await write(page, "@Helper hello")

    asked = page.locator("#chat li", has_text="@Helper hello")
    await expect(asked.get_by_text("✓ read")).to_be_visible()
    await expect(page.get_by_text("Helper is typing …")).to_be_visible()
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("running")
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("agent:main:octo:group:build-room")

    await write(page, "@Helper /stop")
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("killed")
    await write(page, "@Helper and now?")
    await expect(page.locator("#chat li.bot", has_text="@Helper and now?")).to_be_visible()
    await expect(page.get_by_text("Helper is typing …")).to_be_hidden()
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("done")


async def test_a_failed_turn_and_its_recovery_are_seen_in_the_chat_and_beside_it(page: Page) -> None:
    await next_turn(page, "fail")
    await write(page, "@Helper read the build log, what broke?")
    await expect(page.locator("#chat li.bot", has_text=FAILED)).to_be_visible()
    session = page.get_by_label("Session", exact=True)
    await expect(session).to_contain_text("failed")
    await expect(session).to_contain_text("the restart is announced in the group")

    await write(page, "@Helper try again")
    await expect(page.locator("#chat li.bot", has_text="@Helper try again")).to_be_visible()
    said = page.locator("#chat li.bot .text")
    await expect(said).to_have_text([FAILED, RESTART, "@Helper try again"])
    await expect(session).to_contain_text("done")
    happened = page.locator("#timeline li")
    await expect(happened.filter(has_text="session recovered")).to_have_count(1)
    await expect(page.locator("#timeline li.notice")).to_contain_text(RESTART)
    await expect(happened.filter(has_text="sendMessage @Helper try again")).to_have_count(1)

    await expect(page.get_by_text("Helper is typing …")).to_be_hidden()
    if os.environ.get("OCTO_DOCS") == "write":
        await picture(page, "playground.png")


async def test_with_the_guard_off_the_page_says_that_silence_follows(page: Page) -> None:
    await page.get_by_role("button", name="Guard is on").click()
    await expect(page.get_by_role("button", name="Guard is off")).to_be_visible()
    await next_turn(page, "fail")
    await write(page, "@Helper one")
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("then silence")

    await write(page, "@Helper two")
    await expect(page.locator("#timeline li", has_text="skipped by the host")).to_be_visible()
    why = page.locator("#chat li", has_text="@Helper two").locator(".why.bad")
    await expect(why).to_contain_text("Not answered: the host skipped the turn")
    await expect(page.locator("#chat li.bot")).to_have_count(1)


async def test_answers_that_are_too_long_or_cut_by_their_model_are_shown_also_where_sending_is_slow(
    page: Page,
) -> None:
    await page.get_by_role("button", name="Sending is fast").click()
    await expect(page.get_by_role("button", name="Sending is slow (3 s a message)")).to_be_visible()
    await next_turn(page, "long")
    await write(page, "@Helper one")
    await expect(page.locator("#chat li.bot a", has_text="full-text.txt")).to_be_visible()
    await expect(page.locator("#chat li.bot")).to_have_count(10)
    await page.get_by_role("button", name="Sending is slow").click()
    await expect(page.get_by_role("button", name="Sending is fast")).to_be_visible()

    await next_turn(page, "cut")
    await write(page, "@Helper two")
    await expect(page.locator("#chat li.bot").last).to_contain_text(CUT)


async def test_a_cut_connection_is_seen_to_come_back(page: Page) -> None:
    await page.get_by_role("button", name="Cut the connection").click()

    await expect(page.locator("#timeline li", has_text="connection is gone")).to_be_visible()
    await expect(page.locator("#timeline li", has_text="the bot is connected")).to_have_count(2)
    await expect(page.get_by_text("● online")).to_be_visible()


async def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    await expect(field(page)).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.type("Ben")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.type("@Helper from Ben")
    await page.keyboard.press("Enter")
    await expect(page.locator("#chat li.own", has_text="Ben")).to_be_visible()
    await expect(page.locator("#chat li.bot", has_text="@Helper from Ben")).to_be_visible()

    for name in ("Attach a file", "Send", "answer", "fail"):
        await page.keyboard.press("Tab")
        if name == "Attach a file":
            await page.keyboard.press("Tab")  # past who speaks
        await expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="fail")).to_have_attribute("aria-pressed", "true")

    await page.get_by_role("tab", name="Build room", exact=True).focus()
    await page.keyboard.press("End")
    direct = page.get_by_role("tab", name="Ben and Helper")
    await expect(direct).to_be_focused()
    await expect(direct).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Home")
    await expect(page.get_by_role("tab", name="Build room", exact=True)).to_be_focused()


async def test_a_direct_message_needs_no_mention_and_has_a_session_of_its_own(page: Page) -> None:
    await page.get_by_role("tab", name="Ann and Helper").click()
    await write(page, "just us")

    await expect(page.locator("#chat li.bot", has_text="just us")).to_be_visible()
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("agent:main:octo:direct:ann")
    await page.get_by_role("tab", name="Build room", exact=True).click()
    await expect(page.get_by_label("Session", exact=True)).to_contain_text("new")
    await expect(page.locator("#timeline li", has_text="just us")).to_have_count(0)


async def test_a_file_is_shown_by_its_name_and_no_name_is_taken_for_markup(
    page: Page, octo: OctoDouble
) -> None:
    name = '<img src="nothing" onerror="alert(1)">.pdf'
    await octo.say("ann", ROOM, {"type": 8, "url": "javascript:alert(2)", "name": name})
    await octo.say("ann", ROOM, "<script>alert(3)</script>")
    octo.add_person("zoe", "<b>Zoe</b>")

    await expect(page.locator("#chat li").first).to_contain_text(name)
    await expect(page.locator("#timeline")).to_contain_text("[file: <img")
    await expect(page.locator("#chat")).to_contain_text("<script>alert(3)</script>")
    await expect(page.get_by_role("tab", name="<b>Zoe</b> and Helper")).to_be_visible()


async def test_a_page_whose_server_is_away_says_so_and_goes_on_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    page = await browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    async with served(plain(tmp_path / "one", turn_s=600), FastClock()) as octo:
        port = int(octo.api_url.rpartition(":")[2])
        await page.goto(octo.api_url)
        await expect(page.get_by_text("● online")).to_be_visible()
        await write(page, "before")
        await expect(page.locator("#chat li")).to_have_count(1)
    await expect(page.get_by_role("status")).to_contain_text("not there any more")
    await expect(page.get_by_text("● online")).to_be_hidden()
    await write(page, "@Helper still there?")
    await expect(field(page)).to_have_value("@Helper still there?")

    async with served(plain(tmp_path / "two", turn_s=600), FastClock(), port):
        await expect(page.get_by_text("● online")).to_be_visible()
        await expect(page.get_by_role("status")).to_be_empty()
        await expect(page.locator("#chat li")).to_have_count(0)
        await field(page).press("Enter")
        await expect(page.locator("#chat li.bot", has_text="@Helper still there?")).to_be_visible()
        await page.close()
    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_can_be_read_in_light_and_dark(page: Page, scheme: str) -> None:
    await next_turn(page, "fail")
    await write(page, "@Helper one")
    await expect(page.locator("#chat li.bot", has_text=FAILED)).to_be_visible()
    await write(page, "@Helper two")
    await expect(page.locator("#chat li.bot", has_text="@Helper two")).to_be_visible()

    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    contrasts = await page.evaluate(CONTRASTS)

    assert len(contrasts) > 30
    assert [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < 4.5] == []


async def test_the_page_of_the_double_shows_its_calls_and_does_what_its_forms_say(
    page: Page, octo: OctoDouble
) -> None:
    await page.goto(f"{octo.api_url}/_double")
    await write(page, "@Helper hello")
    await expect(page.locator("#calls").get_by_text("sendMessage")).to_be_visible()

    await page.get_by_text("add-person", exact=True).click()
    await page.locator("#add-person-uid").fill("zoe")
    await page.locator("#add-person-name").fill("Zoe")
    await page.locator("#add-person-name").press("Enter")
    await expect(page.get_by_role("tab", name="Zoe and Helper")).to_be_visible()
    assert "zoe" in {account.uid for account in octo.accounts()}


@pytest.mark.parametrize("width", [1280, 360])
async def test_what_came_of_a_form_is_seen_beside_it(page: Page, octo: OctoDouble, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 740})
    await page.goto(f"{octo.api_url}/_double")
    await page.get_by_text("ws-url", exact=True).click()
    told, form = page.get_by_role("status"), page.locator("details[open]")
    await form.get_by_role("button").click()
    await expect(told).to_have_text("done: ws-url")
    await expect(told).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("place", ["/", "/_double"])
async def test_on_a_phone_nothing_has_to_be_scrolled_sideways(
    page: Page, octo: OctoDouble, place: str
) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(octo.api_url + place)
    await page.locator("#messages").wait_for()
    await octo.say("ann", ROOM, "x" * 300)
    await expect(page.locator("#chat li", has_text="xxx").first).to_be_visible()
    for summary in await page.locator("summary").all():
        await summary.click()

    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_on_a_phone_the_field_to_write_in_stays_on_the_screen_however_much_was_said(
    page: Page, octo: OctoDouble
) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    for number in range(40):
        await octo.say("ben", ROOM, f"message {number}")
    await expect(page.locator("#chat").get_by_text("message 39")).to_be_in_viewport()

    await page.evaluate("scrollTo(0, 0)")
    await expect(field(page)).to_be_in_viewport(ratio=1)
    box = await page.locator("#life .log").bounding_box()
    assert box is not None
    assert box["height"] < 740


async def test_on_a_phone_in_the_dark_chat_and_field_are_on_the_first_screen(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.emulate_media(color_scheme="dark")
    await page.locator("#hint").get_by_role("button", name="Hello everybody").click()
    why = page.locator("#chat .why", has_text="Not answered: it does not mention Helper")
    await expect(why).to_be_in_viewport(ratio=1)
    await write(page, "@Helper here is the plan:\n\n1. **read** the log\n2. run `make test`")
    await expect(page.locator("#chat li.bot")).to_be_in_viewport(ratio=1)
    await expect(page.locator("#hint")).to_be_visible()
    await expect(field(page)).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("heading", name="Let the bot's next turn")).to_be_in_viewport()

    await expect(page.get_by_text("Helper is typing …")).to_be_hidden()
    if os.environ.get("OCTO_DOCS") == "write":
        await picture(page, "playground-phone.png")
