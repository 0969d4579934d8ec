"""What can be done to a double from outside, each as a JSON object that is checked strictly."""

import json
from abc import ABC, abstractmethod
from typing import Annotated, Any, Final, Literal

from msgspec.structs import fields
from pydantic import BaseModel, ConfigDict, Field

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo import faults
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.faults import ANY_CALL, Fault
from openclaw_channel_octo.testing.octo.records import RawMessage
from openclaw_channel_octo.testing.octo.refusals import Envelope
from openclaw_channel_octo.wire.packets import Flags

__all__ = ["ACTIONS", "Action"]

_Id = Annotated[str, Field(min_length=1, max_length=200)]
_Times = Annotated[int, Field(ge=1, le=1_000)]
_Kind = Literal[1, 2, 5]


class Action(BaseModel, ABC):
    """One thing that can be done; the docstring of a child says what, its fields what it has to be told."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    @abstractmethod
    async def do(self, octo: OctoDouble) -> Any:
        """Do it to ``octo``; return what there is to answer. Raises what the double raises for wrong arguments."""


class Say(Action):
    """Say something as a person, or send any payload; type 1 is a person's uid as channel, 2 a group, 5 a thread."""

    from_uid: _Id = Field(alias="from")
    channel: _Id
    type: _Kind = 2
    text: str = ""
    mention: list[str] = []
    payload: dict[str, Any] | None = None

    async def do(self, octo: OctoDouble) -> str:
        channel = ChannelRef(self.channel, ChannelType(self.type))
        if channel.type == ChannelType.PERSON and all(one.uid != channel.id for one in octo.accounts()):
            raise ValueError(f"no account {channel.id!r}; for a group the type is 2")
        content = self.text if self.payload is None else self.payload
        return await octo.say(self.from_uid, channel, content, mention=self.mention)


class AddPerson(Action):
    """Add a person; a stranger is nobody's friend, so that bots cannot write to them."""

    uid: _Id
    name: str
    stranger: bool = False

    async def do(self, octo: OctoDouble) -> None:
        octo.add_person(self.uid, self.name, stranger=self.stranger)


class AddBot(Action):
    """Add a bot with its token."""

    uid: _Id
    token: _Id
    name: str = ""
    owner: str = ""

    async def do(self, octo: OctoDouble) -> None:
        octo.add_bot(self.uid, self.token, name=self.name, owner=self.owner)


class AddGroup(Action):
    """Add a group; its first member owns it."""

    group: _Id
    members: list[str]
    name: str = ""

    async def do(self, octo: OctoDouble) -> None:
        octo.add_group(self.group, self.members, name=self.name)


class AddThread(Action):
    """Add a thread to a group."""

    group: _Id
    short_id: _Id

    async def do(self, octo: OctoDouble) -> str:
        return octo.add_thread(self.group, self.short_id).id


class Member(Action):
    """Put an account into a group, or take it out."""

    group: _Id
    uid: _Id
    here: bool = True

    async def do(self, octo: OctoDouble) -> None:
        (octo.add_member if self.here else octo.remove_member)(self.group, self.uid)


class Disband(Action):
    """Disband a group: nothing reaches its members any more."""

    group: _Id

    async def do(self, octo: OctoDouble) -> None:
        octo.disband(self.group)


class FaultSettings(BaseModel):
    """What faults may be told, each only what it has; the values here hold where it needs one and none is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Annotated[int, Field(ge=200, le=599)] = 500
    msg: str = ""
    code: str = ""
    retry_after: Annotated[int, Field(ge=0)] | None = None
    body: Any = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 3


class Fail(Action):
    """Let calls of the bot API fail: the next ones, or with times 0 all until they are healed.

    Settings, where a fault takes any: of ErrorAnswer {"status": 500, "msg": "…", "code": "query_failed"}, of ProxyPage
    {"status": 503}, of RateLimit {"retry_after": 1} or null for no header, of JsonAnswer {"body": {"status": 0},
    "status": 200}, of Slow {"seconds": 3}.
    """

    call: str = ANY_CALL
    fault: Literal[
        "ErrorAnswer", "ProxyPage", "RateLimit", "JsonAnswer", "Hang", "Slow", "LoseAnswer", "Refuse"
    ]
    times: Annotated[int, Field(ge=0, le=1_000)] = 1
    settings: FaultSettings = FaultSettings()

    async def do(self, octo: OctoDouble) -> None:
        kind, given = getattr(faults, self.fault), self.settings.model_dump(exclude_unset=True)
        if unknown := sorted(given.keys() - {*kind.__struct_fields__}):
            takes = ", ".join(kind.__struct_fields__) or "none"
            raise ValueError(f"settings: {self.fault} takes {takes}, not {', '.join(unknown)}")
        needed = {each.name: getattr(self.settings, each.name) for each in fields(kind) if each.required}
        fault: Fault = kind(**needed | given)
        octo.fail_next(self.call, fault, times=self.times or None)


class Heal(Action):
    """Forget the faults of one call, or of all, and let go on what hangs."""

    call: str = ""

    async def do(self, octo: OctoDouble) -> None:
        octo.heal(self.call or None)
        octo.release()


class Kick(Action):
    """Kick an account's connections, as another device does."""

    uid: _Id

    async def do(self, octo: OctoDouble) -> None:
        octo.kick(_account(octo, self.uid))


