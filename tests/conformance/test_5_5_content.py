"""Reference-behaviour §5.5, content: what the existing plugin's tests pin, row by row.

What is done another way on purpose stands in ``docs/differences.md``.
"""

from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.message.inline import INLINE_BYTES, inlined, is_text_like
from openclaw_channel_octo.message.payload import read_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.message.text import NAME_LIMIT, file_name
from openclaw_channel_octo.policy.urls import media_url
from openclaw_channel_octo.rest.media_folder import ending_of
from tests.rest.test_media import fetcher, refused, site

BASE = "https://octo.example/api/file"
SEE = {"type": "text", "text": "see "}
ONE, TWO = {"type": "image", "url": "https://a/1"}, {"type": "image", "url": "https://a/2"}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        pytest.param({"plain": "server's", "content": [SEE]}, "server's", id="plain wins"),
        pytest.param({"plain": " \n", "content": [SEE, ONE]}, "see [图片]", id="unless blank, else blocks"),
        pytest.param({"content": "<p>old</p>"}, "<p>old</p>", id="legacy string content accepted"),
        pytest.param(
            {"content": [{"type": "table", "text": "kept"}, {"type": "hr"}]},
            "kept",
            id="unknown blocks: text kept, noise skipped",
        ),
        pytest.param(
            {"content": [None, 5, [], {"text": {}}, {"type": [], "text": "x"}]},
            "x",
            id="malformed fields never yield [object Object] nor throw",
        ),
        pytest.param({"content": {}, "plain": {}}, "[富文本]", id="malformed content"),
    ],
)
def test_rich_text(keys: dict[str, Any], text: str) -> None:
    assert render(read_payload({"type": 14, **keys})).text == text


def test_rich_text_images_come_in_order() -> None:
    rendered = render(read_payload({"type": 14, "content": [TWO, SEE, ONE]}))
    assert [item.url for item in rendered.media] == ["https://a/2", "https://a/1"]


def said(payload: dict[str, Any], uid: str = "u1") -> dict[str, Any]:
    return {"from_uid": uid, "payload": payload}


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        pytest.param({"users": [], "msgs": []}, [], id="empty"),
        pytest.param({"msgs": [said({"type": 1, "content": "x"})]}, ["u1: x"], id="missing user table"),
        pytest.param(
            {
                "msgs": [
                    said(
                        {
                            "type": 11,
                            "users": [{"uid": "u1", "name": "Bob"}],
                            "msgs": [said({"type": 1, "content": "x"})],
                        }
                    )
                ]
            },
            ["u1: [合并转发: 聊天记录]", "  Bob: x"],
            id="nested",
        ),
        pytest.param(
            {"msgs": [said({"type": 2, "url": "https://a/1"})]},
            ["u1: [图片] https://a/1"],
            id="media lines carry full URLs",
        ),
        pytest.param(
            {"msgs": [said({"type": 2}), said({"type": 4, "url": " "})]},
            ["u1: [图片]", "u1: [语音消息]"],
            id="markers otherwise",
        ),
    ],
)
def test_forward(keys: dict[str, Any], lines: list[str]) -> None:
    assert render(read_payload({"type": 11, **keys})).text.split("\n") == ["[合并转发: 聊天记录]", *lines]


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        pytest.param("file/preview/chat/a.png", f"{BASE}/chat/a.png", id="file/preview/ stripped"),
        pytest.param("file/chat/a.png", f"{BASE}/chat/a.png", id="file/ stripped"),
        pytest.param("//chat.example/a.png", "", id="an address without a scheme is none"),
        pytest.param("https://a/1", "https://a/1", id="absolute kept"),
        pytest.param("", "", id="empty: none"),
    ],
)
def test_media_url(url: str, absolute: str) -> None:
    assert str(media_url(url, BASE) or "") == absolute


async def test_media_url_trailing_slashes_of_the_base_are_stripped(tmp_path: Path) -> None:
    async with site() as api, fetcher(tmp_path, api.url, cdn=f"{api.url}/bucket///") as found:
        await found.fetch("a.png", "a.png")
        assert api.seen[0][0] == "/bucket/a.png"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        pytest.param("a.pdf", b"%PDF", False, id="non-text: null, the caller keeps the URL"),
        pytest.param("a.md", b"x" * INLINE_BYTES, True, id="up to 20 KB inline"),
        pytest.param("a.md", b"x" * (INLINE_BYTES + 1), False, id="larger is not"),
    ],
)
def test_file(name: str, content: bytes, *, shown: bool) -> None:
    assert bool(is_text_like(name) and inlined(name, content)) is shown


async def test_file_404_is_not_tried_again_and_described(tmp_path: Path) -> None:
    async with site() as api, fetcher(tmp_path, api.url) as found:
        assert await refused(found, "file/gone") == "下载失败: HTTP 404"
        assert len(api.seen) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("../../etc/passwd", "passwd", id="no traversal"),
        pytest.param("..\\..\\a.txt", "a.txt", id="no traversal with backslashes"),
        pytest.param("a\0.txt", "a .txt", id="no NUL"),
        pytest.param("x" * 300, "x" * NAME_LIMIT + "…", id="at most 200 characters"),
    ],
)
def test_names_of_downloads(name: str, shown: str) -> None:
    assert file_name(name) == shown


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        pytest.param("/a.png?x=b.exe", ".png", id="query ignored"),
        pytest.param("/%E5%AD%A3.PDF", ".pdf", id="percent-decoding"),
        pytest.param("/100%.pdf", ".pdf", id="percent-decoding tolerant"),
        pytest.param("/a", "", id="none"),
    ],
)
def test_the_ending_of_a_download_comes_from_its_type_else_from_its_address(path: str, ending: str) -> None:
    url = media_url(f"https://a.example{path}", BASE)
    assert url is not None
    assert ending_of("", "", url.name) == ending
    assert ending_of("", "image/png", url.name) == ".png"
