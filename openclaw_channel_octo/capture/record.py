"""Recording what a bot sends and receives, while it runs: one file for each connection (design §10)."""

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.capture.clean import Cleaner, SocketCleaner
from openclaw_channel_octo.capture.format import ApiCall, FromServer, Record, SocketControl, ToServer, pack
from openclaw_channel_octo.capture.header import AccountInfo, CaptureHeader, ClientInfo, ServerInfo
from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.rest.answers import Exchange
from openclaw_channel_octo.runtime.connection.transport import Transport
from openclaw_channel_octo.wire.packets import Connect

__all__ = ["RecordLimits", "Recorder"]

_log = logging.getLogger(__name__)

WAITING_BYTES = 16 * 1024 * 1024
"""Bytes that may wait for a slow disk before the recording ends; the bot never waits for it."""

EARLY_CALLS = 100
"""REST calls kept until a connection opens, the newest."""

_REGISTER = "/v1/bot/register"


class RecordLimits(Struct, frozen=True, kw_only=True):
    """When a recording ends by itself; the bot goes on.

    Attributes:
        max_bytes: bytes of all files of one bot together.
        max_s: seconds from the start.
    """

    max_bytes: int = 100 * 1024 * 1024
    max_s: float = 24 * 3600.0


class Recorder:
    """Records one bot. It fulfils `openclaw_channel_octo.runtime.connection.transport.Tap`.

    Nothing that goes wrong here reaches the bot: a recording that cannot go on ends with a warning.

    Args:
        folder: where files go; made if it is not there, for this user alone.
        account: the bot's account id, part of the file names.
        clock: time.
        limits: when it ends by itself.
        secrets: values that must not reach the disk, besides what looks like a token.
        mask_text: see `Cleaner`.

    Raises:
        CaptureError: the folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        account: str,
        clock: Clock,
        *,
        limits: RecordLimits | None = None,
        secrets: tuple[SecretStr, ...] = (),
        mask_text: bool = False,
    ) -> None:
        self._folder = folder
        self._account = account
        self._clock = clock
        self._limits = limits or RecordLimits()
        self._secrets = secrets
        self._mask = mask_text
        self._registered: Mapping[str, Any] = {}
        self._early: deque[Exchange] = deque(maxlen=EARLY_CALLS)
        self._live: _Recorded | None = None
        self._number = 0
        self._written = 0
        self._began = clock.now()
        self._over = ""
        self._disk = _Disk(self._stop)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CaptureError(f"cannot record to {folder}: {error.strerror or error}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CaptureError(f"cannot record to {folder}: it is not writable")

    def socket(self, transport: Transport, private_key: bytes) -> Transport:
        """Return a transport that carries the same bytes and records them in a file of its own."""
        if not self._within_limits():
            return transport
        name = str(self._registered.get("name", ""))
        cleaner = Cleaner(*self._secrets, mask_text=self._mask, own_name=name)
        self._live = _Recorded(transport, self, cleaner, private_key, self._clock.now())
        return self._live

    def call(self, exchange: Exchange) -> None:
        """Take note of one REST call and its answer."""
        if exchange.path.endswith(_REGISTER) and isinstance(answer := _json(exchange.response), Mapping):
            self._registered = answer
        live = self._live
        if live is None or not live.begun:
            self._early.append(exchange)
        elif self._within_limits():
            self._write(_api_call(live.cleaner, exchange, self._at_us(live)))

    async def close(self) -> None:
        """End the recording; what was recorded is on the disk when this returns."""
        self._over = self._over or "closed"
        await self._disk.close()

    def carried(self, connection: "_Recorded", data: bytes, kind: type[FromServer | ToServer]) -> None:
        """Take note of bytes a transport received or sent."""
        if connection is not self._live or not self._within_limits():
            return
        if clean := connection.socket.clean(kind.side, data):
            if not connection.begun and (connect := connection.socket.connect) is not None:
                self._begin(connection, connect)
            self._write(kind(at_us=self._at_us(connection), data=clean))

    def ended(self, connection: "_Recorded") -> None:
        """Take note that a transport is closed: its file is complete."""
        if connection is not self._live:
            return
        if connection.begun and not self._over:
            details = {"code": 1006}  # whatever the real one was (protocol §14)
            self._write(SocketControl(at_us=self._at_us(connection), event="close", details=details))
        self._live = None

    def _begin(self, connection: "_Recorded", connect: Connect) -> None:
        """Begin a connection's file, now that its CONNECT tells who connects."""
        self._number += 1
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        path = self._folder / f"{self._account}-{now:%Y%m%dT%H%M%SZ}-{self._number}.wkcap"
        told = {name: str(self._registered.get(name, "")) for name in ("robot_id", "name", "owner_uid")}
        header = CaptureHeader(
            scenario=f"{self._account}-recorded",
            description=f"bot {self._account}, recorded while it ran{', texts masked' if self._mask else ''}",
            recorded_at=now.isoformat(timespec="seconds"),
            server=ServerInfo(name="Octo"),
            proto_version=connect.version,
            client=ClientInfo(uid=connect.uid, device_flag=connect.device_flag, device_id=connect.device_id),
            client_private_keys=(connection.private_key,),
            account=AccountInfo(**told),
        )
        self._written += self._disk.write(pack(header), path)
        connection.begun = True
        for exchange in self._early:
            self._write(_api_call(connection.cleaner, exchange, 0))
        self._early.clear()
        self._write(SocketControl(at_us=self._at_us(connection), event="open", details={}))

    def _write(self, record: Record) -> None:
        data = pack(record)
        if self._written + len(data) > self._limits.max_bytes:
            self._stop(f"{self._limits.max_bytes / 1_048_576:.0f} MB are full")
        if not self._over:
            self._written += self._disk.write(data)

    def _at_us(self, connection: "_Recorded") -> int:
        return int((self._clock.now() - connection.began) * 1_000_000)

    def _within_limits(self) -> bool:
        if self._over:
            return False
        if self._clock.now() - self._began >= self._limits.max_s:
            self._stop(f"{self._limits.max_s / 60:.0f} minutes are over")
        return not self._over

    def _stop(self, why: str) -> None:
        if not self._over:
            self._over = why
            _log.warning("[octo] [%s] the recording has ended: %s; the bot goes on", self._account, why)


