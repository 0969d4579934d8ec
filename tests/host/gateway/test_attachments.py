"""Pictures in requests to a gateway: known by their bytes, bounded, and left out where the model takes none."""

import base64
from pathlib import Path

import pytest

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.host.base import Final, MediaItem
from openclaw_channel_octo.host.gateway.prompt import LARGEST_PICTURE, attachments, picture_type
from openclaw_channel_octo.testing.gateway.server import FakeGateway
from tests.host.gateway.test_host import end_of, hosted, turn
from tests.runtime.rig import FastClock

PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.fixture
def clock() -> Clock:
    return FastClock(20.0)


def file(folder: Path, content: bytes, kind: str = "image", name: str = "a.png") -> MediaItem:
    path = folder / f"{len(list(folder.iterdir()))}-{name}"
    path.write_bytes(content)
    return MediaItem(kind=kind, url="https://x/a.png", name=name, size=len(content), path=path)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8", "image/webp"),
        (b"<svg/>", ""),
        (b"%PDF", ""),
        (b"", ""),
    ],
)
def test_a_picture_is_known_by_its_first_bytes(data: bytes, mime: str) -> None:
    assert picture_type(data) == mime


def test_only_pictures_that_were_fetched_and_fit_are_attached_in_order(tmp_path: Path) -> None:
    media = (
        file(tmp_path, PNG + b"1"),
        file(tmp_path, b"%PDF", kind="file", name="a.pdf"),
        MediaItem(kind="image", url="https://x/not-fetched.png"),
        file(tmp_path, PNG + b"x" * LARGEST_PICTURE),
        file(tmp_path, PNG + b"2", kind="file", name="photo"),
        MediaItem(kind="image", url="https://x/", path=tmp_path / "swept away"),
    )
    found = attachments(media)
    assert [base64.b64decode(one["content"]) for one in found] == [PNG + b"1", PNG + b"2"]
    assert {one["mimeType"] for one in found} == {"image/png"}


def test_pictures_together_stay_below_what_a_request_may_hold(tmp_path: Path) -> None:
    media = [file(tmp_path, PNG + b"x" * (5 * 1024 * 1024)) for _ in range(5)]
    assert len(attachments(media)) == 3


@pytest.mark.parametrize("sees", [True, False])
async def test_a_model_without_eyes_gets_the_question_without_the_picture(
    tmp_path: Path, clock: Clock, *, sees: bool
) -> None:
    async with FakeGateway() as gateway, hosted(gateway, tmp_path, clock) as host:
        gateway.sees_pictures = sees
        picture = file(tmp_path, PNG)
        assert isinstance(await end_of(host, turn("what is this?", media=(picture,))), Final)
        (asked,) = gateway.asked
    assert ("attachments" in asked.params) is sees
    assert asked.message == "[ann] what is this?\n\n[image a.png: https://x/a.png]"
