"""Asking the process that runs the bots of a state folder, over its control socket."""

import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.control.server import LINE_BYTES, VERSION, socket_path
from openclaw_channel_octo.errors import ControlError, NotRunning

__all__ = ["ask", "asked"]

CONNECT_S = 5.0


def ask(store: Path, call: str, params: Mapping[str, Any] | None = None, *, timeout_s: float = 30.0) -> Any:
    """Return what a call answers.

    Args:
        store: the state folder.
        call: its name.
        params: what it takes, JSON values.
        timeout_s: seconds to wait for the answer.

    Raises:
        NotRunning: nobody answers there.
        ControlError: the process says no, or says nothing in time.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONNECT_S)
        path = socket_path(store)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise _nobody(path, error) from error
        try:
            connection.settimeout(timeout_s)
            connection.sendall(_request(call, params))
            with connection.makefile("rb") as answers:
                return _result(answers.readline())
        except TimeoutError:
            raise ControlError("timeout", f"no answer to {call} within {timeout_s:g} s") from None
        except (OSError, ValueError) as error:
            raise _no_answer(call, error) from error


async def asked(store: Path, call: str, params: Mapping[str, Any] | None = None) -> Any:
    """Return what a call answers, as `ask` does, beside a running loop; the process itself ends it in time.

    A caller who is cancelled does not end what the process has begun.
    """
    path = socket_path(store)
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=2 * LINE_BYTES)
    except OSError as error:
        raise _nobody(path, error) from error
    try:
        writer.write(_request(call, params))
        await writer.drain()
        return _result(await reader.readline())
    except (OSError, ValueError) as error:
        raise _no_answer(call, error) from error
    finally:
        writer.transport.abort()


def _request(call: str, params: Mapping[str, Any] | None) -> bytes:
    return json.dumps({"v": VERSION, "id": 1, "call": call, "params": dict(params or {})}).encode() + b"\n"


def _nobody(path: Path, error: OSError) -> NotRunning:
    return NotRunning(f"nothing answers at {path}: {_reason(error)}")


def _no_answer(call: str, error: BaseException) -> ControlError:
    return ControlError("failed", f"the bots gave no answer to {call}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def _result(line: bytes) -> Any:
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError("no answer of this protocol")  # noqa: TRY004  # one error for all that is not
    if answer.get("ok") is True:
        return answer.get("result")
    error = answer.get("error")
    found = error if isinstance(error, dict) else {}
    data = found.get("data")
    raise ControlError(
        str(found.get("code", "failed")),
        str(found.get("message", "no reason given")),
        data if isinstance(data, dict) else None,
    )
