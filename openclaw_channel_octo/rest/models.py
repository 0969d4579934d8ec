"""What the bot API answers, read tolerantly: numbers or strings for ids, null for nothing, 0/1 for flags.

Over 350 lines: a model for each answer of one API.
"""

import base64
import binascii
import json
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    FailFast,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from yarl import URL

from openclaw_channel_octo.rest.fields import Flag, Id, MessageId, Model, Number, Text, listed

__all__ = [
    "ACKNOWLEDGED",
    "GROUPS",
    "GROUP_INFO",
    "GROUP_MEMBERS",
    "HISTORY",
    "MENTION_PREFERENCE",
    "REGISTRATION",
    "SENT_MESSAGE",
    "TARGETS",
    "THREADS",
    "UPLOAD_TICKET",
    "USER_INFO",
    "Candidate",
    "Group",
    "GroupInfo",
    "GroupMember",
    "History",
    "HistoryMessage",
    "MentionPreference",
    "NamedTargets",
    "Registration",
    "SentMessage",
    "ThreadInfo",
    "UploadTicket",
    "UserInfo",
]


def _member_rows(value: Any) -> Any:
    """Accept the bare list of today and the ``{"members": […]}`` of older servers (octo-bot-api §2.7)."""
    return listed(value.get("members") if isinstance(value, dict) else value)


def _thread_rows(value: Any) -> Any:
    """Accept the bare list and the ``{"list": […]}`` of a paged answer (octo-bot-api §2.8)."""
    return listed(value.get("list") if isinstance(value, dict) else value)


def _payload_bytes(value: Any) -> Any:
    """Return the payload's bytes; what is no base64 comes through as it is, for the reader to judge."""
    if value is None:
        return b""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode("utf-8", "replace")


_LONGEST_NAME = 256
"""Characters of a bot's own id and name; a server's columns take fewer."""

_LONGEST_URL = 2_048


class Registration(Model):
    """A bot's credentials for the IM server (octo-bot-api §2.1).

    Attributes:
        robot_id: the bot's uid.
        name: display name.
        im_token: the token of the socket; on today's servers the bot token itself.
        ws_url: where the server believes its socket is, possibly empty or unreachable from here.
        api_url: the server's configured address; the operator's own is the one to keep using.
        owner_uid: who made the bot.
        owner_channel_id: the direct conversation with the owner.
    """

    robot_id: Annotated[Id, Field(max_length=_LONGEST_NAME)]
    name: Annotated[Text, Field(max_length=_LONGEST_NAME)] = ""
    im_token: Annotated[SecretStr, Field(min_length=1, max_length=_LONGEST_URL)]
    ws_url: Annotated[Text, Field(max_length=_LONGEST_URL, repr=False)] = ""
    api_url: Annotated[Text, Field(max_length=_LONGEST_URL)] = ""
    owner_uid: Annotated[Text, Field(max_length=_LONGEST_NAME)] = ""
    owner_channel_id: Annotated[Text, Field(max_length=_LONGEST_NAME)] = ""


class SentMessage(Model):
    """An accepted message (octo-bot-api §4.2).

    Attributes:
        message_id: decimal digits.
        client_msg_no: made by the server; the same one comes back in the echo and in history.
        message_seq: 0 on servers of the 2.2 line, which do not tell it here.
    """

    message_id: MessageId
    client_msg_no: Text = ""
    message_seq: Number = 0


