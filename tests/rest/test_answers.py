"""Which answer becomes which error: the rows of octo-bot-api §1.4, and anything else a server may say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadAnswer,
    BadRequest,
    FileTypeRefused,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
)
from openclaw_channel_octo.rest import models
from openclaw_channel_octo.rest.answers import Answer, ProxyRefusal, read, unanswered
from openclaw_channel_octo.rest.calls import POLICIES, Call
from tests.strategies import JSON

HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
CODE = "err.server.bot_api."


def answer(status: int, body: Any = b"", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, CIMultiDict(named), content)


def older(status: int, msg: str, **headers: str) -> Answer:
    return answer(status, {"msg": msg, "status": status}, **headers)


def newer(
    status: int, code: str, meant: int, details: dict[str, Any] | None = None, **headers: str
) -> Answer:
    error = {"code": code, "message": "文字", "details": details or {}, "http_status": meant}
    return answer(status, {"msg": "文字", "status": status, "error": error}, **headers)


def error_of(call: Call, given_answer: Answer) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(call, given_answer, models.ACKNOWLEDGED)
    return caught.value


OLDER: list[tuple[Call, Answer, type[ApiError]]] = [
    (Call.TYPING, answer(401, {"msg": "token无效"}), AuthError),
    (Call.REGISTER, older(400, "无效的bot token"), AuthError),
    (Call.REGISTER, older(400, "缺少Authorization头"), AuthError),
    (Call.REGISTER, older(400, "bot not available"), PermissionDenied),
    (Call.SEND, answer(403, {"msg": "bot not available"}), PermissionDenied),
    (Call.REGISTER, older(400, "获取IM Token失败"), Unavailable),
    (Call.SEND, older(400, "数据格式有误"), BadRequest),
    (Call.SEND, older(400, "payload不能为空"), BadRequest),
    (Call.SEND, older(400, "bot is not a member of this group"), PermissionDenied),
    (Call.TYPING, older(400, "bot is not a friend of this user"), PermissionDenied),
    (Call.SEND, older(400, "app bot only supports direct messages"), PermissionDenied),
    (Call.SEND, older(400, "user has not started conversation with this bot"), PermissionDenied),
    (Call.SEND, older(400, "user is no longer a member of bot's space"), PermissionDenied),
    (Call.GROUP_INFO, older(400, "app bot does not support group operations"), PermissionDenied),
    (Call.SEND, older(400, "invalid thread channel_id format"), BadRequest),
    (Call.SEND, older(400, "a text nobody has seen before"), BadRequest),
    (Call.SEND, older(400, "发送消息失败"), AmbiguousOutcome),
    (Call.GROUP_INFO, older(403, "not a member"), PermissionDenied),
    (Call.GROUP_INFO, answer(403, {"msg": "no"}), PermissionDenied),
    (Call.USER_INFO, answer(404, {"msg": "用户不存在"}), NotFound),
    (Call.GROUPS, older(500, "boom"), Unavailable),
    (Call.SEND, older(500, "boom"), AmbiguousOutcome),
    (Call.SEND, older(503, "no engine"), AmbiguousOutcome),
    (Call.GROUPS, answer(404, b"404 page not found", Content_Type="text/plain"), NotFound),
    (Call.SEND, older(429, "请求过于频繁，请稍后再试", Retry_After="2"), RateLimited),
]


@pytest.mark.parametrize(("call", "given_answer", "kind"), OLDER)
def test_an_older_server_is_understood_by_status_and_known_texts(
    call: Call, given_answer: Answer, kind: type[ApiError]
) -> None:
    error = error_of(call, given_answer)

    assert type(error) is kind
    assert error.status == given_answer.status
    assert error.call == call


MEANINGS = {
    AuthError: "auth_failed",
    PermissionDenied: "not_group_member group_disbanded not_group_admin cannot_remove_privileged "
    "not_space_member app_bot_unsupported app_bot_dm_only not_friend conversation_not_started "
    "message_edit_forbidden obo_not_authorized bot_unavailable",
    FileTypeRefused: "file_type_unsupported",
    NotFound: "group_not_found message_not_found user_not_found obo_grant_not_found",
    BadRequest: "request_invalid limit_exceeded content_too_large file_too_large payload_too_large "
    "member_not_human thread_channel_not_accepted bot_not_provisioned "
    "obo_reserved_field",
    Unavailable: "auth_check_failed upstream_failed query_failed store_failed send_failed upload_failed "
    "im_token_failed obo_internal message_not_delivered",
}


@pytest.mark.parametrize(
    ("code", "kind"), [(code, kind) for kind, codes in MEANINGS.items() for code in codes.split()]
)
def test_a_newer_server_is_understood_by_its_code_whatever_the_status(
    code: str, kind: type[ApiError]
) -> None:
    error = error_of(Call.GROUP_INFO, newer(400, CODE + code, 400 if kind is BadRequest else 0))

    assert type(error) is kind
    assert error.code == CODE + code
    assert error.status == 400


CONTRADICTION = {"msg": "无效的bot token", "error": {"code": CODE + "not_friend", "http_status": 403}}


@pytest.mark.parametrize(
    ("given_answer", "kind"),
    [
        pytest.param(newer(400, CODE + "brand_new", 403), PermissionDenied, id="unknown, with a meaning"),
        pytest.param(newer(404, CODE + "brand_new", 0), NotFound, id="unknown, without: by its status"),
        pytest.param(answer(400, CONTRADICTION), PermissionDenied, id="against a text"),
        pytest.param(newer(500, CODE + "auth_check_failed", 500), Unavailable, id="before anything was sent"),
        pytest.param(newer(400, CODE + "send_failed", 500), AmbiguousOutcome, id="failed inside: send"),
        pytest.param(newer(400, CODE + "store_failed", 500), AmbiguousOutcome, id="failed inside: store"),
        pytest.param(newer(400, CODE + "upstream_failed", 500), AmbiguousOutcome, id="failed inside: engine"),
    ],
)
def test_a_code_of_a_send_means(given_answer: Answer, kind: type[ApiError]) -> None:
    assert type(error_of(Call.SEND, given_answer)) is kind


@pytest.mark.parametrize(
    ("given_answer", "seconds"),
    [
        (answer(429, {"msg": "slow down"}, retry_after="3"), 3.0),
        (newer(429, "err.shared.rate.limited", 429, {"retry_after": 4}), 4.0),
        (newer(429, "err.shared.rate.limited", 429, {"retry_after": 4}, Retry_After="2"), 2.0),
        (newer(400, "err.shared.rate.limited", 429, {"retry_after": "5"}), 5.0),
        (answer(429, b"", Retry_After="0"), 1.0),
        (answer(429, b"", Retry_After="-4"), 1.0),
        (answer(429, b"", Retry_After="inf"), 1.0),
        (answer(429, b"", Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"), 1.0),
        (newer(429, "err.shared.rate.limited", 429, {"retry_after": [1]}), 1.0),
        (answer(429, HTML), 1.0),
        (answer(429), 1.0),
    ],
)
def test_a_rate_limit_says_how_long_to_wait_and_one_second_where_the_server_does_not(
    given_answer: Answer, seconds: float
) -> None:
    error = error_of(Call.SEND, given_answer)

    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_rate_limit_names_its_scope() -> None:
    error = error_of(Call.SEND, answer(429, b"", X_RateLimit_Scope="ip"))

    assert isinstance(error, RateLimited)
    assert error.scope == "ip"


@pytest.mark.parametrize(
    "given_answer", [answer(503, HTML, Content_Type="text/html; charset=utf-8"), answer(503, HTML)]
)
def test_a_proxys_503_page_is_a_rate_limit_of_a_second_and_nothing_was_sent(given_answer: Answer) -> None:
    error = error_of(Call.SEND, given_answer)

    assert isinstance(error, ProxyRefusal)
    assert isinstance(error, Unavailable)
    assert error.retry_after == 1.0


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_lost_the_server_leaves_a_send_open_and_a_read_unavailable(status: int) -> None:
    page = answer(status, HTML, Content_Type="text/html")

    assert type(error_of(Call.SEND, page)) is AmbiguousOutcome
    assert type(error_of(Call.GROUPS, page)) is Unavailable


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
def test_a_redirect_is_a_bad_answer_that_names_the_setting_to_change(status: int) -> None:
    error = error_of(Call.SEND, answer(status, b"", Location="http://elsewhere.example/"))

    assert type(error) is BadAnswer
    assert "apiUrl" in str(error)
    assert "elsewhere" not in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"\xff\xfe\xfa", b"{", b"[" * 100_000, b"null", b"[]", b"1"]
)
def test_a_success_that_is_not_the_apis_is_a_bad_answer(body: bytes) -> None:
    assert type(error_of(Call.TYPING, answer(200, body))) is BadAnswer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        {},
        {"message_id": None},
        {"message_id": 0},
        {"message_id": ""},
        {"message_id": True},
        [],
    ],
)
def test_a_send_whose_success_has_no_message_id_may_have_been_carried_out(body: Any) -> None:
    with pytest.raises(AmbiguousOutcome):
        read(Call.SEND, answer(200, body), models.SENT_MESSAGE)


def test_a_zero_status_is_no_failure() -> None:
    assert read(Call.TYPING, answer(200, {"status": 0}), models.ACKNOWLEDGED) == {"status": 0}


def test_a_bad_answer_names_the_field_and_not_its_value() -> None:
    bad = answer(200, {"robot_id": ["private"], "im_token": "bf_0123456789abcdef"})

    with pytest.raises(BadAnswer, match=r"robot_id: string_type") as caught:
        read(Call.REGISTER, bad, models.REGISTRATION)

    assert "private" not in str(caught.value)


def test_no_error_drags_the_body_along_in_its_context() -> None:
    for body in (b"{broken bf_secret", b'{"robot_id": 1, "im_token": null}'):
        with pytest.raises(BadAnswer) as caught:
            read(Call.REGISTER, answer(200, body), models.REGISTRATION)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_a_servers_words_are_shown_on_one_short_line_without_tokens() -> None:
    token = "bf_" + "0a" * 16
    error = error_of(Call.SEND, older(400, f"bad\r\n\x1b[31m {token} " + "x" * 500))

    assert token not in str(error)
    assert str(error).isprintable()
    assert "bad [31m ***" in str(error)
    assert len(str(error)) < 300


def test_the_field_at_fault_is_named() -> None:
    error = error_of(Call.SEND, newer(400, CODE + "request_invalid", 400, {"field": "channel_id"}))

    assert "in channel_id" in str(error)


@pytest.mark.parametrize("call", [call for call, policy in POLICIES.items() if policy.repeatable])
def test_no_answer_is_unavailable_for_every_call_that_may_be_repeated(call: Call) -> None:
    assert type(unanswered(call, "why", may_have_arrived=True)) is Unavailable


def test_no_answer_to_a_send_is_unavailable_only_where_it_cannot_have_left() -> None:
    assert type(unanswered(Call.SEND, "why", may_have_arrived=False)) is Unavailable
    assert type(unanswered(Call.SEND, "why", may_have_arrived=True)) is AmbiguousOutcome


envelopes = st.fixed_dictionaries(
    {},
    optional={
        "msg": JSON,
        "status": JSON,
        "error": st.fixed_dictionaries({}, optional={"code": JSON, "http_status": JSON, "details": JSON}),
    },
)
bodies = st.binary(max_size=60) | (envelopes | JSON).map(lambda value: json.dumps(value).encode())


@given(
    call=st.sampled_from(Call),
    status=st.integers(100, 599),
    body=bodies,
    retry_after=st.text(max_size=10),
    shape=st.sampled_from(
        [models.REGISTRATION, models.SENT_MESSAGE, models.HISTORY, models.GROUPS, models.GROUP_MEMBERS]
    ),
)
def test_every_answer_is_a_value_or_an_api_error(
    call: Call, status: int, body: bytes, retry_after: str, shape: Any
) -> None:
    try:
        read(call, answer(status, body, Retry_After=retry_after), shape)
    except ApiError as error:
        assert str(error).isprintable()  # noqa: PT017  # which of the two comes is what hypothesis varies


@pytest.mark.parametrize("around", ["{}", "bad{}", "{}无效", "令牌{}_x"])
def test_a_token_is_hidden_whatever_it_is_glued_to(around: str) -> None:
    token = "bf_" + "0a" * 16
    assert token not in str(error_of(Call.SEND, older(400, around.format(token))))
