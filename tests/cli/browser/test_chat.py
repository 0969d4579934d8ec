"""The chat of the page: what is written, shown, read out, and found again."""

import re
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.view import PAGE
from openclaw_channel_octo.testing.web.markdown import can_render
from tests.cli.browser.writing import ROOM, field, held, next_turn, write

PNG = (Path(__file__).parents[3] / "docs" / "playground.png").read_bytes()

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_first_line_says_what_to_try_and_does_it(page: Page) -> None:
    hint = page.locator("#hint")
    await expect(hint).to_contain_text("Mention Helper, and it answers.")
    await hint.get_by_role("button", name="@Helper hello").click()
    await expect(page.locator("#chat li.bot", has_text="@Helper hello")).to_be_visible()

    await page.get_by_role("tab", name="Ann and Helper").click()
    await expect(hint).to_contain_text("no mention is needed")
    await hint.get_by_role("button", name="Hello").click()
    await expect(page.locator("#chat li.bot", has_text="Hello")).to_be_visible()


async def test_a_message_that_gets_no_answer_says_why(page: Page) -> None:
    await page.locator("#hint").get_by_role("button", name="Hello everybody").click()
    why = page.locator("#chat li", has_text="Hello everybody").locator(".why")
    await expect(why).to_have_text("Not answered: it does not mention Helper. Write @Helper to ask.")

    await write(page, "@Helper hello")
    await expect(page.locator("#chat li.bot", has_text="@Helper hello")).to_be_visible()
    await expect(page.locator("#chat .why:not(:empty)")).to_have_count(1)


@pytest.mark.skipif(not can_render(), reason="markdown-it-py is not installed: pip install '.[playground]'")
async def test_markdown_is_rendered_and_markup_is_text(page: Page, octo: OctoDouble) -> None:
    await octo.say("ben", ROOM, "**bold** <b>not</b> https://a.example\n\n|x|\n|:-:|\n|1|\n\n# Top")

    text = page.locator("#chat .text")
    await expect(text.locator("strong")).to_have_text("bold")
    await expect(text).to_contain_text("<b>not</b>")
    await expect(text.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    await expect(text.locator("td")).to_have_css("text-align", "center")
    await expect(page.get_by_role("heading", name="Top")).to_have_count(0)


async def test_enter_sends_and_shift_enter_begins_a_line_and_composing_sends_nothing(page: Page) -> None:
    await field(page).focus()
    await page.keyboard.type("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await field(page).evaluate(
        """field => field.dispatchEvent(new KeyboardEvent("keydown",
            { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))"""
    )
    await expect(field(page)).to_have_value("one\ntwo")
    await expect(page.locator("#chat li")).to_have_count(0)

    await page.keyboard.press("Enter")
    await expect(page.locator("#chat li .text")).to_have_text(re.compile(r"one\s*two"))
    await expect(field(page)).to_have_value("")


async def test_what_is_written_while_another_message_goes_out_follows_it(page: Page) -> None:
    async with held(page, "**/do/say"):
        await write(page, "one")
        await expect(field(page)).to_have_value("")
        await write(page, "two")
    await expect(page.locator("#chat li .text")).to_have_text(["one", "two"])


async def test_who_writes_before_the_page_knows_anything_is_heard(page: Page) -> None:
    async with held(page, "**/_double/state*"):
        await page.reload()
        await expect(field(page)).to_be_focused()
        await expect(page.get_by_role("button", name="Cut the connection")).to_be_disabled()
        await page.keyboard.type("early")
        await page.keyboard.press("Enter")
    await expect(page.locator("#chat li.own .text")).to_have_text("early")


async def test_a_picture_goes_with_the_words_to_the_bot_and_is_shown(page: Page) -> None:
    await page.locator("#file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": PNG})
    await expect(page.locator("#attached")).to_contain_text("a.png")
    await write(page, "@Helper what is this?")

    picture = page.locator("#chat li.own").get_by_role("img", name="a.png")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 1280)
    await expect(page.locator("#chat li.bot", has_text="what is this?")).to_be_visible()
    await page.get_by_role("button", name="prompt").click()
    await expect(page.get_by_role("dialog")).to_contain_text("image a.png: ")
    await page.keyboard.press("Escape")
    await expect(page.locator("#attached")).to_be_hidden()