class HistoryMessage(Model):
    """A stored message, as it was sent: edits and recalls are not applied (octo-bot-api §2.4).

    Attributes:
        message_id: decimal digits; empty for a row that cannot be read, of which only the numbers may be known.
        message_seq: position in its channel, from 1.
        client_msg_no: the server's or the sender's key of the message.
        from_uid: the sender, empty for the system.
        channel_id: in a direct conversation the other side as the row's sender sees it.
        channel_type: a `ChannelType` or another integer of the protocol.
        timestamp: Unix seconds.
        payload: the payload's bytes, usually UTF-8 JSON; not shown by ``repr``.
        no_persist: header flag, not stored.
        red_dot: header flag, counts as unread.
        sync_once: header flag, a command.
        setting: the packet's setting byte.
    """

    message_id: MessageId
    message_seq: Number = 0
    client_msg_no: Text = ""
    from_uid: Text = ""
    channel_id: Text = ""
    channel_type: Number = 0
    timestamp: Number = 0
    payload: Annotated[bytes, BeforeValidator(_payload_bytes)] = Field(default=b"", repr=False)
    no_persist: Flag = False
    red_dot: Flag = False
    sync_once: Flag = False
    setting: Number = 0

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, row: Any) -> Any:
        """Lift the header's flags into the row and prefer the id that came as a string."""
        if not isinstance(row, dict):
            return row
        header = row.get("header")
        flat = {**row, **header} if isinstance(header, dict) else dict(row)
        flat["message_id"] = row.get("message_idstr") or row.get("message_id")
        return flat


_MOST_UNREADABLE = 200
"""Rows of a page that may be unreadable: as many as can be asked for."""


def _history_row(row: Any) -> HistoryMessage:
    """Return a row, or what stands in the place of one that cannot be read: it must not cost those beside it."""
    try:
        return HistoryMessage.model_validate(row)
    except ValidationError:
        seq = row.get("message_seq") if isinstance(row, dict) else None
        number = seq if isinstance(seq, int) and 0 < seq < 2**63 else 0
        return HistoryMessage.model_construct(message_id="", message_seq=number)


def _history_rows(value: Any) -> Any:
    if not isinstance(value, list):
        return listed(value)
    rows, unreadable = [], 0
    for row in value:
        rows.append(_history_row(row))
        unreadable += not rows[-1].message_id
        if unreadable > _MOST_UNREADABLE:
            raise ValueError(f"more than {_MOST_UNREADABLE} rows cannot be read")
    return rows


class History(Model):
    """A page of history, ascending by ``message_seq`` (octo-bot-api §2.4)."""

    messages: Annotated[list[HistoryMessage], FailFast(), BeforeValidator(_history_rows)]


class Group(Model):
    """A group the bot is in, disbanded ones included (octo-bot-api §2.7)."""

    group_no: Id
    name: Text = ""
    space_id: Text = ""


class GroupInfo(Model):
    """A group's own data (octo-bot-api §2.7).

    Attributes:
        group_no: the group's number, which is its channel id.
        name: display name.
        notice: the group's notice.
        creator: uid of who made it.
        status: 0 disabled, 1 normal, 2 disbanded.
    """

    group_no: Id
    name: Text = ""
    notice: Text = ""
    creator: Text = ""
    status: Number = 1


class GroupMember(Model):
    """A member of a group (octo-bot-api §2.7).

    Attributes:
        uid: the person's or bot's id.
        name: display name, chosen by its owner: untrusted text.
        role: 0 member, 1 owner, 2 manager.
        robot: whether it is a bot.
        owner_uid: for bots, who made it.
        owner_name: for bots, that person's name.
    """

    uid: Id
    name: Text = ""
    role: Number = 0
    robot: Flag = False
    owner_uid: Text = ""
    owner_name: Text = ""


class UserInfo(Model):
    """A person's or bot's profile (octo-bot-api §2.9).

    Attributes:
        uid: the id.
        name: display name: untrusted text.
        avatar: an address as the server wrote it, not always one that works.
    """

    uid: Id
    name: Text = ""
    avatar: Text = ""


class GroupNotes(Model):
    """What a group or thread has written down for its bots: GROUP.md, THREAD.md (octo-bot-api §2.7, §2.8).

    Attributes:
        content: Markdown that members wrote: untrusted text, 10,240 bytes as a rule.
        version: 0 where nothing was ever written.
    """

    content: Text = ""
    version: Number = 0


