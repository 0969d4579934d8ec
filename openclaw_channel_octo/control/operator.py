"""What a gateway's plugin, and whoever runs it, can have the bots do over the control socket (decision 0048).

Codes of refusals: ``refused`` for what will never be done as it is asked, ``failed`` for what cannot be done now,
``unknown`` for a send of which nobody can say yet whether it was carried out.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from openclaw_channel_octo import __version__
from openclaw_channel_octo.config.model import GatewayHostConfig
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadAnswer,
    ConfigError,
    ControlError,
    OctoError,
    RequestDenied,
    SendFailed,
    TargetError,
)
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.policy.authority import Role
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.calls import AGENT_CALLS, AgentCall, wrong_parameter
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["KEY_CHARS", "register_operator_calls"]

KEY_CHARS = 200
"""Longest idempotency key."""

_OF_JOBS = frozenset({"send", "edit", "groups", "threads", "resolve"})
"""Calls for agents in a session that is no conversation's, whose words nobody in the chat has asked for."""

_PASSED_BY_NAME = ("account", "session")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    account: Annotated[str, Field(max_length=200)] = ""


class _File(BaseModel):
    model_config = _Request.model_config

    path: Annotated[str, Field(max_length=4_096)] = ""
    url: str = ""
    name: Annotated[str, Field(max_length=255)] = ""

    @model_validator(mode="after")
    def _one_place(self) -> "_File":
        if bool(self.path) == bool(self.url):
            raise ValueError("a file has either a path or a url")
        if self.path and not Path(self.path).is_absolute():
            raise ValueError("the path of a file must be absolute")
        return self

    def item(self) -> MediaItem:
        path = Path(self.path) if self.path else None
        return MediaItem(kind="file", url=self.url, name=self.name, path=path)


class _Send(_Request):
    target: Annotated[str, Field(min_length=1, max_length=2_000)]
    text: Annotated[str, Field(max_length=500_000)] = ""
    files: Annotated[list[_File], Field(max_length=20)] = []
    thread: Annotated[str, Field(max_length=200)] = ""
    reply_to: Annotated[str, Field(max_length=200)] = ""
    key: Annotated[str, Field(max_length=KEY_CHARS)] = ""
    session: Annotated[str, Field(max_length=1_000)] = ""


class _Sent(_Request):
    key: Annotated[str, Field(min_length=1, max_length=KEY_CHARS)]


class _Typing(_Request):
    target: Annotated[str, Field(min_length=1, max_length=2_000)]
    thread: Annotated[str, Field(max_length=200)] = ""
    session: Annotated[str, Field(max_length=1_000)] = ""


class _Whose(_Request):
    session: Annotated[str, Field(max_length=1_000)] = ""


def register_operator_calls(server: ControlServer, channel: OctoChannel) -> None:
    """Let ``server`` answer the calls ``operator.…`` for a channel.

    Without ``session`` they are those of the operator. With it they are those of an agent in that session, whose rights
    `OctoChannel.outbound_in` tells.
    """
    calls: dict[str, Callable[[OctoChannel, Mapping[str, Any]], Awaitable[Any]]] = {
        "send": _send,
        "sent": _sent,
        "typing": _typing,
        "status": _status,
    }
    calls |= {name: partial(_act, name, call) for name, call in AGENT_CALLS.items() if name not in calls}
    for name, answer in calls.items():
        server.register(f"operator.{name}", partial(_answered, answer, channel), late="unknown")


async def _answered(
    answer: Callable[[OctoChannel, Mapping[str, Any]], Awaitable[Any]],
    channel: OctoChannel,
    params: Mapping[str, Any],
) -> Any:
    with _coded():
        return await answer(channel, params)


async def _send(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    asked = _Send.model_validate(params)
    outbound = await _outbound(channel, "send", asked.account, asked.session)
    sent = await outbound.send_once(
        asked.target,
        unmarked(asked.text, outbound.mark),
        [file.item() for file in asked.files],
        key=asked.key,
        thread_id=asked.thread or None,
        reply_to=asked.reply_to,
    )
    return {
        "message_ids": list(sent.message_ids),
        "target": str(sent.target),
        "reason": sent.reason.value,
        "repeated": sent.repeated,
    }


async def _sent(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    asked = _Sent.model_validate(params)
    posted = await channel.operator_outbound(asked.account).sent(asked.key)
    return {"state": posted.state, "message_ids": list(posted.message_ids)}


async def _typing(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    asked = _Typing.model_validate(params)
    outbound = await _outbound(channel, "send", asked.account, asked.session)
    return {"target": str(await outbound.type(asked.target, thread_id=asked.thread or None))}


async def _status(channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    _Request.model_validate(params)
    who = channel.identities()
    accounts = [
        {
            "account": account,
            "uid": who[account].uid if account in who else "",
            "name": who[account].name if account in who else "",
            "connected": connection.state is LinkState.ONLINE,
            "why": connection.why,
        }
        for account, connection in channel.status().bots.items()
    ]
    return {"version": __version__, "pid": os.getpid(), "accounts": accounts}


async def _act(name: str, call: type[AgentCall], channel: OctoChannel, params: Mapping[str, Any]) -> Any:
    whose = _Whose.model_validate({key: params[key] for key in _PASSED_BY_NAME if key in params})
    asked = call.model_validate({key: value for key, value in params.items() if key not in _PASSED_BY_NAME})
    return await asked.answer(await _outbound(channel, name, whose.account, whose.session))


async def _outbound(channel: OctoChannel, call: str, account: str, session: str) -> AgentActions:
    if not session:
        return channel.operator_outbound(account, by_host=True)
    outbound = await channel.outbound_in(session, account)
    host = channel.config.host
    may_read = isinstance(host, GatewayHostConfig) and host.jobs_may_read
    if outbound.role is Role.GATEWAY and call not in _OF_JOBS and not may_read:
        raise RequestDenied(
            f"{call} is not for this session, which is no conversation of the chat: host.jobsMayRead allows it"
        )
    return outbound


@contextmanager
def _coded() -> Iterator[None]:
    """Turn errors into refusals that say whether asking again can help."""
    try:
        yield
    except ControlError:
        raise
    except ValidationError as error:
        raise ControlError("refused", wrong_parameter(error)) from None
    except OctoError as error:
        raise ControlError(_code(error), str(error), _data(error)) from error


def _code(error: OctoError) -> str:
    cause = error.cause if isinstance(error, SendFailed) else error
    if isinstance(cause, AmbiguousOutcome):
        return "unknown"
    passing = cause.retryable or isinstance(cause, AuthError | BadAnswer)
    permanent = isinstance(cause, ApiError | ConfigError | RequestDenied | TargetError)
    return "refused" if permanent and not passing else "failed"


def _data(error: OctoError) -> Mapping[str, Any]:
    sent = error.message_ids if isinstance(error, SendFailed) else ()
    return {"message_ids": list(sent)} if sent else {}