async def test_a_file_can_be_sent_taken_back_and_downloaded(page: Page) -> None:
    script = b"<script>alert(1)</script>"
    told: FilePayload = {"name": "notes.html", "mimeType": "text/html", "buffer": script}
    await page.locator("#file").set_input_files(told)
    await page.get_by_role("button", name="Remove the file").click()
    await expect(page.locator("#attached")).to_be_hidden()
    await page.locator("#file").set_input_files(told)
    await page.get_by_role("button", name="Send", exact=True).click()

    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="notes.html").click()
    download = await downloading.value
    assert download.suggested_filename == "notes.html"
    assert (await download.path()).read_bytes() == script


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(21 * 2**20)
    await page.locator("#file").set_input_files(large)
    await expect(page.get_by_role("status")).to_have_text("large.bin is too large: at most 20 MB")
    await expect(page.locator("#attached")).to_be_hidden()


async def test_every_message_has_its_time_and_readers_get_the_whole(page: Page, octo: OctoDouble) -> None:
    await octo.say("ben", ROOM, "when?")
    time = page.locator("#chat time")
    await expect(time).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT"))
    await expect(time).to_have_attribute("title", re.compile(r"day, .* 20\d\d"))
    await expect(time.locator(".heard")).to_have_text(re.compile(r"day, .* 20\d\d"))


async def test_who_reads_older_messages_stays_there_and_is_told_of_new_ones(
    page: Page, octo: OctoDouble
) -> None:
    chat, below = page.locator("#messages"), page.locator("#below")
    for number in range(40):
        await octo.say("ben", ROOM, f"message {number}")
    await expect(chat.get_by_text("message 39")).to_be_in_viewport()
    await expect(below).to_be_hidden()

    await chat.evaluate("chat => { chat.scrollTop = 0; }")
    await expect(below).to_have_text("To the newest")
    await octo.say("ben", ROOM, "a newer one")
    await expect(below).to_have_text("1 new message below")
    await octo.say("ben", ROOM, "another one")
    await expect(below).to_have_text("2 new messages below")
    assert await chat.evaluate("chat => chat.scrollTop") == 0

    await below.click()
    await expect(chat.get_by_text("another one")).to_be_in_viewport()
    await expect(below).to_be_hidden()
    await expect(field(page)).to_be_focused()

    await chat.evaluate("chat => { chat.scrollTop = 0; }")
    await write(page, "and mine")
    await expect(chat.get_by_text("and mine")).to_be_in_viewport()

    await chat.evaluate("chat => { chat.scrollTop = 0; document.querySelector('#below').click(); }")
    await expect(chat.get_by_text("and mine")).to_be_in_viewport()
    await expect(below).to_be_hidden()


async def test_who_writes_many_lines_still_sees_what_others_say(page: Page, octo: OctoDouble) -> None:
    chat = page.locator("#messages")
    for number in range(20):
        await octo.say("ben", ROOM, f"message {number}")
    await expect(chat.get_by_text("message 19")).to_be_in_viewport()

    await field(page).fill("line\n" * 7)
    await octo.say("ben", ROOM, "a newer one")
    await expect(chat.get_by_text("a newer one")).to_be_in_viewport()


async def test_all_of_a_long_conversation_can_be_read_and_the_page_holds_a_piece_of_it(
    page: Page, octo: OctoDouble
) -> None:
    count = 4 * PAGE
    for number in range(count):
        await octo.say("ben", ROOM, f"message {number}.")
    chat, rows = page.locator("#messages"), page.locator("#chat > li")
    await expect(chat.get_by_text(f"message {count - 1}.")).to_be_in_viewport()

    seen = set[str]()
    for _ in range(count):
        texts: list[str] = await rows.evaluate_all(
            "rows => rows.map(row => row.querySelector('.text').innerText)"
        )
        seen |= {*texts}
        assert len(texts) <= PAGE
        if "message 0." in seen:
            break
        first = await rows.first.get_attribute("data-name") or ""
        await chat.evaluate("chat => { chat.scrollTop = 0; }")
        await expect(rows.first).not_to_have_attribute("data-name", first)
    assert len(seen) == count

    await chat.evaluate("chat => { chat.scrollTop = 0; }")
    await expect(chat.get_by_text("message 0.", exact=True)).to_be_in_viewport()
    await expect(page.locator("#hint")).to_be_visible()
    await page.locator("#below").click()
    await expect(chat.get_by_text(f"message {count - 1}.")).to_be_in_viewport()


