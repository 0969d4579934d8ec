"""The control socket: a running process answers tools of the same user (docs/control.md).

One JSON object a line, each way. A request is ``{"v": 1, "call": …, "params": {…}, "id": …}``; its answer has the same
``id`` and either ``"ok": true`` and ``result``, or ``"ok": false`` and ``error``.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from openclaw_channel_octo.clock import Clock, within
from openclaw_channel_octo.errors import ControlError, OctoError
from openclaw_channel_octo.host.files import private_folder
from openclaw_channel_octo.host.locks import OwnerLock
from openclaw_channel_octo.runtime.connection.file_lease import own_folder
from openclaw_channel_octo.runtime.connection.lease import lease_folder

__all__ = ["LINE_BYTES", "VERSION", "ControlServer", "Handler", "socket_path"]

_log = logging.getLogger(__name__)

VERSION = 1
"""Version of the protocol; a request with another one is refused."""

LINE_BYTES = 1024 * 1024
"""Longest request, and longest answer, in bytes."""

CONNECTIONS = 256
"""Most clients at the same time: a gateway opens one for each call, and its jobs begin together."""

SMALL_BYTES = 64 * 1024
"""Up to this size requests of all clients are held at the same time."""

LARGE = 4
"""Most requests above it that are held at the same time; the clients of the others wait."""

IDLE_S = 30.0
"""How long a connected client may say nothing."""

CALL_S = 120.0
"""How long one call may take."""

WRITE_S = 10.0
"""How long a client may take to read an answer."""

PATH_BYTES = 100
"""Longest address of a local socket; macOS takes 103 bytes, Linux 107."""

Handler = Callable[[Mapping[str, Any]], Coroutine[Any, Any, Any]]
"""Takes a call's ``params`` and returns what JSON can hold; raises `OctoError` with words for the operator."""


def socket_path(state_dir: Path) -> Path:
    """Return where the process that owns a state folder is spoken to.

    Where that folder's path is too long for a socket, ``control.sock`` is a link to one in the user's runtime folder.
    """
    path = state_dir.absolute() / "control.sock"
    with suppress(OSError):
        return path.readlink()
    return path


