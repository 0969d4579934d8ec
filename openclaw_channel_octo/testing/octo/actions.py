"""What can be done to a double from outside, each as a JSON object that is checked strictly."""

import json
from collections.abc import Awaitable, Callable
from inspect import Parameter, signature
from typing import Annotated, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import fields
from pydantic import BaseModel, ConfigDict, Field, create_model

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo import faults
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import ANY_CALL
from openclaw_channel_octo.testing.octo.records import RawMessage
from openclaw_channel_octo.testing.octo.refusals import Envelope
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["ACTIONS", "Action"]

_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Times = Annotated[int, Field(ge=1, le=1_000)]
_Kind = Annotated[Literal[1, 2, 5], Field(alias="type")]
_Payload = dict[str, Any]
_FaultName = Literal[
    "ErrorAnswer", "ProxyPage", "RateLimit", "JsonAnswer", "Hang", "Slow", "LoseAnswer", "Refuse"
]

_STRICT: Final = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class Action(Struct, frozen=True):
    """One thing that can be done.

    Attributes:
        takes: the JSON object it has to be told.
        does: called with the double and the fields of ``takes``; returns what there is to answer, and raises what the
            double raises for wrong arguments.
    """

    takes: type[BaseModel]
    does: Callable[..., Awaitable[Any]]

    async def do(self, octo: OctoDouble, body: bytes) -> Any:
        """Do it to ``octo`` as a JSON object says. Raises `ValidationError` for one that does not fit."""
        return await self.does(octo, **dict(self.takes.model_validate_json(body)))


ACTIONS: Final[dict[str, Action]] = {}
"""Every action by the name it has in an address."""


