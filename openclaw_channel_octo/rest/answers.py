"""The one place that turns an HTTP answer, or none, into a value or an error (octo-bot-api §1.4)."""

import asyncio
import json
import json.scanner
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

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
from openclaw_channel_octo.rest.calls import POLICIES, Call
from openclaw_channel_octo.values import SecretStruct

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Exchange",
    "ProxyRefusal",
    "read",
    "read_aside",
    "too_large",
    "unanswered",
    "unusable",
]

T = TypeVar("T")

_DEFAULT_RETRY_AFTER_S = 1.0
_QUOTED_CHARS = 120
_LARGE_BYTES = 256 * 1024
"""Bodies from here on are read beside the event loop."""
_NOT_JSON: Final = object()
_ERROR_STATUSES = range(400, 600)
_TOKEN = re.compile(r"(?:bf|app|uk)_[0-9A-Za-z]{16,}")

_CODE_PREFIX = "err.server.bot_api."
_CODES: Mapping[int, str] = {
    401: "auth_failed",
    403: "not_group_member group_disbanded not_group_admin cannot_remove_privileged not_space_member "
    "app_bot_unsupported app_bot_dm_only not_friend conversation_not_started message_edit_forbidden "
    "obo_not_authorized bot_unavailable",
    404: "group_not_found message_not_found user_not_found obo_grant_not_found",
    # Not a conflict to solve: the message is still on its way, and the same call works a moment later.
    503: "message_not_delivered",
    500: "auth_check_failed query_failed store_failed send_failed upload_failed im_token_failed obo_internal",
    502: "upstream_failed",
}
_STATUS_BY_CODE: Mapping[str, int] = MappingProxyType(
    {f"{_CODE_PREFIX}{name}": status for status, names in _CODES.items() for name in names.split()}
    | {"err.shared.rate.limited": 429, "err.shared.internal": 500}
)
_FILE_TYPE = frozenset({f"{_CODE_PREFIX}file_type_unsupported", "不支持的文件类型"})
"""The code, and the text of servers without codes, for a file that is not taken (octo-bot-api §2.10)."""
_BEFORE_THE_HANDLER = frozenset({f"{_CODE_PREFIX}auth_check_failed"})

_STATUS_BY_TEXT: Mapping[str, int] = MappingProxyType(
    {
        "无效的bot token": 401,
        "缺少Authorization头": 401,
        "bot not available": 403,
        "bot is not a member of this group": 403,
        "bot is not a friend of this user": 403,
        "app bot only supports direct messages": 403,
        "app bot does not support group operations": 403,
        "user has not started conversation with this bot": 403,
        "user is no longer a member of bot's space": 403,
        "只能编辑自己发送的消息": 403,
        "消息不存在": 404,
        "消息尚未投递完成，请稍后重试": 503,
        "获取IM Token失败": 500,
        "发送消息失败": 500,
    }
)
"""What a 400 of a server without error codes really means, by its exact text."""

_KINDS: Mapping[int, tuple[type[ApiError], str]] = {
    401: (AuthError, "the bot token is refused, get the current one from the bot's owner (BotFather /token)"),
    403: (PermissionDenied, "the bot may not do this here"),
    404: (NotFound, "there is no such thing on this server"),
}


class ProxyRefusal(Unavailable):
    """A proxy's own 503 page: its rate limit, refused before the API saw the request (octo-bot-api §1.5).

    Attributes:
        retry_after: seconds to wait; such a page never says, so this is a default.
    """

    retry_after: float = _DEFAULT_RETRY_AFTER_S


class AnswerTooLarge(BadAnswer):
    """A success whose body is larger than any answer of the call has to be; most of it was not read."""


