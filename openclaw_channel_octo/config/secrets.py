"""Secrets that stand in the configuration or are fetched from where it points (reference-behaviour §2.5)."""

import errno
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field, SecretStr

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.diagnostics import Findings, is_token
from openclaw_channel_octo.config.environment import Inheritance, as_bytes, environment_bytes, looks_secret
from openclaw_channel_octo.values import SecretStruct

__all__ = ["FoundSecret", "SecretContext", "read_regular", "read_secret", "secret_variables"]

_PROGRAM_LIMIT_S = 10.0
_LARGEST_SECRET = 64 * 1024
_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


class SecretContext(SecretStruct, frozen=True, kw_only=True):
    """What a configuration refers to besides itself.

    Attributes:
        base: absolute folder that relative paths start from.
        env: environment variables.
        run_programs: whether ``exec`` references are run or only named.
        withheld: names of the variables that programs do not inherit.
    """

    HIDDEN: ClassVar = frozenset({"env"})

    base: Path
    env: Mapping[str, str]
    run_programs: bool = True
    withheld: frozenset[str] = frozenset()

    def path(self, text: str) -> Path:
        """Return the absolute path of ``text``; a leading ``~/`` is the home folder."""
        if text == "~" or text.startswith("~/"):
            home = self.env.get("HOME")
            return (Path(home) if home else Path.home()) / text[2:]
        return self.base / text


class FoundSecret(Struct, frozen=True, kw_only=True):
    """A secret and where it came from.

    Attributes:
        value: the secret; empty where it was not to be read.
        source: words for the operator that reveal nothing, such as ``environment variable OCTO_TOKEN``.
    """

    value: SecretStr
    source: str


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,127}", name):
        raise ValueError("must be the name of an environment variable, in upper case")
    return name


class _EnvRef(FrozenModel):
    source: Literal["env"]
    id: Annotated[str, AfterValidator(_variable)]
    provider: str = ""


class _FileRef(FrozenModel):
    source: Literal["file"]
    id: Annotated[str, Field(min_length=1)]


_Argument = Annotated[str, Field(min_length=1, strict=True)]
_Command = Annotated[tuple[_Argument, ...], Field(min_length=1, strict=False)]


class _ExecRef(FrozenModel):
    source: Literal["exec"]
    command: _Command = Field(repr=False)


_Ref = _EnvRef | _FileRef | _ExecRef
_SOURCES: Mapping[str, type[FrozenModel]] = {"env": _EnvRef, "file": _FileRef, "exec": _ExecRef}


def secret_variables(env: Mapping[str, str]) -> tuple[SecretStr, ...]:
    """Return the values of those environment variables whose names say that they are secret."""
    return tuple(SecretStr(value) for name, value in env.items() if looks_secret(name))


class _UnusableError(Exception):
    """What stands there is or leads to no secret; the message says why without naming what it points to."""


def read_secret(
    raw: object, path: str, around: SecretContext, findings: Findings, *, wanted: bool = True
) -> FoundSecret | None:
    """Return the secret that ``raw`` is or points to, ``None`` with a mistake recorded.

    Args:
        raw: a string, or an object with ``source`` ``env``, ``file`` or ``exec``.
        path: where it stands in the file, for messages.
        around: environment, folder, and whether programs may be run.
        findings: takes mistakes and remarks.
        wanted: false where the secret will not be used: its form is checked, a reference is not followed.
    """
    try:
        if isinstance(raw, str):
            return _checked(raw, "configuration file")
        ref = _reference(raw, path, findings)
        if ref is None:
            return None
        source = _source(ref, around)
        if not wanted or (isinstance(ref, _ExecRef) and not around.run_programs):
            return FoundSecret(value=SecretStr(""), source=source)
        return _checked(_follow(ref, path, around, findings).strip(), source)
    except _UnusableError as error:
        findings.problem(path, str(error))
        return None