async def test_the_reader_keeps_the_place_while_older_messages_come(page: Page, octo: OctoDouble) -> None:
    for number in range(2 * PAGE):
        await octo.say("ben", ROOM, f"message {number}.")
    chat, mark = page.locator("#messages"), page.get_by_text(f"message {PAGE + 3}.", exact=True)
    await expect(chat.get_by_text(f"message {2 * PAGE - 1}.")).to_be_in_viewport()
    first = page.locator("#chat > li").first
    await expect(first).to_contain_text(f"message {PAGE}.")
    await expect(page.locator("#chat .why:not(:empty)")).to_have_count(PAGE)

    before = await mark.evaluate(
        """async mark => {
            mark.closest("#messages").scrollTop = 40;
            return mark.getBoundingClientRect().top;
        }"""
    )
    await expect(first).not_to_contain_text(f"message {PAGE}.")
    assert abs(await mark.evaluate("mark => mark.getBoundingClientRect().top") - before) < 2


async def test_a_screen_reader_hears_what_others_say_once(page: Page, octo: OctoDouble) -> None:
    await octo.say("ben", ChannelRef("helper_bot", 1), "elsewhere")
    heard = page.get_by_role("log")
    await write(page, "@Helper one")
    asked = page.locator("#chat li", has_text="@Helper one").first
    await asked.evaluate("row => { row.kept = row.querySelector('.text').kept = true; }")
    await expect(heard.locator("p")).to_have_text(["Helper: @Helper one"])
    await heard.locator("p").evaluate("line => { line.kept = true; }")

    await expect(asked.get_by_text("✓ read")).to_be_visible()
    await octo.say("ben", ROOM, "two")
    await expect(heard.locator("p")).to_have_text(["Helper: @Helper one", "Ben: two"])
    assert await asked.evaluate("row => row.kept && row.querySelector('.text').kept")
    assert await heard.locator("p").first.evaluate("line => line.kept")


@pytest.mark.parametrize("locale", ["zh-CN"])
async def test_the_page_speaks_the_browsers_language_or_the_chosen_one(page: Page) -> None:
    await expect(page.get_by_role("button", name="发送", exact=True)).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == "zh-Hans"
    await next_turn(page, "fail")
    await write(page, "@Helper one")
    await expect(page.get_by_label("会话状态", exact=True)).to_contain_text("收到下一条消息时")
    await write(page, "hello")
    await expect(page.locator("#chat .why", has_text="未回答")).to_be_visible()
    await write(page, "@Helper two")
    await expect(page.locator("#timeline li", has_text="会话恢复结果")).to_be_visible()
    await page.get_by_role("button", name="守护已开启").click()
    await expect(page.get_by_role("button", name="守护已关闭")).to_be_visible()
    await page.get_by_role("button", name="提示词").first.click()
    await expect(page.get_by_role("dialog")).to_contain_text("请求")
    await page.get_by_role("button", name="关闭", exact=True).click()

    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await expect(page.locator("#chat .why", has_text="Not answered")).to_be_visible()


async def test_what_the_agent_was_given_is_shown_and_closed_with_the_keyboard(page: Page) -> None:
    await write(page, "good morning")
    await write(page, "@Helper sum up")
    button = page.get_by_role("button", name="prompt")
    await button.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="What the agent was given")
    await expect(dialog).to_contain_text("Ann (ann): good morning")
    await expect(dialog.locator("pre").last).to_have_text("@Helper sum up")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(button).to_be_focused()