class Exchange(Struct, frozen=True, kw_only=True):
    """One request and what came back, for those who record traffic. Holds secrets.

    Attributes:
        method: HTTP method.
        path: below the API's address, without query.
        query: parameters.
        body: the request's JSON, empty without one.
        status: HTTP status, 0 where no answer came.
        response: the answer's body.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    status: int
    response: bytes


class Answer(SecretStruct, frozen=True):
    """What came back.

    Attributes:
        status: HTTP status.
        headers: HTTP headers, looked up without regard to case.
        body: the whole body.
    """

    HIDDEN: ClassVar = frozenset({"body"})

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Envelope(Struct, frozen=True):
    """Both error forms in one: the older ``msg`` and, where the server is newer, the ``error`` block."""

    is_json: bool = False
    msg: str = ""
    code: str = ""
    http_status: int = 0
    details: Mapping[str, Any] = MappingProxyType({})


class _YieldingDecoder(json.JSONDecoder):
    """Reads JSON step by step in Python, so that other threads run in between: the C reader holds them all up."""

    def __init__(self) -> None:
        super().__init__()
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # typeshed lacks it


async def read_aside(call: Call, answer: Answer, shape: TypeAdapter[T]) -> T:
    """Do what `read` does without holding up the event loop: a large body is read in a thread that lets others run."""
    if len(answer.body) <= _LARGE_BYTES:
        return read(call, answer, shape)
    return await asyncio.to_thread(read, call, answer, shape)


def read(call: Call, answer: Answer, shape: TypeAdapter[T]) -> T:
    """Return the body of a success as ``shape``.

    Raises:
        ApiError: in the kind that fits (octo-bot-api §1.4). An unusable success of a call that must not be
            repeated is `AmbiguousOutcome`, of any other call `BadAnswer`.
    """
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _failure(call, answer)
    content = _json(answer.body)
    if content is _NOT_JSON:
        raise unusable(
            call, "the answer is no JSON; check that apiUrl points at the Octo server", answer.status
        )
    # Raised outside the handler: the validation error holds the body, and with it tokens and messages.
    try:
        return shape.validate_python(content)
    except ValidationError as error:
        problem = _first_problem(error)
    raise unusable(call, f"the answer is not what the API promises: {problem}", answer.status)


def too_large(call: Call, status: int) -> ApiError:
    """Return the error for a success whose body was not read to its end."""
    error = unusable(call, f"the answer is larger than {POLICIES[call].max_answer_bytes} bytes", status)
    return AnswerTooLarge(call, error.detail, status=status) if isinstance(error, BadAnswer) else error


def unusable(call: Call, detail: str, status: int) -> ApiError:
    """Return the error for a success whose content cannot be used."""
    if POLICIES[call].repeatable:
        return BadAnswer(call, detail, status=status)
    return AmbiguousOutcome(call, f"{detail}; it may have been carried out", status=status)


def unanswered(call: Call, reason: str, *, may_have_arrived: bool) -> ApiError:
    """Return the error for a request that got no answer.

    Args:
        call: what was asked.
        reason: what broke, free of secrets.
        may_have_arrived: false only where the request cannot have left this machine.
    """
    if may_have_arrived and not POLICIES[call].repeatable:
        return AmbiguousOutcome(call, f"no answer, it may have been carried out: {reason}")
    return Unavailable(call, f"no answer: {reason}")


def _failure(call: Call, answer: Answer) -> ApiError:
    envelope = _envelope(answer.body)
    meaning = _meaning(answer, envelope)
    said = _said(envelope)
    if meaning < HTTPStatus.BAD_REQUEST:
        where = "the server redirects, which is never followed: set apiUrl to the final address"
        return BadAnswer(call, where, status=answer.status)
    if meaning == HTTPStatus.TOO_MANY_REQUESTS:
        scope = _one_line(answer.headers.get("X-RateLimit-Scope", ""))
        return RateLimited(
            call, f"too many requests{said}", retry_after=_retry_after(answer, envelope), scope=scope
        )
    if meaning >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _server_failure(call, answer, envelope)
    kind, words = _KINDS.get(meaning, (BadRequest, "the server refuses the request"))
    if _FILE_TYPE & {envelope.code, envelope.msg}:
        kind = FileTypeRefused
    return kind(call, words + said, status=answer.status, code=_one_line(envelope.code))


def _server_failure(call: Call, answer: Answer, envelope: _Envelope) -> ApiError:
    code = _one_line(envelope.code)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and _is_html(answer):
        return ProxyRefusal(call, "a proxy refuses the request, most likely too many of them", status=503)
    if POLICIES[call].repeatable or envelope.code in _BEFORE_THE_HANDLER:
        return Unavailable(call, f"the server failed{_said(envelope)}", status=answer.status, code=code)
    detail = f"the server failed, it may have been carried out{_said(envelope)}"
    return AmbiguousOutcome(call, detail, status=answer.status, code=code)


def _meaning(answer: Answer, envelope: _Envelope) -> int:
    """Return the status the server means: by code, else by the newer block, else by text, else as sent."""
    by_code = _STATUS_BY_CODE.get(envelope.code) or envelope.http_status
    if by_code:
        return by_code
    by_text = _STATUS_BY_TEXT.get(envelope.msg) if answer.status == HTTPStatus.BAD_REQUEST else None
    return by_text or answer.status


def _envelope(body: bytes) -> _Envelope:
    content = _json(body)
    if not isinstance(content, dict):
        return _Envelope()
    error = _mapping(content.get("error"))
    return _Envelope(
        is_json=True,
        msg=_string(content.get("msg")).strip(),
        code=_string(error.get("code")),
        http_status=_error_status(error.get("http_status")),
        details=_mapping(error.get("details")),
    )


def _error_status(value: Any) -> int:
    """Return an HTTP error status, 0 for anything else."""
    return value if isinstance(value, int) and value in _ERROR_STATUSES else 0


def _said(envelope: _Envelope) -> str:
    """Return the server's own words as the tail of a message."""
    if not envelope.is_json:
        return " (the answer has not the API's form: a proxy, or a server without this route)"
    words = _one_line(envelope.msg)
    name = _one_line(_string(envelope.details.get("field")))
    return (f" in {name}" if name else "") + (f": {words}" if words else "")


def _retry_after(answer: Answer, envelope: _Envelope) -> float:
    """Return the seconds to wait: the header, else the body, else one second."""
    hints = (_seconds(answer.headers.get("Retry-After")), _seconds(envelope.details.get("retry_after")))
    return next((hint for hint in hints if hint), _DEFAULT_RETRY_AFTER_S)


def _seconds(value: Any) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    with suppress(ValueError, OverflowError):
        seconds = float(value)
        return seconds if math.isfinite(seconds) and seconds > 0 else None
    return None


def _first_problem(error: ValidationError) -> str:
    """Return where and how the first mismatch is, never with the value that was there."""
    first = error.errors(include_url=False, include_input=False)[0]
    longest = first.get("ctx", {}).get("max_length")
    problem = first["type"] if longest is None else f"longer than {longest} characters"
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {problem}"


def _json(body: bytes) -> Any:
    decoder = _YieldingDecoder if len(body) > _LARGE_BYTES else None
    with suppress(ValueError, RecursionError):
        return json.loads(body, cls=decoder)
    return _NOT_JSON


def _is_html(answer: Answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body.lstrip().startswith(b"<")


def _one_line(text: str) -> str:
    """Return a stranger's words fit for a log line: short, printable, without anything like a token."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return _TOKEN.sub("***", " ".join(printable.split()))[:_QUOTED_CHARS]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
