"""Messages as the pages show them."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.testing.web import markdown
from openclaw_channel_octo.testing.web.markdown import LONGEST, as_html, can_render

TAGS = frozenset(
    {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
)
ATTRIBUTES = frozenset({"class", "href", "rel", "start", "target"})
LINK = '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>'


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Let each caller look for the library anew, before and after."""
    markdown._parser.cache_clear()
    as_html.cache_clear()
    yield
    markdown._parser.cache_clear()
    as_html.cache_clear()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**b** `c`", "<p><strong>b</strong> <code>c</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("# Top", '<p class="heading">Top</p>'),
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("see https://a.example/b_c", f"<p>see {LINK.format('https://a.example/b_c', 'https://a.example/b_c')}</p>"),
        ('![a"b](https://a.example/x.png)', f"<p>{LINK.format('https://a.example/x.png', 'a&quot;b')}</p>"),
        ("![](/x.png)", f"<p>{LINK.format('/x.png', '/x.png')}</p>"),
        ("|a|\n|-:|\n|1|", '<table>\n<thead>\n<tr>\n<th class="right">a</th>'),
    ],
)  # fmt: skip
def test_markdown_is_shown_as_clients_show_it_and_html_as_text(text: str, html: str) -> None:
    assert (as_html(text) or "").startswith(html)


MARKS = [
    *(
        "![",
        "[a",
        "](javascript:1)",
        "](data:text/html,x)",
        "<https://x>",
        "https://x.example",
        "<img onerror=1>",
    ),
    *("<b style='x'>", "\n", "|", "\n|-|\n", "`", "```", "# ", "> ", "1. ", "&#x6a;", '"', "'"),
]


@given(st.lists(st.text(max_size=8) | st.sampled_from(MARKS), max_size=12).map("".join))
def test_whatever_was_written_becomes_harmless_html(text: str) -> None:
    class Checked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in TAGS
            assert {name for name, _ in attrs} <= ATTRIBUTES
            for name, value in attrs:
                assert name != "href" or not re.match(
                    r"\s*(javascript|vbscript|file|data:(?!image/)):?", value or ""
                )

    Checked().feed(as_html(text) or "")


def test_a_very_long_text_stays_as_it_is() -> None:
    assert as_html("**a**" + "a" * LONGEST) is None


@pytest.mark.parametrize("missing", ["markdown_it", "linkify_it"])
def test_without_the_libraries_texts_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch, forgotten: None, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    assert (can_render(), as_html("**a** https://a.example")) == (False, None)
