"""The client's side of one connection to a gateway, without a socket or a clock (openclaw-host §4.1, §4.2)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct

from openclaw_channel_octo.host.fields import mapping, number, text
from openclaw_channel_octo.host.gateway.frames import Event, Fault, Response, parse_frame
from openclaw_channel_octo.host.gateway.identity import DeviceIdentity
from openclaw_channel_octo.values import SecretStruct

__all__ = ["Gap", "GatewayProtocol", "Happening", "Hello", "Login", "release_of"]


class Login(SecretStruct, frozen=True, kw_only=True):
    """What is shown to get in.

    Attributes:
        scopes: the scopes asked for (openclaw-host §4.3).
        token: the gateway's shared token, empty for none.
        password: its password, empty for none.
        device_token: the token it gave this device, empty for none.
        caps: what this client can do, such as ``approvals``.
        version: this client's version, for the gateway's log.
    """

    HIDDEN: ClassVar = frozenset({"token", "password", "device_token"})

    scopes: tuple[str, ...]
    token: str = ""
    password: str = ""
    device_token: str = ""
    caps: tuple[str, ...] = ()
    version: str = "0"


class Hello(SecretStruct, frozen=True, kw_only=True):
    """What the gateway says of itself when it lets us in.

    Attributes:
        version: its release, such as ``2026.9.6``.
        uptime_ms: how long it has run.
        methods: what can be asked of it.
        scopes: the scopes it granted.
        device_token: a token for this device, empty where it gave none.
        default_agent: the agent that answers where no other is chosen.
    """

    HIDDEN: ClassVar = frozenset({"device_token"})

    version: str
    uptime_ms: int
    methods: frozenset[str]
    scopes: frozenset[str]
    device_token: str
    default_agent: str


class Gap(Struct, frozen=True):
    """Events were lost before the next one: what was built from events is stale."""

    missed: int


Happening = Hello | Fault | Gap | Response | Event
"""What a message means; a fault is that of the connection itself: the gateway does not let us in, and closes it."""


class GatewayProtocol:
    """One connection: feed it messages, send what it has to send.

    Args:
        login: what is shown to get in.
        identity: the device that signs, ``None`` to connect without one.
        new_id: makes request ids.
    """

    def __init__(self, login: Login, identity: DeviceIdentity | None, new_id: Callable[[], str]) -> None:
        self._login = login
        self._identity = identity
        self._new_id = new_id
        self._outgoing: list[str] = []
        self._connect_id: str | None = None
        self._last_seq: int | None = None
        self.answered = False
        """Whether the gateway has let us in, or refused to."""

    def receive(self, message: str | bytes) -> Sequence[Happening]:
        """Take one message and return what it means, in order.

        Raises:
            ValueError: it is no frame of this protocol.
        """
        frame = parse_frame(message)
        match frame:
            case None:
                return ()
            case Event(name="connect.challenge") if self._connect_id is None:
                self._connect(frame.payload)
                return ()
            case Response() if frame.id == self._connect_id and not self.answered:
                self.answered = True
                return (frame.fault or _hello(frame.payload),)
            case Event():
                return (*self._missed(frame), frame)
            case _:
                return (frame,)

    def request(self, method: str, params: Mapping[str, Any]) -> str:
        """Queue a request and return its id."""
        request_id = self._new_id()
        self._outgoing.append(
            json.dumps({"type": "req", "id": request_id, "method": method, "params": params})
        )
        return request_id

    def to_send(self) -> Sequence[str]:
        """Return the messages to send now, each exactly once."""
        ready, self._outgoing = self._outgoing, []
        return ready

    def _connect(self, challenge: Mapping[str, Any]) -> None:
        login = self._login
        secrets = {"token": login.token, "password": login.password, "deviceToken": login.device_token}
        client = {
            "id": "gateway-client",
            "version": login.version,
            "platform": "linux",
            "mode": "backend",
        }
        params: dict[str, Any] = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": client,
            "role": "operator",
            "scopes": list(login.scopes),
            "caps": list(login.caps),
            "auth": {kind: secret for kind, secret in secrets.items() if secret},
        }
        if self._identity is not None:
            params["device"] = self._identity.sign(
                params, signed_at=number(challenge.get("ts")) or 0, nonce=text(challenge.get("nonce"))
            )
        self._connect_id = self.request("connect", params)

    def _missed(self, event: Event) -> Sequence[Gap]:
        """Return a gap where numbers of this connection's events are missing before ``event``."""
        if event.seq is None:
            return ()
        last, self._last_seq = self._last_seq, event.seq
        missed = 0 if last is None else event.seq - last - 1
        return (Gap(missed),) if missed > 0 else ()


def _hello(payload: Mapping[str, Any]) -> Hello:
    server, auth = mapping(payload.get("server")), mapping(payload.get("auth"))
    snapshot = mapping(payload.get("snapshot"))
    return Hello(
        version=text(server.get("version")),
        uptime_ms=number(snapshot.get("uptimeMs")) or 0,
        methods=_names(mapping(payload.get("features")).get("methods")),
        scopes=_names(auth.get("scopes")),
        device_token=text(auth.get("deviceToken")),
        default_agent=text(mapping(snapshot.get("sessionDefaults")).get("defaultAgentId")),
    )


def _names(value: object) -> frozenset[str]:
    return (
        frozenset(name for name in value if isinstance(name, str)) if isinstance(value, list) else frozenset()
    )


def release_of(version: str) -> tuple[int, ...]:
    """Return a release such as ``2026.9.6-1`` as numbers that compare: ``(2026, 9, 6)``; empty where it is none."""
    numbers = version.partition("-")[0].split(".")
    return tuple(int(number) for number in numbers) if all(number.isdecimal() for number in numbers) else ()
