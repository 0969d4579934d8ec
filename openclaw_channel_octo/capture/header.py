"""The header of a `.wkcap` capture: what was recorded, and what the people in it meant (design §10)."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["BINARY_PROTOCOL", "AccountInfo", "CaptureHeader", "ClientInfo", "Label", "ServerInfo"]

BINARY_PROTOCOL: Final = "wukongim-binary"
"""The only protocol whose sockets can be replayed."""

_KEY_BYTES: Final = 32


class _HeaderPart(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


class ServerInfo(_HeaderPart):
    """What was recorded.

    Attributes:
        name: the server's name.
        version: its version, as it calls itself.
    """

    name: str = ""
    version: str = ""


class ClientInfo(_HeaderPart):
    """Who was connected.

    Attributes:
        uid: the account.
        device_flag: 0 app, 1 web, 2 desktop.
        device_id: the installation's identifier.
    """

    uid: str = ""
    device_flag: int = 0
    device_id: str = ""


class AccountInfo(_HeaderPart):
    """What registering the bot would have answered.

    Attributes:
        robot_id: the bot's uid.
        name: its display name.
        owner_uid: the person it belongs to.
        space_id: the space stamped into its direct messages.
    """

    robot_id: str = ""
    name: str = ""
    owner_uid: str = ""
    space_id: str = ""


class Label(_HeaderPart):
    """What the sender of a message meant.

    Attributes:
        addressed: whether the message was meant for the bot; ``None`` is undecided, anything goes.
        text: the payload's content: text, blocks of rich text, ``None`` where there is none.
        why: why the sender counts it so.
    """

    addressed: bool | None = None
    text: Any = None
    why: str = ""


class CaptureHeader(_HeaderPart):
    """The first object of a capture. Unknown keys are kept.

    Attributes:
        format: always ``wkcap``.
        version: always 1.
        scenario: short name.
        description: what happens in it.
        recorded_at: ISO 8601 time of the recording.
        server: what was recorded.
        protocol: ``wukongim-binary``, ``wukongim-jsonrpc`` or ``openclaw-gateway``.
        proto_version: the protocol version the client announced.
        client: who was connected.
        client_private_keys: the throw-away X25519 key of each connection, 32 bytes, in order of ``open``.
        account: what registering the bot would have answered.
        notes: remarks of the recorder.
        labels: by clientMsgNo, what the people who wrote the messages meant.
    """

    format: Literal["wkcap"] = "wkcap"
    version: Literal[1] = 1
    scenario: str = ""
    description: str = ""
    recorded_at: str = ""
    server: ServerInfo = ServerInfo()
    protocol: str = BINARY_PROTOCOL
    proto_version: int | None = None
    client: ClientInfo = ClientInfo()
    client_private_keys: tuple[bytes, ...] = Field(default=(), repr=False)
    account: AccountInfo = AccountInfo()
    notes: str = ""
    labels: dict[str, Label] = Field(default_factory=dict)

    @field_validator("client_private_keys")
    @classmethod
    def _whole_keys(cls, keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if any(len(key) != _KEY_BYTES for key in keys):
            raise ValueError(f"a private key has to be {_KEY_BYTES} bytes")
        return keys
