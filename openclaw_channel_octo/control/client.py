"""Asking the process that runs the bots of a state folder, over its control socket."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.control.server import VERSION, socket_path
from openclaw_channel_octo.errors import ControlError, NotRunning

__all__ = ["ask"]

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
    request = json.dumps({"v": VERSION, "id": 1, "call": call, "params": dict(params or {})})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONNECT_S)
        path = socket_path(store)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise NotRunning(f"nothing answers at {path}: {_reason(error)}") from error
        try:
            connection.settimeout(timeout_s)
            connection.sendall(request.encode() + b"\n")
            with connection.makefile("rb") as answers:
                return _result(answers.readline())
        except TimeoutError:
            raise ControlError("timeout", f"no answer to {call} within {timeout_s:g} s") from None
        except (OSError, ValueError) as error:
            raise ControlError("failed", f"the bots gave no answer to {call}: {_reason(error)}") from error


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