class ThreadInfo(Model):
    """A thread of a group (octo-bot-api §2.8).

    Attributes:
        channel_id: its id as a conversation, ``group____short``.
        name: display name, chosen by its creator: untrusted text.
        creator_uid: who made it.
        status: 1 active, 2 archived, 3 deleted.
    """

    channel_id: Id
    name: Text = ""
    creator_uid: Text = ""
    status: Number = 1


class Candidate(Model):
    """A group or thread that a name may mean (octo-bot-api §2.7).

    Attributes:
        kind: ``group`` or ``thread``.
        channel_id: its id as a conversation.
        name: display name: untrusted text.
        parent_name: of a thread, its group's name: untrusted text.
    """

    kind: Text = ""
    channel_id: Id
    name: Text = ""
    parent_name: Text = ""


class NamedTargets(Model):
    """What a name may mean, exact names first (octo-bot-api §2.7).

    Attributes:
        candidates: those the server listed.
        total: how many there are.
        truncated: whether there are more than it would count.
    """

    candidates: Annotated[tuple[Candidate, ...], FailFast(), BeforeValidator(listed)] = ()
    total: Number = 0
    truncated: Flag = False


_Header = Annotated[Text, Field(pattern=r"^[^\r\n\x00]*$")]


def _address(value: str) -> str:
    _ = URL(value, encoded=True).port  # raises ValueError for one nobody can have
    return value


_UploadUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+[/?]"), AfterValidator(_address)]


class UploadTicket(Model):
    """Leave to put one file into the deployment's storage (octo-bot-api §2.10).

    Attributes:
        upload_url: where to, with a signature: a secret for as long as it lasts.
        download_url: where people find the file afterwards.
        content_type: header of the upload, signed.
        content_disposition: likewise.
        expires_in: seconds the signature lasts, 0 where the server does not say.
    """

    upload_url: Annotated[_UploadUrl, Field(alias="uploadUrl", repr=False)]
    download_url: Annotated[str, Field(alias="downloadUrl", min_length=1)]
    content_type: Annotated[_Header, Field(alias="contentType")] = ""
    content_disposition: Annotated[_Header, Field(alias="contentDisposition")] = ""
    expires_in: Annotated[Number, Field(alias="expiresIn")] = 0


class MentionPreference(Model):
    """Whether a group lets this bot answer people without being mentioned (octo-bot-api §2.7).

    Attributes:
        effective: the only field that decides; missing means no.
    """

    effective: Flag = False


ACKNOWLEDGED: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
GROUPS: TypeAdapter[list[Group]] = TypeAdapter(Annotated[list[Group], FailFast(), BeforeValidator(listed)])
GROUP_INFO: TypeAdapter[GroupInfo] = TypeAdapter(GroupInfo)
GROUP_MEMBERS: TypeAdapter[list[GroupMember]] = TypeAdapter(
    Annotated[list[GroupMember], FailFast(), BeforeValidator(_member_rows)]
)
HISTORY: TypeAdapter[History] = TypeAdapter(History)
MENTION_PREFERENCE: TypeAdapter[MentionPreference] = TypeAdapter(MentionPreference)
NOTES: TypeAdapter[GroupNotes] = TypeAdapter(GroupNotes)
REGISTRATION: TypeAdapter[Registration] = TypeAdapter(Registration)
SENT_MESSAGE: TypeAdapter[SentMessage] = TypeAdapter(SentMessage)
TARGETS: TypeAdapter[NamedTargets] = TypeAdapter(NamedTargets)
THREADS: TypeAdapter[list[ThreadInfo]] = TypeAdapter(
    Annotated[list[ThreadInfo], FailFast(), BeforeValidator(_thread_rows)]
)
UPLOAD_TICKET: TypeAdapter[UploadTicket] = TypeAdapter(UploadTicket)
USER_INFO: TypeAdapter[UserInfo] = TypeAdapter(UserInfo)
