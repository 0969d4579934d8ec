"""A capture told line by line, for people and for programs."""

import json
from collections.abc import Iterator
from typing import Any

from openclaw_channel_octo.capture.format import ApiCall, Capture, SocketControl, SocketMessage
from openclaw_channel_octo.capture.socket import NO_KEY, Seen, SocketReader
from openclaw_channel_octo.message.payload import parse_payload
from openclaw_channel_octo.message.render import render
from openclaw_channel_octo.wire.packets import Connack, Connect, Disconnect, Recv, Recvack, Send

__all__ = ["Line", "timeline"]

Line = dict[str, Any]
"""One thing that happened, fit for JSON: ``at_s``, ``from`` (``client`` or ``server``), ``what`` (``open``, ``RECV``,
``POST /v1/bot/sendMessage`` …) and ``detail``."""


def timeline(capture: Capture) -> Iterator[Line]:
    """Yield what a capture holds, in order; messages are decrypted with the keys in it."""
    keys = iter(capture.header.client_private_keys)
    reader = SocketReader(NO_KEY)
    for record in capture.records:
        if isinstance(record, SocketControl) and record.event == "open":
            reader = SocketReader(next(keys, NO_KEY))
        at_s = record.at_us / 1_000_000
        match record:
            case SocketControl(event=event, details=details):
                detail = json.dumps(dict(details), ensure_ascii=False, default=str) if details else ""
                yield _line(at_s, "", event, detail)
            case SocketMessage():
                side = record.side.name.lower()
                for seen in reader.read(record.side, record.stream_bytes):
                    yield _line(at_s, side, type(seen.packet).__name__.upper(), _packet(seen))
            case ApiCall():
                asked = json.dumps(record.body or dict(record.query) or None, ensure_ascii=False, default=str)
                yield _line(at_s, "client", f"{record.method} {record.path}", f"→ {record.status} {asked}")
            case _:
                yield _line(at_s, "", record.stream, "")


def _line(at_s: float, side: str, what: str, detail: str) -> Line:
    return {"at_s": at_s, "from": side, "what": what, "detail": detail}


def _packet(seen: Seen) -> str:
    match seen.packet:
        case Connect() as packet:
            return f"uid={packet.uid} device={packet.device_id} flag={packet.device_flag} version={packet.version}"
        case Connack() as packet:
            return f"reason={packet.reason_code} version={packet.server_version} difference={packet.time_diff} ms"
        case Recv() as packet:
            where = f"{packet.channel_type}:{packet.channel_id}"
            return f"#{packet.message_seq} {packet.message_id} {packet.from_uid or '-'} in {where}: {_said(seen)}"
        case Send() as packet:
            return f"to {packet.channel_type}:{packet.channel_id}: {_said(seen)}"
        case Recvack() as packet:
            return f"#{packet.message_seq} {packet.message_id}"
        case Disconnect() as packet:
            return f"reason={packet.reason_code} {packet.reason}"
        case _:
            return ""


def _said(seen: Seen) -> str:
    if seen.plain is None:
        return "[cannot be decrypted]"
    said = render(parse_payload(seen.plain)).text
    return said if seen.holds else f"[its key is wrong] {said}"
