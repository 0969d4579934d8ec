"""Asking the process that runs the bots of a state folder, over its control socket."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.errors import ControlError, NotRunning
from openclaw_channel_octo.runtime.control import LINE_BYTES, VERSION, socket_path

__all__ = ["ask"]

CONNECT_S = 5.0


def ask(store: Path, call: str, params: Mapping[str, Any] | None = None, *, timeout_s: float = 30.0) -> Any:
    """Return what a call answers.

    Args:
        store: the state folder.
        call: its name.
        params: what it takes, JSON values.
        timeout_s: real seconds to wait for the answer.

    Raises:
        NotRunning: nobody answers there.
        ControlError: the process says no, or says nothing in time.
    """
    return asyncio.run(
        _ask(store, {"v": VERSION, "id": 1, "call": call, "params": dict(params or {})}, timeout_s)
    )


async def _ask(store: Path, request: Mapping[str, Any], timeout_s: float) -> Any:
    path = socket_path(store)
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=2 * LINE_BYTES)
    except (OSError, TimeoutError) as error:
        raise NotRunning(f"nothing answers at {path}: {_reason(error)}") from error
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            return _result(await reader.readline())
    except TimeoutError:
        raise ControlError("timeout", f"no answer to {request['call']} within {timeout_s:g} s") from None
    except (OSError, ValueError) as error:
        raise ControlError("failed", f"the process at {path} gave no answer: {_reason(error)}") from error
    finally:
        writer.transport.abort()


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
    raise ControlError(str(found.get("code", "failed")), str(found.get("message", "no reason given")))
