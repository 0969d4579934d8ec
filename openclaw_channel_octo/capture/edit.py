"""Captures made smaller, or fit to be shown to others; what comes out replays like what went in."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from openclaw_channel_octo.capture.clean import Cleaner, SocketCleaner
from openclaw_channel_octo.capture.format import (
    ApiCall,
    Capture,
    OtherRecord,
    Record,
    Side,
    SocketControl,
    SocketMessage,
)
from openclaw_channel_octo.capture.socket import NO_KEY, SocketReader
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.wire.packets import Connack, Connect

__all__ = ["cut", "redact"]


def cut(capture: Capture, start_s: float, end_s: float) -> Capture:
    """Return what happened in a span of time, with the handshake of the connection that was up when it began.

    Args:
        capture: the whole.
        start_s: seconds since the recording began.
        end_s: likewise; what happened then is not in it any more.

    Raises:
        CaptureError: nothing was recorded in that span, or it begins in the middle of a packet.
    """
    start_us, end_us = int(start_s * 1_000_000), end_s * 1_000_000
    before = [record for record in capture.records if record.at_us < start_us]
    inside = [record for record in capture.records if start_us <= record.at_us < end_us]
    if not inside:
        raise CaptureError(f"nothing was recorded from {start_s:g} s to {end_s:g} s")
    live = _live(before)
    kept = [*live, *inside]
    keys = capture.header.client_private_keys[_opens(before) - bool(live) :]
    header = capture.header.model_copy(update={"client_private_keys": keys[: _opens(kept)]})
    shifted = [replace(record, at_us=max(0, record.at_us - start_us)) for record in kept]
    return Capture(header=header, records=tuple(shifted), torn=False)


def redact(capture: Capture, cleaner: Cleaner) -> Capture:
    """Return a capture without secrets, with masked texts where the cleaner masks.

    Args:
        capture: any capture of the binary protocol.
        cleaner: says what has to go.

    Raises:
        CaptureError: a record of a kind nobody here can clean.
    """
    header = capture.header
    labels = {
        number: label.model_copy(update={"text": cleaner.json(label.text), "why": cleaner.content(label.why)})
        for number, label in header.labels.items()
    }
    said = {"notes": cleaner.content(header.notes), "description": cleaner.content(header.description)}
    clean = header.model_copy(update={"labels": labels, **said})
    return Capture(header=clean, records=tuple(_clean_records(capture, cleaner)), torn=capture.torn)


def _clean_records(capture: Capture, cleaner: Cleaner) -> Iterator[Record]:
    keys = iter(capture.header.client_private_keys)
    socket = SocketCleaner(cleaner, NO_KEY)
    for record in capture.records:
        if isinstance(record, SocketControl) and record.event == "open":
            socket = SocketCleaner(cleaner, next(keys, NO_KEY))
        if not isinstance(record, SocketMessage):
            yield _clean_other(record, cleaner)
        elif clean := socket.clean(record.side, record.stream_bytes):
            yield replace(record, data=clean)


def _clean_other(record: Record, cleaner: Cleaner) -> Record:
    match record:
        case SocketControl():
            return replace(record, details=cleaner.json(record.details))
        case ApiCall():
            query, body = cleaner.json(record.query), cleaner.json(record.body)
            return replace(record, query=query, body=body, response=cleaner.json(record.response))
        case OtherRecord(stream=stream):
            raise CaptureError(f'records of "{stream}" cannot be cleaned: nobody here knows what is in them')
    return record


def _opens(records: Iterable[Record]) -> int:
    return sum(isinstance(record, SocketControl) and record.event == "open" for record in records)


def _live(before: Iterable[Record]) -> list[Record]:
    """Return how the connection came up that is open behind ``before``, empty where none is."""
    kept: list[Record] = []
    reader = SocketReader(NO_KEY)
    for record in before:
        if isinstance(record, SocketControl):
            kept, reader = [record] if record.event == "open" else [], SocketReader(NO_KEY)
        elif kept and isinstance(record, SocketMessage):
            packets = reader.read(record.side, record.stream_bytes)
            data = b"".join(seen.raw for seen in packets if isinstance(seen.packet, Connect | Connack))
            if data:
                kept.append(replace(record, data=data))
    if any(map(reader.pending, Side)):
        raise CaptureError("the span begins in the middle of a packet; begin a little earlier or later")
    return kept
