"""The `.wkcap` file: a header and timed records of one bot's traffic, as msgpack objects (design §10)."""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, Literal

import msgpack
from msgspec import Struct
from pydantic import ValidationError

from openclaw_channel_octo.capture.header import BINARY_PROTOCOL, CaptureHeader
from openclaw_channel_octo.errors import CaptureError

__all__ = [
    "ApiCall",
    "Capture",
    "FromServer",
    "OtherRecord",
    "Record",
    "Side",
    "SocketControl",
    "SocketMessage",
    "ToServer",
    "pack",
    "read_capture",
    "write_capture",
]

MAX_OBJECT_BYTES: Final = 32 * 1024 * 1024
"""Largest msgpack object taken: a page of history whose messages are as large as the server stores them."""

MAX_DATA_BYTES: Final = 8 * 1024 * 1024
"""Largest byte string or text in an object; the largest packet seen has 1.4 MB (protocol §14)."""

MAX_ITEMS: Final = 100_000
"""Most elements of an array or entries of a map."""

_READ_SIZE: Final = 256 * 1024


class Side(Enum):
    """Who sent something."""

    CLIENT = auto()
    SERVER = auto()


class SocketMessage(Struct, frozen=True, kw_only=True):
    """A WebSocket message.

    Attributes:
        at_us: microseconds since the recording began.
        data: bytes of a binary message, text of a text message.
        side: who sent it.
    """

    at_us: int
    data: bytes | str
    side: ClassVar[Side]

    @property
    def stream_bytes(self) -> bytes:
        """The message as the byte stream holds it: text and binary carry no meaning (protocol §1.2)."""
        return self.data.encode() if isinstance(self.data, str) else self.data


class FromServer(SocketMessage, frozen=True, kw_only=True):
    """A WebSocket message the server sent."""

    side: ClassVar = Side.SERVER


class ToServer(SocketMessage, frozen=True, kw_only=True):
    """A WebSocket message the client sent; a CONNECT carries ``TOKEN`` in place of its token."""

    side: ClassVar = Side.CLIENT


class SocketControl(Struct, frozen=True, kw_only=True):
    """Something that happened to the socket itself.

    Attributes:
        at_us: microseconds since the recording began.
        event: ``open``, ``close`` or ``refused``.
        details: what else was noted; a close code is 1006 always and says nothing.
    """

    at_us: int
    event: str
    details: Mapping[str, Any]


class ApiCall(Struct, frozen=True, kw_only=True):
    """One HTTP request and its answer.

    Attributes:
        at_us: microseconds since the recording began.
        api: ``rest`` for the bot API, ``imapi`` for the IM server's own.
        method: HTTP method.
        path: path without query.
        query: query parameters.
        body: JSON body of the request, ``None`` without one.
        status: HTTP status of the answer.
        response: JSON body of the answer.
        direction: as recorded, normally ``out``.
    """

    at_us: int
    api: Literal["rest", "imapi"]
    method: str
    path: str
    query: Mapping[str, Any]
    body: Any
    status: int
    response: Any
    direction: str = "out"


class OtherRecord(Struct, frozen=True, kw_only=True):
    """A record of a stream this package does not know.

    Attributes:
        at_us: microseconds since the recording began.
        stream: the stream's name.
        direction: ``in``, ``out`` or ``ctl``.
        data: whatever was recorded.
    """

    at_us: int
    stream: str
    direction: str
    data: Any


_EXCHANGE: Final = ("method", "path", "query", "body", "status", "response")
"""What the file holds of an `ApiCall`, in its order."""

Record = FromServer | ToServer | SocketControl | ApiCall | OtherRecord


class Capture(Struct, frozen=True, kw_only=True):
    """A capture read into memory.

    Attributes:
        header: what was recorded.
        records: every whole record, in file order.
        torn: whether the file ends in the middle of a record, as after a crash of the recorder.
    """

    header: CaptureHeader
    records: tuple[Record, ...]
    torn: bool