class Drop(Action):
    """Break TCP connections without a close frame: one account's, or everybody's."""

    uid: str = ""

    async def do(self, octo: OctoDouble) -> None:
        octo.drop_connections(_account(octo, self.uid) if self.uid else None)


class Lose(Action):
    """Let the next messages to an account get lost on their way; the history has them."""

    uid: _Id
    times: _Times = 1

    async def do(self, octo: OctoDouble) -> None:
        octo.lose_next(_account(octo, self.uid), times=self.times)


class Repeat(Action):
    """Deliver the newest message of a conversation once more, as a server that lost an acknowledgement."""

    uid: _Id
    channel: _Id
    type: _Kind = 2

    async def do(self, octo: OctoDouble) -> str:
        channel = ChannelRef(self.channel, ChannelType(self.type))
        lines = octo.chat(channel, self.uid)
        if not lines:
            raise ValueError(f"nothing has been said in {self.channel!r} yet")
        line = lines[-1]
        copy = RawMessage(
            from_uid=line.from_uid,
            channel=channel,
            payload=json.dumps(line.payload, ensure_ascii=False).encode(),
            message_id=int(line.message_id),
            message_seq=line.message_seq,
            timestamp=line.timestamp,
        )
        return await octo.inject(self.uid, copy)


class Inject(Action):
    """Put a packet on an account's connections as it is, stored nowhere.

    With command it has the flags of one: {"uid": "helper_bot", "type": 1, "channel": "", "command": true, "payload":
    {"type": 99, "cmd": "typing", "param": {…}}} is somebody's typing in a direct conversation, whose channel is empty.
    """

    uid: _Id
    from_uid: str = Field("", alias="from")
    channel: str = ""
    type: _Kind = 2
    payload: dict[str, Any]
    command: bool = False
    copies: _Times = 1

    async def do(self, octo: OctoDouble) -> str:
        packet = RawMessage(
            from_uid=self.from_uid,
            channel=ChannelRef(self.channel, ChannelType(self.type)),
            payload=json.dumps(self.payload, ensure_ascii=False).encode("utf-8", "replace"),
            flags=Flags.NO_PERSIST | Flags.SYNC_ONCE if self.command else Flags.RED_DOT,
        )
        return await octo.inject(_account(octo, self.uid), packet, copies=self.copies)


class Resend(Action):
    """Send every stored message without a RECVACK again."""

    async def do(self, octo: OctoDouble) -> int:
        return octo.resend_unacked()


class Sockets(Action):
    """Stop the socket server, so that connections break and new ones are refused; or start it again."""

    up: bool

    async def do(self, octo: OctoDouble) -> None:
        (octo.start_sockets if self.up else octo.stop_sockets)()


class Freeze(Action):
    """Freeze the socket server, so that nothing is read and nothing leaves; or let it go on."""

    on: bool

    async def do(self, octo: OctoDouble) -> None:
        (octo.freeze if self.on else octo.thaw)()


class ForgetTokens(Action):
    """Lose the socket server's tokens: every CONNECT is refused until the bot registers again."""

    async def do(self, octo: OctoDouble) -> None:
        octo.forget_tokens()


class RefuseLogins(Action):
    """Refuse every login with a CONNACK of this reason, as 1.x and v3 servers do; null for none any more."""

    reason: Annotated[int, Field(ge=0, le=255)] | None = None

    async def do(self, octo: OctoDouble) -> None:
        octo.login_refusal = self.reason


class WsUrl(Action):
    """Say what register names as the socket's address; empty for the right one."""

    url: str = ""

    async def do(self, octo: OctoDouble) -> None:
        octo.ws_url_override = self.url or None


class Errors(Action):
    """Choose which generation of the server errors look like."""

    envelope: Literal["S", "N"]

    async def do(self, octo: OctoDouble) -> None:
        octo.envelope = Envelope(self.envelope)


def _account(octo: OctoDouble, uid: str) -> str:
    """Return a uid that somebody has; a script that got it wrong would wait for nothing."""
    if all(one.uid != uid for one in octo.accounts()):
        raise ValueError(f"no account {uid!r}; there are {', '.join(one.uid for one in octo.accounts())}")
    return uid


ACTIONS: Final[dict[str, type[Action]]] = {
    "say": Say,
    "add-person": AddPerson,
    "add-bot": AddBot,
    "add-group": AddGroup,
    "add-thread": AddThread,
    "member": Member,
    "disband": Disband,
    "fail": Fail,
    "heal": Heal,
    "kick": Kick,
    "drop": Drop,
    "lose": Lose,
    "repeat": Repeat,
    "inject": Inject,
    "resend": Resend,
    "sockets": Sockets,
    "freeze": Freeze,
    "forget-tokens": ForgetTokens,
    "refuse-logins": RefuseLogins,
    "ws-url": WsUrl,
    "errors": Errors,
}
"""Every action by the name it has in an address."""
