"""Harness of the bot API's answers: any status, headers and body."""

import math
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from types import MappingProxyType
from typing import Any

from multidict import CIMultiDict
from pydantic import TypeAdapter

from openclaw_channel_octo.errors import ApiError, RateLimited
from openclaw_channel_octo.rest import models
from openclaw_channel_octo.rest.answers import Answer, read
from openclaw_channel_octo.rest.attempts import RetryBudget
from openclaw_channel_octo.rest.calls import POLICIES, Call
from openclaw_channel_octo.testing.clock import ManualClock
from tests.fuzz.harness import PLANTED, Harness
from tests.fuzz.mutation import ODD_VALUES, json_maker

SHAPES: Mapping[Call, TypeAdapter[Any]] = MappingProxyType(
    {
        Call.REGISTER: models.REGISTRATION,
        Call.SEND: models.SENT_MESSAGE,
        Call.SYNC: models.HISTORY,
        Call.GROUPS: models.GROUPS,
        Call.GROUP_INFO: models.GROUP_INFO,
        Call.GROUP_MEMBERS: models.GROUP_MEMBERS,
        Call.USER_INFO: models.USER_INFO,
        Call.TYPING: models.ACKNOWLEDGED,
    }
)
CALLS = tuple(SHAPES)
PROMISED = {
    Call.REGISTER: 0,
    Call.SEND: 1,
    Call.SYNC: 2,
    Call.GROUPS: 3,
    Call.GROUP_INFO: 4,
    Call.USER_INFO: 7,
}
"""Calls by the seed that is what they promise."""

STATUSES = (
    200,
    200,
    200,
    201,
    204,
    100,
    301,
    400,
    400,
    401,
    403,
    404,
    409,
    413,
    429,
    500,
    502,
    503,
    599,
    999,
)
WAITS = ("", "1", "0", "-1", "inf", "nan", "1e400", "9" * 400, "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "1_0")
KINDS = ("application/json", "text/html; charset=utf-8", "", "TEXT/HTML")
ROW = {
    "header": {"no_persist": 0, "red_dot": 1, "sync_once": 0},
    "setting": 0,
    "message_idstr": "2039626171074744320",
    "message_id": 2039626171074744320,
    "message_seq": 7,
    "client_msg_no": "n",
    "from_uid": "ann",
    "channel_id": "g1",
    "channel_type": 2,
    "timestamp": 1767225600,
    "payload": "eyJ0eXBlIjoxLCJjb250ZW50IjoiaGkifQ==",
}
SEEDS: tuple[Any, ...] = (
    {
        "robot_id": "27a1_bot",
        "name": "Helper",
        "im_token": PLANTED,
        "ws_url": "ws://h/ws",
        "owner_uid": "ann",
    },
    {"message_id": 2039626171074744320, "client_msg_no": "n", "message_seq": 0},
    {"start_message_seq": 0, "end_message_seq": 0, "messages": [ROW, {**ROW, "payload": {"type": 1}}]},
    [{"group_no": "g1", "name": "G", "space_id": "s"}],
    {"group_no": "g1", "name": "G", "notice": "", "creator": "ann", "status": 2},
    [{"uid": "ann", "name": "Ann", "role": 1, "robot": 0}],
    {"members": [{"uid": "ann", "name": "Ann", "robot": 1, "owner_uid": "ben"}]},
    {"uid": "ann", "name": "Ann", "avatar": "/a"},
    {"status": 200},
    None,
    {"msg": f"bad token {PLANTED}", "status": 400},
    {
        "msg": "m",
        "status": 400,
        "error": {
            "code": "err.server.bot_api.not_friend",
            "message": PLANTED,
            "details": {"field": "x", "retry_after": 2},
            "http_status": 403,
        },
    },
)
WORDS = (
    *("messages", "message_id", "message_idstr", "header", "payload", "members", "uid", "robot", "im_token"),
    *(
        "msg",
        "status",
        "error",
        "code",
        "http_status",
        "details",
        "retry_after",
        "field",
        "robot_id",
        PLANTED,
    ),
    *("err.shared.rate.limited", "err.server.bot_api.auth_failed", "无效的bot token", f"x{PLANTED}y"),
)
LONGEST_ERROR = 700

_any_answer = json_maker([*SEEDS, *(value for value in ODD_VALUES if value != 10**400)], WORDS, head=3)
_promised = {call: json_maker([SEEDS[index]], WORDS) for call, index in PROMISED.items()}


def make_answer(rng: Random) -> bytes:
    if rng.random() < 0.5:
        return _any_answer(rng)
    call = rng.choice(list(_promised))
    return bytes((CALLS.index(call), 0, 0)) + _promised[call](rng)


def check_answer(data: bytes) -> None:
    """An answer becomes a value or one of the API's errors, short, on one line and without a token."""
    one, two, three = data[:3] if len(data) > 2 else (0, 0, 0)
    call = CALLS[one % len(CALLS)]
    headers = CIMultiDict(
        {
            "Content-Type": KINDS[two % 4],
            "retry-after": WAITS[three % len(WAITS)],
            "X-RateLimit-Scope": f"scope {PLANTED}\x00\u202e",
        }
    )
    try:
        read(call, Answer(STATUSES[two % len(STATUSES)], headers, data[3:]), SHAPES[call])
    except ApiError as error:
        _check_error(call, error)


def _check_error(call: Call, error: ApiError) -> None:
    said = f"{error!r} {error} {error.code}"
    assert PLANTED not in said
    assert len(str(error)) <= LONGEST_ERROR
    assert str(error).isprintable()
    budget = RetryBudget(POLICIES[call], ManualClock(jitter=0.75))
    waits = []
    with suppress(StopIteration):
        waits = list(iter(lambda: budget.wait_after(error), None))
    assert sum(waits) <= 15.0
    if isinstance(error, RateLimited):
        assert math.isfinite(error.retry_after)
        assert error.retry_after > 0


HARNESSES = (Harness(name="answer", make=make_answer, check=check_answer, share=12),)
