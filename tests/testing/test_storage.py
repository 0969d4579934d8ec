"""Uploads and downloads of the double."""

from collections.abc import Mapping

import pytest

from openclaw_channel_octo.testing import OctoDouble
from tests.testing.clients import Api, Reply

CONTENT = b"%PDF-1.7 tiny"
NOTHING: Mapping[str, str] = {}


async def presign(api: Api, name: str = "报告.pdf", size: int | str = len(CONTENT)) -> Reply:
    return await api.get(f"/v1/bot/upload/presigned?filename={name}&fileSize={size}")


async def put(api: Api, signed: Reply, content: bytes = CONTENT, changes: Mapping[str, str] = NOTHING) -> int:
    headers = {
        "Content-Type": signed.json["contentType"],
        "Content-Disposition": signed.json["contentDisposition"],
        **changes,
    }
    return (await api.request("PUT", signed.json["uploadUrl"], data=content, headers=headers)).status


async def test_a_signed_upload_can_be_downloaded(octo: OctoDouble, api: Api) -> None:
    signed = await presign(api)

    assert signed.json["method"] == "PUT"
    assert signed.json["maxFileSize"] == len(CONTENT)
    assert await put(api, signed) == 200

    url = signed.json["downloadUrl"]
    assert (octo.file(url).content, octo.file(url).name) == (CONTENT, "报告.pdf")
    reply = await api.request("GET", url)
    assert (reply.status, reply.headers["Content-Type"], reply.text) == (
        200,
        "application/pdf",
        CONTENT.decode(),
    )


@pytest.mark.parametrize(
    "changes",
    [{"Content-Type": "application/octet-stream"}, {"Content-Disposition": "attachment"}],
    ids=str,
)
async def test_any_other_header_breaks_the_signature(api: Api, changes: dict[str, str]) -> None:
    assert await put(api, await presign(api), changes=changes) == 403


async def test_another_length_breaks_the_signature(api: Api) -> None:
    assert await put(api, await presign(api), CONTENT + b"!") == 403


async def test_an_unsigned_place_takes_nothing(octo: OctoDouble, api: Api) -> None:
    reply = await api.request("PUT", f"{octo.api_url}/chat/1/2/3.pdf", data=CONTENT)

    assert (reply.status, "SignatureDoesNotMatch" in reply.text) == (403, True)


async def test_a_bearer_token_has_no_place_in_an_upload(api: Api) -> None:
    assert await put(api, await presign(api), changes={"Authorization": "Bearer x"}) == 400


@pytest.mark.parametrize(
    ("name", "text"), [("a.exe", "不支持的文件类型"), ("noextension", "不支持的文件类型")]
)
async def test_types_the_server_does_not_take_are_refused(api: Api, name: str, text: str) -> None:
    reply = await presign(api, name)

    assert (reply.status, reply.json["msg"]) == (400, text)


@pytest.mark.parametrize("size", [0, -1, "", "ten", 100 * 1024 * 1024 + 1])
async def test_sizes_the_server_does_not_take_are_refused(api: Api, size: int | str) -> None:
    assert (await presign(api, size=size)).status == 400


async def test_a_persons_file_can_be_downloaded_by_its_address_only(octo: OctoDouble, api: Api) -> None:
    url = octo.put_file("notes.txt", b"hello")

    assert (await api.request("GET", url)).text == "hello"
    assert (await api.request("GET", url + "x")).status == 404
    assert (await api.request("GET", octo.put_file("strange", b"?"))).headers["Content-Type"] == (
        "application/octet-stream"
    )
