"""``NO_REPLY`` is never a part of what people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.silence import Spoken, without_silence


@pytest.mark.parametrize(
    "text",
    [
        "NO_REPLY",
        " no_reply\n",
        "**NO_REPLY**",
        "_No_Reply_",
        "`NO_REPLY`",
        ".NO_REPLY",
        "NO_REPLY.",
        '"NO_REPLY"',
        "NO_REPLY NO_REPLY",
        "NO_REPLY\n\nNO_REPLY.NO_REPLY",
        "```\nNO_REPLY\n```",
        "NO\\_REPLY",
        "「NO_REPLY」。",
        '{"action": "NO_REPLY"}',
        "- NO_REPLY",
        "\ufeffNO_REPLY",
        "\u200bNO_REPLY\u200b\n\u2060",
        "ＮＯ＿ＲＥＰＬＹ",
        "ｎｏ_reply。",
        "<b>NO_REPLY</b>",
        '<p class="x">\n<code>no_reply</code><br/>\n</p>',
        "<NO_REPLY>",
        "# [NO_REPLY]；",
    ],
)
def test_the_token_alone_says_nothing(text: str) -> None:
    assert without_silence(text) == Spoken("", is_declined=True)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("NO_REPLY\n\nHi there", "Hi there"),
        ("**no_reply**\nHi there", "Hi there"),
        ("Hi there\n\nNO_REPLY", "Hi there"),
        ("NO_REPLY\nHi there\nno_reply\n", "Hi there"),
        ("Hi there. NO_REPLY", "Hi there."),
        ("Hi there.NO_REPLY", "Hi there."),
        ("已记录 **NO_REPLY**\n", "已记录"),
        ("NO_REPLYHi there", "Hi there"),
        ("NO_REPLY好的", "好的"),
        ("Hello NO_REPLY.", "Hello"),
        ("Hello **NO_REPLY**!\n", "Hello"),
        ("Hello \u200bNO_REPLY\ufeff", "Hello"),
        ("Hello <b>NO_REPLY</b>", "Hello"),
        ("Hello ＮＯ＿ＲＥＰＬＹ", "Hello"),
        ("Hello NO\\_REPLY", "Hello"),
        ("好的，NO_REPLY。", "好的，"),
        ("好的NO_REPLY", "好的"),
        ("\ufeffNO_REPLY\u200b\nHi there", "Hi there"),
        ("<b>NO_REPLY</b>\nHi there", "Hi there"),
        ("👍 NO_REPLY", "👍"),
        ("👍NO_REPLY", "👍"),
        ("NO_REPLY 🤐", "🤐"),
        ("**no_reply** 🤐\nHi there", "🤐\nHi there"),
        ("The token is NO_REPLY", "The token is"),
    ],
)
def test_beside_a_text_only_the_token_goes(text: str, left: str) -> None:
    spoken = without_silence(text)
    assert (spoken.text.strip(), spoken.is_declined) == (left, False)


@pytest.mark.parametrize(
    "text",
    [
        "NO_REPLY means that I say nothing",
        "Say NO_REPLY, and I am silent",
        "I say `NO_REPLY` then.",
        "no reply",
        "The token is: NO_REPLY",
        "Tokens:\n- HEARTBEAT_OK\n- NO_REPLY",
        "- NO_REPLY\n- HEARTBEAT_OK",
        "first\nNO_REPLY\nlast",
        "```\nNO_REPLY\n```\nis the token",
        "write to no_reply",
        "The token is `NO_REPLY`.",
        "The token is <NO_REPLY>.",
        "Is it NO_REPLY?",
        "xNO_REPLY.",
        "NO_REPLY: 🤐",
        "NO_REPLY_TIMEOUT = 3",
    ],
)
def test_where_it_is_talked_about_it_stays(text: str) -> None:
    assert without_silence(text) == Spoken(text)


@given(st.text(), st.sampled_from(["NO_REPLY", "**no_reply**", " NO_REPLY.NO_REPLY "]), st.booleans())
def test_no_text_goes_with_it(text: str, token: str, first: bool) -> None:
    said = f"{token}\nSo {text}!" if first else f"So {text}!\n{token}"
    assert without_silence(said).text.strip("\n") == f"So {text}!".strip("\n")
