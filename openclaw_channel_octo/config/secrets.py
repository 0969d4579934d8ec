"""Secrets that stand in the configuration or are fetched from where it points (reference-behaviour §2.5)."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field, SecretStr

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.diagnostics import Findings, is_token
from openclaw_channel_octo.config.environment import Inheritance, looks_secret
from openclaw_channel_octo.config.fetching import UnreadableError, is_open_to_others, output_of, text_of
from openclaw_channel_octo.config.providers import ProviderRef, provided
from openclaw_channel_octo.config.variables import not_set, unset_in
from openclaw_channel_octo.values import SecretStruct

__all__ = ["FoundSecret", "SecretContext", "read_secret", "secret_variables"]

_PROGRAM_LIMIT_S = 10.0
_LARGEST_SECRET = 64 * 1024
_SHORTHAND = re.compile(r"\$([A-Z][A-Z0-9_]{0,127})")
"""A gateway's other way to name a variable, where a secret is expected."""
_MISWRITTEN = re.compile(
    r"\$\{.*|\$\(.*\)|\$env:\w+|\$[a-z]\w*_\w+|%[A-Za-z_]\w*%|\{\{.*\}\}", re.DOTALL | re.IGNORECASE
)
_ESCAPED = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}")
"""What is left of ``$${NAME}``: the text is meant as it stands."""


class SecretContext(SecretStruct, frozen=True, kw_only=True):
    """What a configuration refers to besides itself.

    Attributes:
        base: absolute folder that relative paths start from.
        env: environment variables, those of ``.env`` files among them.
        process: those of the process alone.
        run_programs: whether ``exec`` references are run or only named.
        withheld: names of the variables that programs do not inherit.
        providers: the block ``secrets`` of a gateway's file, ``None`` where there is no such file.
    """

    HIDDEN: ClassVar = frozenset({"env", "process", "providers"})

    base: Path
    env: Mapping[str, str]
    process: Mapping[str, str] = MappingProxyType({})
    run_programs: bool = True
    withheld: frozenset[str] = frozenset()
    providers: Mapping[str, Any] | None = None

    @property
    def home(self) -> Path:
        """The home folder."""
        home = self.env.get("HOME")
        return Path(home) if home else Path.home()

    def path(self, text: str) -> Path:
        """Return the absolute path of ``text``; a leading ``~/`` is the home folder."""
        return self.home / text[2:] if text == "~" or text.startswith("~/") else self.base / text


class FoundSecret(Struct, frozen=True, kw_only=True):
    """A secret and where it came from.

    Attributes:
        value: the secret; empty where it was not to be read, or cannot be.
        source: words for the operator that reveal nothing, such as ``environment variable OCTO_TOKEN``.
        problem: why it cannot be read now, empty when it can.
    """

    value: SecretStr
    source: str
    problem: str = ""


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


_Ref = _EnvRef | _FileRef | _ExecRef | ProviderRef
_SOURCES: Mapping[str, type[FrozenModel]] = {"env": _EnvRef, "file": _FileRef, "exec": _ExecRef}


def secret_variables(env: Mapping[str, str]) -> tuple[SecretStr, ...]:
    """Return the values of those environment variables whose names say that they are secret."""
    return tuple(SecretStr(value) for name, value in env.items() if looks_secret(name))


class _UnusableError(Exception):
    """What stands there is no secret and leads to none; the message says why without naming what it points to."""


def read_secret(
    raw: object,
    path: str,
    around: SecretContext,
    findings: Findings,
    *,
    wanted: bool = True,
    patient: bool = False,
) -> FoundSecret | None:
    """Return the secret that ``raw`` is or points to, ``None`` with a mistake recorded.

    Args:
        raw: a string, or an object with ``source`` ``env``, ``file`` or ``exec``.
        path: where it stands in the file, for messages.
        around: environment, folder, and whether programs may be run.
        findings: takes mistakes and remarks.
        wanted: false where the secret will not be used: its form is checked, a reference is not followed.
        patient: whether a secret that only cannot be read now is no mistake, but returned with its ``problem``.
    """
    source = "configuration file"
    try:
        ref = _reference(raw, path, around, findings)
        if isinstance(ref, str):
            return FoundSecret(value=_usable(ref, source, _UnusableError), source=source)
        if ref is None:
            return None
        source = _source(ref, around)
        if not wanted or (ref.source == "exec" and not around.run_programs):
            return FoundSecret(value=SecretStr(""), source=source)
        text = _follow(ref, path, around, findings).strip()
        return FoundSecret(value=_usable(text, source, UnreadableError), source=source)
    except UnreadableError as error:
        if patient or not wanted:
            return FoundSecret(value=SecretStr(""), source=source, problem=str(error) if wanted else "")
        findings.unreadable(path, str(error))
        return None
    except _UnusableError as error:
        findings.problem(path, str(error))
    return None