def read_capture(path: Path, *, for_replay: bool = False) -> Capture:
    """Read a capture.

    Args:
        path: the file.
        for_replay: refuse recordings of other protocols than ``wukongim-binary``.

    Returns:
        The header and every whole record; a torn tail is not an error.

    Raises:
        CaptureError: the file cannot be read, is no capture, or holds something that is no record.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path.name, for_replay=for_replay)
    except OSError as error:
        raise CaptureError(f"cannot read {path.name}: {error.strerror or error}") from error


def _read(file: BinaryIO, name: str, *, for_replay: bool) -> Capture:
    objects = _Objects(file, name)
    items = iter(objects)
    first = next(items, None)
    if first is None:
        raise CaptureError(f"{name} is no capture: it ends before its header is complete")
    header = _header(first, name)
    if for_replay and header.protocol != BINARY_PROTOCOL:
        raise CaptureError(
            f"{name} is a recording of {header.protocol}; only {BINARY_PROTOCOL} can be replayed"
        )
    records = tuple(_record(item, f"{name}, record {number}") for number, item in enumerate(items, 1))
    return Capture(header=header, records=records, torn=objects.torn)


class _Objects:
    """The msgpack objects of a file, read under explicit limits; at their end ``torn`` tells of an unfinished one."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self.torn = False

    def __iter__(self) -> Iterator[Any]:
        unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=True,
            max_buffer_size=MAX_OBJECT_BYTES,
            max_bin_len=MAX_DATA_BYTES,
            max_str_len=MAX_DATA_BYTES,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
        fed = whole = count = 0
        while chunk := self._file.read(_READ_SIZE):
            if fed - whole > MAX_OBJECT_BYTES:
                raise CaptureError(_complaint(self._name, count))
            try:
                unpacker.feed(chunk)
                fed += len(chunk)
                for item in unpacker:
                    count += 1
                    whole = unpacker.tell()
                    yield item
            except (ValueError, msgpack.UnpackException) as error:
                raise CaptureError(_complaint(self._name, count)) from error
        self.torn = fed != whole


def _complaint(name: str, count: int) -> str:
    if count == 0:
        return f"{name} is no capture: it does not begin with a msgpack header"
    return f"{name} is damaged after record {count - 1}: no msgpack, or larger than any record"


def _header(item: Any, name: str) -> CaptureHeader:
    if not isinstance(item, dict) or item.get("format") != "wkcap":
        raise CaptureError(f"{name} is no capture: its header does not say wkcap")
    if item.get("version") != 1:
        raise CaptureError(
            f"{name} is a capture of version {item.get('version')!r:.20}; this package reads version 1"
        )
    try:
        return CaptureHeader.model_validate(item)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise CaptureError(f"the header of {name} is wrong at {place}: {wrong['msg']}") from None


def _record(item: Any, place: str) -> Record:
    match item:
        case [int() as at_us, "ws", "in" | "out" as direction, bytes() | str() as data]:
            return (FromServer if direction == "in" else ToServer)(at_us=at_us, data=data)
        case [int() as at_us, "ws", "ctl", {"event": str() as event}]:
            details = {name: value for name, value in item[3].items() if name != "event"}
            return SocketControl(at_us=at_us, event=event, details=details)
        case [int(), "rest" | "imapi", str(), {"method": str(), "path": str(), "status": int()}]:
            at_us, api, direction, data = item
            exchange = {name: data.get(name) for name in _EXCHANGE} | {"query": data.get("query") or {}}
            return ApiCall(at_us=at_us, api=api, direction=direction, **exchange)
        case [int(), "rest" | "imapi", str(), dict()]:
            raise CaptureError(f"{place}: an API call without method, path and status")
        case [int(), "ws" | "rest" | "imapi", *_]:
            raise CaptureError(f"{place}: not what its stream records")
        case [int() as at_us, str() as stream, str() as direction, data]:
            return OtherRecord(at_us=at_us, stream=stream, direction=direction, data=data)
        case _:
            raise CaptureError(f"{place}: not [time, stream, direction, data]")


def write_capture(file: BinaryIO, capture: Capture) -> None:
    """Write a capture as it is: take tokens out before (design §10). Raises `OSError` when the file cannot take it."""
    file.writelines(map(pack, (capture.header, *capture.records)))
    file.flush()


def pack(item: CaptureHeader | Record) -> bytes:
    """Return the bytes of a header, or of a record, to be written behind those before it."""
    data: bytes = msgpack.packb(item.model_dump() if isinstance(item, CaptureHeader) else _row(item))
    return data


def _row(record: Record) -> list[Any]:
    match record:
        case FromServer(at_us=at_us, data=data):
            return [at_us, "ws", "in", data]
        case ToServer(at_us=at_us, data=data):
            return [at_us, "ws", "out", data]
        case SocketControl(at_us=at_us, event=event, details=details):
            return [at_us, "ws", "ctl", {"event": event, **details}]
        case ApiCall():
            exchange = {name: getattr(record, name) for name in _EXCHANGE} | {"query": dict(record.query)}
            return [record.at_us, record.api, record.direction, exchange]
        case OtherRecord(at_us=at_us, stream=stream, direction=direction, data=data):
            return [at_us, stream, direction, data]
