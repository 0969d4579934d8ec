"""Answers as servers really write them: numbers for ids, null for nothing, 0 and 1 for flags."""

import base64
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from openclaw_channel_octo.rest import models

SNOWFLAKE = 2044043250838278144
CAPTURE = Path(__file__).parents[2] / "fixtures" / "wukongim" / "reconnect-with-gap.wkcap"


def history_row(**fields: Any) -> models.HistoryMessage:
    page = models.HISTORY.validate_python({"messages": [{"message_id": SNOWFLAKE, **fields}]})
    return page.messages[0]


def test_registration_hides_its_token() -> None:
    found = models.REGISTRATION.validate_python(
        {"robot_id": "x_bot", "im_token": "bf_secret", "ws_url": None, "owner_uid": 7, "brand_new": {}}
    )

    assert (found.robot_id, found.ws_url, found.owner_uid, found.name) == ("x_bot", "", "7", "")
    assert found.im_token.get_secret_value() == "bf_secret"
    assert "bf_secret" not in repr(found)


@pytest.mark.parametrize(
    "missing", [{"robot_id": ""}, {"robot_id": None}, {"im_token": ""}, {"im_token": None}]
)
def test_registration_without_a_uid_or_a_token_is_refused(missing: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        models.REGISTRATION.validate_python({"robot_id": "x_bot", "im_token": "t"} | missing)


@pytest.mark.parametrize("message_id", [SNOWFLAKE, str(SNOWFLAKE)])
def test_a_message_id_is_exact_whether_it_came_as_number_or_string(message_id: int | str) -> None:
    sent = models.SENT_MESSAGE.validate_json(f'{{"message_id": {message_id!r}}}'.replace("'", '"'))

    assert sent == models.SentMessage(message_id=str(SNOWFLAKE), client_msg_no="", message_seq=0)


def test_the_id_that_came_as_a_string_is_preferred() -> None:
    assert history_row(message_id=2e18, message_idstr=str(SNOWFLAKE)).message_id == str(SNOWFLAKE)


@pytest.mark.parametrize("message_id", [0, "", None, "abc", -1, True, 10**20, "9" * 5_000])
def test_a_row_without_a_usable_id_is_unreadable_and_leaves_the_others_alone(message_id: Any) -> None:
    rows = [
        {"message_id": 1, "message_seq": 1},
        {"message_id": message_id, "message_seq": 2},
        {"message_id": 3},
    ]
    page = models.HISTORY.validate_python({"messages": rows}).messages
    assert [(row.message_id, row.message_seq) for row in page] == [("1", 1), ("", 2), ("3", 0)]


@pytest.mark.parametrize("row", [7, None, "x", [], {"message_id": 1, "from_uid": {}}, {"message_seq": "x"}])
def test_whatever_stands_in_the_place_of_a_row_is_unreadable(row: Any) -> None:
    page = models.HISTORY.validate_python({"messages": [row, {"message_id": 3}]}).messages
    assert [row.message_id for row in page] == ["", "3"]


def test_a_page_of_nothing_but_rubbish_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ValidationError, match="more than 200 rows cannot be read"):
        models.HISTORY.validate_python({"messages": [7] * 100_000})


@pytest.mark.parametrize("field", ["message_seq", "timestamp", "setting"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_no_server_counts_to_never_reaches_the_journal(field: str, number: int) -> None:
    row = history_row(**{field: number})
    assert (row.message_id, getattr(row, field)) == ("", 0)


@given(st.binary(max_size=200))
def test_a_payload_is_decoded_from_base64(payload: bytes) -> None:
    assert history_row(payload=base64.b64encode(payload).decode()).payload == payload


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, b""),
        ("", b""),
        ('{"type":1}', b'{"type":1}'),
        ("not base64 – at all", "not base64 – at all".encode()),
        ({"type": 1}, b'{"type": 1}'),
    ],
)
def test_a_payload_that_is_no_base64_comes_through_for_its_reader_to_judge(
    payload: Any, expected: bytes
) -> None:
    assert history_row(payload=payload).payload == expected