def _reference(raw: object, path: str, findings: Findings) -> _Ref | None:
    if not isinstance(raw, Mapping):
        raise _UnusableError('must be a string or a reference such as {"source": "env", "id": "NAME"}')
    model = findings.choose(_SOURCES, raw, path, by="source")
    if model is None:
        return None
    block = dict(raw)
    if any(isinstance(part, str) and is_token(part) for part in block.values()):
        raise _UnusableError("holds a token where a reference belongs: give the token itself as a string")
    if model is not _EnvRef and "provider" in block:
        raise _UnusableError(
            "secret providers of a gateway are not read: name the file or the program itself"
        )
    if model is _ExecRef and "id" in block:
        program = block["id"]
        if isinstance(program, str) and len(program.split()) > 1:
            raise _UnusableError("no shell is used: give program and arguments as a list of strings")
        if "command" not in block:
            block["command"] = [block.pop("id")] if isinstance(program, str) else block.pop("id")
    ref = findings.validate(model, block, path)
    return ref if isinstance(ref, _Ref) else None


def _source(ref: _Ref, around: SecretContext) -> str:
    match ref:
        case _EnvRef():
            return f"environment variable {ref.id}"
        case _FileRef():
            return f"file {around.path(ref.id)}"
        case _ExecRef():
            return f"program {Path(ref.command[0]).name}"


def _follow(ref: _Ref, path: str, around: SecretContext, findings: Findings) -> str:
    match ref:
        case _EnvRef():
            if ref.id not in around.env:
                raise _UnusableError(f"the environment variable {ref.id} is not set")
            return around.env[ref.id]
        case _FileRef():
            return _file(around.path(ref.id), path, findings)
        case _ExecRef():
            return _output(ref.command, around)


def _file(file: Path, path: str, findings: Findings) -> str:
    try:
        content, mode = read_regular(file, _LARGEST_SECRET)
        text = content.decode("utf-8")
    except OSError as error:
        raise _UnusableError(f"the file named there cannot be read: {error.strerror}") from None
    except ValueError:
        raise _UnusableError("the file named there has no valid name or is no UTF-8 text") from None
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        findings.warn(path, f"other users can read {file}: chmod 600 it")
    return text


def read_regular(path: Path, most: int) -> tuple[bytes, int]:
    """Return the content of a regular file and its mode. Programs that are started meanwhile do not inherit it.

    Args:
        path: the file; links are followed.
        most: most bytes it may have.

    Raises:
        OSError: it cannot be read, is larger, or is no regular file: a pipe would be waited for, and only to
            open a device can do something.
        ValueError: nothing can have that name.
    """
    _require_regular(path.stat())
    # It may be another file by now; O_NONBLOCK does not wait for the other end of a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_regular(found)
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most} bytes")
    return content, found.st_mode


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "it is something else")
        raise OSError(errno.EINVAL, f"{kind}, not a regular file")


def _output(command: tuple[str, ...], around: SecretContext) -> str:
    try:
        done = subprocess.run(
            [as_bytes(part) for part in command],
            check=False,
            cwd=around.base,
            env=environment_bytes(Inheritance(withheld=around.withheld).of(around.env), {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROGRAM_LIMIT_S,
        )
        text = done.stdout.decode("utf-8")
    except OSError as error:
        raise _UnusableError(f"the program cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise _UnusableError(f"the program did not end within {_PROGRAM_LIMIT_S:g} s") from None
    except ValueError:
        raise _UnusableError("the program's name or its output is no valid text") from None
    if done.returncode:
        raise _UnusableError(f"the program failed with exit code {done.returncode}; try it by hand")
    return text


def _checked(value: str, source: str) -> FoundSecret:
    if not value.strip():
        raise _UnusableError(f"is blank (from the {source})")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise _UnusableError(f"must be one word of printable ASCII (from the {source})")
    return FoundSecret(value=SecretStr(value), source=source)