def _reference(raw: object, path: str, around: SecretContext, findings: Findings) -> _Ref | str | None:
    if isinstance(raw, str):
        return _text(raw, path, findings)
    if not isinstance(raw, Mapping):
        raise _UnusableError('must be a string or a reference such as {"source": "env", "id": "NAME"}')
    model: type[FrozenModel] | None = ProviderRef
    if not _of_provider(raw, around):
        model = findings.choose(_SOURCES, raw, path, by="source")
    if model is None:
        return None
    if unset := unset_in(raw):
        raise UnreadableError(not_set(*unset))
    block = dict(raw)
    if any(isinstance(part, str) and is_token(part) for part in block.values()):
        raise _UnusableError("holds a token where a reference belongs: give the token itself as a string")
    if model is _ExecRef:
        _lay_out_command(block)
    ref = findings.validate(model, block, path)
    return ref if isinstance(ref, _Ref) else None


def _text(raw: str, path: str, findings: Findings) -> _Ref | str | None:
    """Return the secret that a text is, or the reference to the variable it consists of."""
    named = _SHORTHAND.fullmatch(raw)
    if variable := getattr(raw, "variable", "") or (named[1] if named else ""):
        return findings.validate(_EnvRef, {"source": "env", "id": variable}, path)
    if unset := unset_in(raw):
        raise UnreadableError(not_set(*unset))
    if _MISWRITTEN.fullmatch(raw) and not _ESCAPED.fullmatch(raw):
        raise _UnusableError(
            'looks like a variable: only "${NAME}" and "$NAME" are read, in upper case and without a default; '
            'a secret that looks so is given by {"source": "env"} or {"source": "file"}'
        )
    return str(raw)


def _of_provider(raw: Mapping[str, Any], around: SecretContext) -> bool:
    """Return whether a reference names a secret provider; that of a variable may, without there being any."""
    if "provider" not in raw or (raw.get("source") == "env" and around.providers is None):
        return False
    if around.providers is None:
        raise _UnusableError(
            "names a secret provider of a gateway: read the gateway's file as well, with --openclaw, "
            "or name the file or the program itself"
        )
    return True


def _lay_out_command(block: dict[str, Any]) -> None:
    """Put what ``id`` says of a program where it belongs."""
    if "id" not in block:
        return
    program = block["id"]
    if isinstance(program, str) and len(program.split()) > 1:
        raise _UnusableError("no shell is used: give program and arguments as a list of strings")
    if "command" not in block:
        block["command"] = [block.pop("id")] if isinstance(program, str) else block.pop("id")


def _source(ref: _Ref, around: SecretContext) -> str:
    match ref:
        case ProviderRef(source="env") | _EnvRef():
            return f"environment variable {ref.id}"
        case ProviderRef():
            return f"secret provider {ref.provider}"
        case _FileRef():
            return f"file {around.path(ref.id)}"
        case _ExecRef():
            return f"program {Path(ref.command[0]).name}"


def _follow(ref: _Ref, path: str, around: SecretContext, findings: Findings) -> str:
    match ref:
        case ProviderRef():
            found = provided(ref, around.providers or {}, around.env, around.home)
            if found.remark:
                findings.warn(path, found.remark)
            return found.value
        case _EnvRef():
            if ref.id not in around.env:
                raise UnreadableError(not_set(ref.id))
            return around.env[ref.id]
        case _FileRef():
            return _file(around.path(ref.id), path, findings)
        case _ExecRef():
            env = Inheritance(withheld=around.withheld).of(around.process)  # a .env may be anybody's
            return output_of(ref.command, env=env, cwd=around.base, within_s=_PROGRAM_LIMIT_S)


def _file(file: Path, path: str, findings: Findings) -> str:
    try:
        text, mode = text_of(file, _LARGEST_SECRET)
    except UnreadableError as error:
        raise UnreadableError(f"the file named there {error}") from None
    if is_open_to_others(mode):
        findings.open_file(path, file)
    return text


def _usable(value: str, source: str, otherwise: type[Exception]) -> SecretStr:
    if not value.strip():
        raise otherwise(f"is blank (from the {source})")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise otherwise(f"must be one word of printable ASCII (from the {source})")
    return SecretStr(value)