def test_a_message_does_not_show_its_text() -> None:
    assert "private" not in repr(history_row(payload=base64.b64encode(b"private").decode()))


@pytest.mark.parametrize(("wire", "flag"), [(0, False), (1, True), (True, True), (None, False)])
def test_header_flags_may_be_numbers_or_booleans(wire: Any, flag: bool) -> None:
    row = history_row(header={"no_persist": wire, "red_dot": wire, "sync_once": wire})

    assert (row.no_persist, row.red_dot, row.sync_once) == (flag, flag, flag)


def test_a_row_without_a_header_and_with_nulls_is_read() -> None:
    row = history_row(header=None, from_uid=None, channel_id=None, setting=None, timestamp=None)

    assert (row.from_uid, row.channel_id, row.setting, row.timestamp, row.red_dot) == ("", "", 0, 0, False)


@pytest.mark.parametrize("page", [{"messages": None}, {"messages": []}])
def test_null_messages_are_no_messages(page: Any) -> None:
    assert models.HISTORY.validate_python(page).messages == []


@pytest.mark.parametrize("rows", [None, []])
def test_null_lists_are_empty(rows: Any) -> None:
    assert models.GROUPS.validate_python(rows) == []
    assert models.GROUP_MEMBERS.validate_python(rows) == []
    assert models.GROUP_MEMBERS.validate_python({"members": rows}) == []


def test_threads_may_come_bare_or_as_a_page() -> None:
    rows = [{"channel_id": "g____1", "name": "Launch", "status": 1}]
    bare = models.THREADS.validate_python(rows)
    assert bare == models.THREADS.validate_python({"count": 1, "list": rows})
    assert models.THREADS.validate_python(None) == models.THREADS.validate_python({"list": None}) == []


def test_what_a_name_may_mean_can_be_nothing() -> None:
    assert models.TARGETS.validate_python({"candidates": None, "total": 0}).candidates == ()


def test_members_may_come_bare_or_wrapped() -> None:
    rows = [
        {"uid": 7, "name": "Ann", "role": 1, "robot": 0},
        {"uid": "b_bot", "robot": True, "owner_uid": "7"},
    ]
    bare = models.GROUP_MEMBERS.validate_python(rows)

    assert bare == models.GROUP_MEMBERS.validate_python({"members": rows})
    assert [(member.uid, member.role, member.robot) for member in bare] == [
        ("7", 1, False),
        ("b_bot", 0, True),
    ]


def test_a_group_needs_only_its_number() -> None:
    assert models.GROUPS.validate_python([{"group_no": "g"}]) == [models.Group(group_no="g")]
    assert models.GROUP_INFO.validate_python({"group_no": "g", "status": 2}).status == 2


def test_recorded_pages_of_history_are_read_whole() -> None:
    with CAPTURE.open("rb") as file:
        records = list(msgpack.Unpacker(file, raw=False))
    answers = [record[3]["response"] for record in records[1:] if record[1] == "imapi"]
    pages = [models.HISTORY.validate_python(given).messages for given in answers if "messages" in given]

    assert sum(map(len, pages)) > 10
    for page in pages:
        assert [row.message_seq for row in page] == sorted(row.message_seq for row in page)
        assert all(row.message_id.isdecimal() and row.payload.startswith(b"{") for row in page)


@pytest.mark.parametrize(
    "address", ["", "/put", "ftp://h/x", "http://h:99999/x", "http://h:x/x", "http://user@h/x"]
)
def test_an_upload_address_nothing_can_be_put_to_is_refused(address: str) -> None:
    ticket = {"uploadUrl": address, "downloadUrl": "http://h/x"}
    with pytest.raises(ValidationError):
        models.UPLOAD_TICKET.validate_python(ticket)
    usable = ticket | {"uploadUrl": "http://h:9/x?sign=a%2Fb"}
    assert models.UPLOAD_TICKET.validate_python(usable).upload_url == usable["uploadUrl"]