class ControlServer:
    """Answers on ``<state_dir>/control.sock``, mode 0600.

    A client that sends garbage gets an error, one that does not read or goes away is dropped; neither reaches the bots.

    Args:
        state_dir: the state folder; made where missing, and closed to other users.
        clock: time.
        hide: returns a text without secrets; every answer goes through it.
    """

    def __init__(self, state_dir: Path, clock: Clock, hide: Callable[[str], str] = str) -> None:
        self._path = state_dir.absolute() / "control.sock"
        self._lock = OwnerLock(self._path.with_name("control.lock"))
        self._clock = clock
        self._hide = hide
        self._handlers: dict[str, Handler] = {}
        self._late: dict[Any, str] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._large = asyncio.Semaphore(LARGE)
        self.register("ping", self._ping)

    def register(self, name: str, handler: Handler, *, late: str = "timeout") -> None:
        """Let ``handler`` answer the calls of a name; a later one takes its place.

        Args:
            name: such as ``message.send``.
            handler: answers them.
            late: code of the error where a call takes too long.
        """
        self._handlers[name] = handler
        self._late[name] = late

    async def start(self) -> None:
        """Begin to answer; a socket that a killed process left behind is replaced.

        Raises:
            HostError: another process answers for this folder, or no socket can be made there.
            OSError: the socket cannot be made, or the folder is another user's.
        """
        private_folder(self._path.parent)
        self._lock.acquire()
        try:
            listening = _bound(self._path)
            self._server = await asyncio.start_unix_server(
                self._accept, sock=listening, limit=SMALL_BYTES, backlog=CONNECTIONS
            )
        except BaseException:  # a start that is cancelled holds nothing either
            self._lock.release()
            raise

    async def stop(self) -> None:
        """End every connection and take the socket away; without effect where it was not started."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        socket_path(self._path.parent).unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)
        self._lock.release()

    async def _ping(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"pid": os.getpid(), "calls": sorted(self._handlers)}

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.get_running_loop().create_task(self._converse(reader, writer), name="octo:control")
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # an answer counts as sent once the client's side has it
        try:
            if len(self._clients) > CONNECTIONS:
                await self._send(writer, _failure(None, "busy", f"more than {CONNECTIONS} connections"))
                return
            while (line := await within(self._clock, IDLE_S, _line(reader))) is not None:
                whole, answer = await self._answered(reader, line)
                await self._send(writer, answer)
                if not whole:
                    await within(self._clock, WRITE_S, _discard(reader))  # or our answer might not be read
                    return
        except (OSError, TimeoutError):
            _log.debug("a client of the control socket went away, or neither spoke nor read")
        finally:
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader, line: bytes) -> tuple[bool, Mapping[str, Any]]:
        """Return whether a request is a whole line, and the answer to it."""
        if line.endswith(b"\n"):
            return True, await self._answer(line)
        async with self._large:
            line = await within(self._clock, IDLE_S, _rest(reader, line))
            return line.endswith(b"\n"), await self._answer(line)

    async def _send(self, writer: asyncio.StreamWriter, answer: Mapping[str, Any]) -> None:
        writer.write(_encoded(answer))
        await within(self._clock, WRITE_S, writer.drain())

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        """Return the answer to one line, or to the beginning of one that is too long."""
        request_id: Any = None
        late = "timeout"
        try:
            request = _parsed(line)
            request_id = request.get("id")
            late = self._late.get(str(request.get("call")), late)
            return _success(request_id, _hidden(await self._call(request), self._hide))
        except ControlError as error:
            return _failure(request_id, error.code, self._hide(str(error)), error.data)
        except OctoError as error:
            return _failure(request_id, "failed", self._hide(str(error)))
        except TimeoutError:
            return _failure(request_id, late, f"no answer within {CALL_S:.0f} s")
        except Exception:  # noqa: BLE001  # the boundary: a broken call is its client's trouble and a line in the log
            _log.exception("a call of the control socket broke")
            return _failure(request_id, "internal", "the call broke; the log of the bots says why")

    async def _call(self, request: Mapping[str, Any]) -> Any:
        if request.get("v") != VERSION:
            raise ControlError("unknown-version", f"this process speaks version {VERSION} of the protocol")
        name, params = request.get("call"), request.get("params", {})
        if not isinstance(name, str) or not isinstance(params, dict):
            raise ControlError("bad-request", "call must be a string, params an object")
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise ControlError("unknown-call", f"no such call; this process knows {known}")
        return await within(self._clock, CALL_S, handler(params))


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next line, ``None`` at the end; of one that is not small only its beginning, without a line end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        return await reader.readexactly(error.consumed)


async def _rest(reader: asyncio.StreamReader, begun: bytes) -> bytes:
    """Return a line from its beginning on; of one that is too long, or ends with the stream, only its beginning."""
    pieces, size = [begun], len(begun)
    while not pieces[-1].endswith(b"\n"):
        piece = await _line(reader)
        size += len(piece or b"")
        if piece is None or size > LINE_BYTES:
            break
        pieces.append(piece)
    return b"".join(pieces)


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(LINE_BYTES):
        pass


def _parsed(line: bytes) -> Mapping[str, Any]:
    if not line.endswith(b"\n"):
        raise ControlError("too-large", f"a request may take {LINE_BYTES} bytes")
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("bad-request", "the line is not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("id"), str | int | None):
        raise ControlError("bad-request", "a request is an object, its id a string or a number")
    return request


def _success(request_id: object, result: Any) -> Mapping[str, Any]:
    answer = {"v": VERSION, "id": request_id, "ok": True, "result": result}
    if len(_encoded(answer)) > LINE_BYTES:
        raise ControlError("too-large", f"the answer takes more than {LINE_BYTES} bytes: ask for less")
    return answer


def _failure(
    request_id: object, code: str, detail: str, data: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    error = {"code": code, "message": detail, **({"data": data} if data else {})}
    return {"v": VERSION, "id": request_id, "ok": False, "error": error}


def _encoded(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it cleaned."""
    match value:
        case str():
            return hide(value)
        case Mapping():
            return {hide(str(key)): _hidden(inner, hide) for key, inner in value.items()}
        case list() | tuple():
            return [_hidden(inner, hide) for inner in value]
        case _:
            return value


def _bound(path: Path) -> socket.socket:
    """Return a socket bound at ``path``, which nobody can connect to before its mode is set."""
    address = path
    path.unlink(missing_ok=True)
    if len(os.fsencode(path)) > PATH_BYTES:
        folder = lease_folder()
        own_folder(folder)
        address = folder / f"{sha256(os.fsencode(path)).hexdigest()[:16]}.sock"
        address.unlink(missing_ok=True)
        path.symlink_to(address)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(os.fspath(address))
        address.chmod(0o600)
    except BaseException:  # whatever it is, nobody else could close it
        made.close()
        raise
    return made