class _Recorded:
    """A transport that tells a recorder what passes."""

    def __init__(
        self, transport: Transport, recorder: Recorder, cleaner: Cleaner, private_key: bytes, began: float
    ) -> None:
        self._transport = transport
        self._recorder = recorder
        self.cleaner = cleaner
        self.socket = SocketCleaner(cleaner, private_key)
        self.private_key = private_key
        self.began = began
        self.begun = False

    async def send(self, data: bytes) -> None:
        self._recorder.carried(self, data, ToServer)
        await self._transport.send(data)

    async def receive(self) -> bytes:
        data = await self._transport.receive()
        self._recorder.carried(self, data, FromServer)
        return data

    async def close(self) -> None:
        self._recorder.ended(self)
        await self._transport.close()


class _Disk:
    """Files written on a thread of their own, in order; ``failed`` is told, once, why no more can be written."""

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="octo-record")
        self._file: BinaryIO | None = None
        self._waiting = 0

    def write(self, data: bytes, path: Path | None = None) -> int:
        """Write behind what was written, or begin another file at ``path``; return the bytes this adds."""
        size = len(data)
        self._waiting += size
        if self._waiting > WAITING_BYTES:
            self._failed("the disk is too slow for it")
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, data, path)
        writing.add_done_callback(partial(self._written, size))
        return size

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _written(self, size: int, writing: "asyncio.Future[None]") -> None:
        self._waiting -= size
        if not writing.cancelled() and (error := writing.exception()) is not None:
            self._failed(f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}")

    def _write(self, data: bytes, path: Path | None) -> None:
        if path is not None:
            self._close()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        if self._file is not None:
            self._file.write(data)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _api_call(cleaner: Cleaner, exchange: Exchange, at_us: int) -> ApiCall:
    query = {name: cleaner.text(value) for name, value in exchange.query.items()}
    return ApiCall(
        at_us=at_us,
        api="rest",
        method=exchange.method,
        path=exchange.path,
        query=query,
        body=cleaner.json(_json(exchange.body)),
        status=exchange.status,
        response=cleaner.json(_json(exchange.response)),
    )


def _json(data: bytes) -> Any:
    """Return what an HTTP body says; a page of a proxy as a text."""
    try:
        return json.loads(data) if data else None
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")