def _action(does: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Put a function among `ACTIONS`: its docstring says what it does, its parameters what it has to be told."""
    takes: dict[str, Any] = {
        name: (told.annotation, ... if told.default is Parameter.empty else told.default)
        for name, told in signature(does).parameters.items()
        if name != "octo"
    }
    words = does.__name__.split("_")
    model = create_model("".join(map(str.title, words)), __config__=_STRICT, __doc__=does.__doc__, **takes)
    ACTIONS["-".join(words)] = Action(model, does)
    return does


@_action
async def say(  # noqa: PLR0913  # the fields of the body
    octo: OctoDouble,
    *,
    from_uid: Annotated[_Id, Field(alias="from")],
    channel: _Id,
    kind: _Kind = 2,
    text: str = "",
    mention: list[str] = [],  # noqa: B006  # pydantic copies it
    payload: _Payload | None = None,
) -> str:
    """Say something as a person, or send any payload; type 1 is a person's uid as channel, 2 a group, 5 a thread."""
    where = ChannelRef(channel, ChannelType(kind))
    if where.type == ChannelType.PERSON and all(one.uid != channel for one in octo.accounts()):
        raise ValueError(f"no account {channel!r}; for a group the type is 2")
    content = text if payload is None else payload
    return await octo.say(from_uid, where, content, mention=mention)


@_action
async def add_person(octo: OctoDouble, *, uid: _Id, name: str, stranger: bool = False) -> None:
    """Add a person; a stranger is nobody's friend, so that bots cannot write to them."""
    octo.add_person(uid, name, stranger=stranger)


@_action
async def add_bot(octo: OctoDouble, *, uid: _Id, token: _Id, name: str = "", owner: str = "") -> None:
    """Add a bot with its token."""
    octo.add_bot(uid, token, name=name, owner=owner)


@_action
async def add_group(octo: OctoDouble, *, group: _Id, members: list[str], name: str = "") -> None:
    """Add a group; its first member owns it."""
    octo.add_group(group, members, name=name)


@_action
async def add_thread(octo: OctoDouble, *, group: _Id, short_id: _Id) -> str:
    """Add a thread to a group."""
    return octo.add_thread(group, short_id).id


@_action
async def member(octo: OctoDouble, *, group: _Id, uid: _Id, here: bool = True) -> None:
    """Put an account into a group, or take it out."""
    (octo.add_member if here else octo.remove_member)(group, uid)


@_action
async def disband(octo: OctoDouble, *, group: _Id) -> None:
    """Disband a group: nothing reaches its members any more."""
    octo.disband(group)


class FaultSettings(BaseModel):
    """What faults may be told, each only what it has; the values here hold where it needs one and none is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=200, le=599)] = 500
    msg: str = ""
    code: str = ""
    retry_after: Annotated[int, Field(ge=0)] | None = None
    body: Any = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3


@_action
async def fail(
    octo: OctoDouble,
    *,
    call: str = ANY_CALL,
    fault: _FaultName,
    times: Annotated[int, Field(ge=0, le=1_000)] = 1,
    settings: FaultSettings = FaultSettings(),  # noqa: B008  # pydantic copies it
) -> None:
    """Let calls of the bot API fail: the next ones, or with times 0 all until they are healed.

    Settings, where a fault takes any: of ErrorAnswer {"status": 500, "msg": "…", "code": "query_failed"}, of ProxyPage
    {"status": 503}, of RateLimit {"retry_after": 1} or null for no header, of JsonAnswer {"body": {"status": 0},
    "status": 200}, of Slow {"seconds": 3}.
    """
    kind, given = getattr(faults, fault), settings.model_dump(exclude_unset=True)
    if unknown := sorted(given.keys() - {*kind.__struct_fields__}):
        takes = ", ".join(kind.__struct_fields__) or "none"
        raise ValueError(f"settings: {fault} takes {takes}, not {', '.join(unknown)}")
    needed = {each.name: getattr(settings, each.name) for each in fields(kind) if each.required}
    octo.fail_next(call, kind(**needed | given), times=times or None)


@_action
async def heal(octo: OctoDouble, *, call: str = "") -> None:
    """Forget the faults of one call, or of all, and let go on what hangs."""
    octo.heal(call or None)
    octo.release()


@_action
async def kick(octo: OctoDouble, *, uid: _Id) -> None:
    """Kick an account's connections, as another device does."""
    octo.kick(_account(octo, uid))


@_action
async def drop(octo: OctoDouble, *, uid: str = "") -> None:
    """Break TCP connections without a close frame: one account's, or everybody's."""
    octo.drop_connections(_account(octo, uid) if uid else None)


@_action
async def lose(octo: OctoDouble, *, uid: _Id, times: _Times = 1) -> None:
    """Let the next messages to an account get lost on their way; the history has them."""
    octo.lose_next(_account(octo, uid), times=times)


@_action
async def repeat(octo: OctoDouble, *, uid: _Id, channel: _Id, kind: _Kind = 2) -> str:
    """Deliver the newest message of a conversation once more, as a server that lost an acknowledgement."""
    where = ChannelRef(channel, ChannelType(kind))
    lines = octo.chat(where, uid)
    if not lines:
        raise ValueError(f"nothing has been said in {channel!r} yet")
    line = lines[-1]
    copy = RawMessage(
        from_uid=line.from_uid,
        channel=where,
        payload=json.dumps(line.payload, ensure_ascii=False).encode(),
        message_id=int(line.message_id),
        message_seq=line.message_seq,
        timestamp=line.timestamp,
    )
    return await octo.inject(uid, copy)


@_action
async def inject(  # noqa: PLR0913  # the fields of the body
    octo: OctoDouble,
    *,
    uid: _Id,
    from_uid: Annotated[str, Field(alias="from")] = "",
    channel: str = "",
    kind: _Kind = 2,
    payload: _Payload,
    command: bool = False,
    copies: _Times = 1,
) -> str:
    """Put a packet on an account's connections as it is, stored nowhere.

    With command it has the flags of one: {"uid": "helper_bot", "type": 1, "channel": "", "command": true, "payload":
    {"type": 99, "cmd": "typing", "param": {…}}} is somebody's typing in a direct conversation, whose channel is empty.
    """
    packet = RawMessage(
        from_uid=from_uid,
        channel=ChannelRef(channel, ChannelType(kind)),
        payload=json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace"),
        flags=Flags.NO_PERSIST | Flags.SYNC_ONCE if command else Flags.RED_DOT,
    )
    return await octo.inject(_account(octo, uid), packet, copies=copies)


@_action
async def resend(octo: OctoDouble) -> int:
    """Send every stored message without a RECVACK again."""
    return octo.resend_unacked()


@_action
async def sockets(octo: OctoDouble, *, up: bool) -> None:
    """Stop the socket server, so that connections break and new ones are refused; or start it again."""
    (octo.start_sockets if up else octo.stop_sockets)()


@_action
async def freeze(octo: OctoDouble, *, on: bool) -> None:
    """Freeze the socket server, so that nothing is read and nothing leaves; or let it go on."""
    (octo.freeze if on else octo.thaw)()


@_action
async def forget_tokens(octo: OctoDouble) -> None:
    """Lose the socket server's tokens: every CONNECT is refused until the bot registers again."""
    octo.forget_tokens()


@_action
async def refuse_logins(
    octo: OctoDouble, *, reason: Annotated[int, Field(ge=0, le=255)] | None = None
) -> None:
    """Refuse every login with a CONNACK of this reason, as 1.x and v3 servers do; null for none any more."""
    octo.login_refusal = reason


@_action
async def ws_url(octo: OctoDouble, *, url: str = "") -> None:
    """Say what register names as the socket's address; empty for the right one."""
    octo.ws_url_override = url or None


@_action
async def errors(octo: OctoDouble, *, envelope: Literal["S", "N"]) -> None:
    """Choose which generation of the server errors look like."""
    octo.envelope = Envelope(envelope)


def _account(octo: OctoDouble, uid: str) -> str:
    """Return a uid that somebody has; a script that got it wrong would wait for nothing."""
    if all(one.uid != uid for one in octo.accounts()):
        raise ValueError(f"no account {uid!r}; there are {', '.join(one.uid for one in octo.accounts())}")
    return uid
