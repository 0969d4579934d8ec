"""Secrets that a gateway's secret providers keep, fetched as the gateway does.

The rules are those of OpenClaw 2026.9.6 (its ``docs/gateway/secrets/secretref-contract.md``).
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import ConfigDict, Field, ValidationError

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.fetching import UnreadableError, is_open_to_others, output_of, text_of
from openclaw_channel_octo.config.variables import not_set, unset_in

__all__ = ["Provided", "ProviderRef", "provided"]

DEFAULT = "default"
"""Name of the provider that environment variables come from where the file names no other."""

_Text = Annotated[str, Field(min_length=1, strict=False)]
_Texts = Annotated[tuple[_Text, ...], Field(strict=False)]
_Whole = Annotated[int, Field(gt=0)]


class _Provider(FrozenModel):
    """What all kinds ignore: keys that only the gateway knows are its business."""

    model_config = ConfigDict(extra="ignore")


class _EnvProvider(_Provider):
    source: Literal["env"]
    allowlist: _Texts | None = None


class _FileProvider(_Provider):
    source: Literal["file"]
    path: _Text
    mode: Literal["json", "singleValue"] = "json"
    max_bytes: _Whole = 1024 * 1024


class _ExecProvider(_Provider):
    source: Literal["exec"]
    command: _Text
    args: Annotated[tuple[str, ...], Field(strict=False)] = ()
    pass_env: _Texts = ()
    env: Mapping[str, str] = Field(default_factory=dict)
    timeout_ms: _Whole = 5_000
    max_output_bytes: _Whole = 1024 * 1024
    json_only: bool = True
    trusted_dirs: _Texts = ()


_KINDS: Mapping[str, type[_Provider]] = {"env": _EnvProvider, "file": _FileProvider, "exec": _ExecProvider}


class ProviderRef(FrozenModel):
    """A reference to a secret of a provider.

    Attributes:
        source: the provider's kind.
        provider: its name in ``secrets.providers``.
        id: what it calls the secret: a variable, a JSON pointer or ``value``, or what its program understands.
    """

    source: Literal["env", "file", "exec", "store"]
    provider: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")] = DEFAULT
    id: Annotated[str, Field(min_length=1, max_length=1024)]


class Provided(Struct, frozen=True):
    """What a provider gave.

    Attributes:
        value: the secret.
        remark: what the operator should know about where it lies, empty for nothing.
    """

    value: str
    remark: str = ""


def provided(ref: ProviderRef, secrets: Mapping[str, Any], env: Mapping[str, str], home: Path) -> Provided:
    """Return the secret of a provider.

    Args:
        ref: names it.
        secrets: the block ``secrets`` of the gateway's file.
        env: environment variables.
        home: what ``~`` stands for.

    Raises:
        UnreadableError: the provider is not there or not usable, or has no such secret.
    """
    match _provider(ref, secrets):
        case _EnvProvider() as provider:
            return Provided(_of_env(ref, provider, env))
        case _FileProvider() as provider:
            return _of_file(ref, provider, home)
        case _ExecProvider() as provider:
            return Provided(_of_program(ref, provider, env, home))
    raise UnreadableError(f"secret providers of the kind {ref.source} are not read here")


def _provider(ref: ProviderRef, secrets: Mapping[str, Any]) -> _Provider:
    found = _block(_block(secrets, "providers"), ref.provider)
    if ref.source == "store":
        raise UnreadableError(
            "the gateway's own secret store is not read: name a variable, a file or a program"
        )
    if found.get("source") != ref.source:
        usual = _block(secrets, "defaults").get("env") or DEFAULT
        if ref.source == "env" and ref.provider == usual:
            return _EnvProvider(source="env")
        has = f"is of the kind {found.get('source')}" if found else "is not in secrets.providers"
        raise UnreadableError(f'the secret provider "{ref.provider}" {has}')
    if unset := unset_in(found):
        raise UnreadableError(f'the secret provider "{ref.provider}" needs more: {not_set(*unset)}')
    if "pluginIntegration" in found:
        raise UnreadableError(
            f'the secret provider "{ref.provider}" is a plugin of the gateway, which is not run here'
        )
    try:
        return _KINDS[ref.source].model_validate(found, by_alias=True, by_name=False)
    except ValidationError as error:
        keys = sorted({".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)})
        words = f'the secret provider "{ref.provider}" is not configured rightly: {", ".join(keys)}'
        raise UnreadableError(words) from None


def _block(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}


def _of_env(ref: ProviderRef, provider: _EnvProvider, env: Mapping[str, str]) -> str:
    if provider.allowlist is not None and ref.id not in provider.allowlist:
        raise UnreadableError(f'the allowlist of the secret provider "{ref.provider}" does not name {ref.id}')
    if ref.id not in env:
        raise UnreadableError(f"the environment variable {ref.id} is not set")
    return env[ref.id]


def _of_file(ref: ProviderRef, provider: _FileProvider, home: Path) -> Provided:
    file = _path(provider.path, home)
    try:
        text, mode = text_of(file, provider.max_bytes)
    except UnreadableError as error:
        raise UnreadableError(f'the file of the secret provider "{ref.provider}" {error}') from None
    remark = f"other users can read {file}: chmod 600 it" if is_open_to_others(mode) else ""
    if provider.mode == "singleValue":
        if ref.id != "value":
            raise UnreadableError(f'the secret provider "{ref.provider}" has one secret only, named "value"')
        return Provided(text.removesuffix("\n").removesuffix("\r"), remark)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError(f'the file of the secret provider "{ref.provider}" is not JSON') from None
    value = _pointed(content, ref.id)
    if not isinstance(value, str):
        raise UnreadableError(f'the secret provider "{ref.provider}" has no such secret')
    return Provided(value, remark)


def _pointed(content: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) leads to, ``None`` where that is nothing."""
    if not pointer.startswith("/"):
        return None
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, Mapping):
            content = content.get(name)
        elif isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            return None
    return content


def _of_program(ref: ProviderRef, provider: _ExecProvider, env: Mapping[str, str], home: Path) -> str:
    """Ask a program: one JSON object on its standard input, one on its standard output."""
    command = _trusted(ref, provider, home)
    request = json.dumps({"protocolVersion": 1, "provider": ref.provider, "ids": [ref.id]})
    inherited = {name: env[name] for name in provider.pass_env if name in env}
    printed = output_of(
        (str(command), *provider.args),
        env={**inherited, **provider.env},
        cwd=command.parent,
        within_s=provider.timeout_ms / 1_000,
        stdin=request,
    ).strip()
    if len(printed.encode()) > provider.max_output_bytes:
        raise UnreadableError(f"the program printed more than {provider.max_output_bytes} bytes")
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError):
        if not provider.json_only and printed:
            return printed
        raise UnreadableError(
            f'the program of the secret provider "{ref.provider}" printed no JSON'
        ) from None
    if isinstance(answer, str) and not provider.json_only:
        return answer
    found = answer if isinstance(answer, Mapping) and answer.get("protocolVersion") == 1 else {}
    value = _block(found, "values").get(ref.id)
    if ref.id in _block(found, "errors") or not isinstance(value, str):
        raise UnreadableError(f'the program of the secret provider "{ref.provider}" gave no such secret')
    return value


def _trusted(ref: ProviderRef, provider: _ExecProvider, home: Path) -> Path:
    """Return the program; one that others could have put there is not run."""
    command, name = _path(provider.command, home), f'the program of the secret provider "{ref.provider}"'
    try:
        found = command.lstat()
    except (OSError, ValueError):
        raise UnreadableError(f"{name} is not there") from None
    if not command.is_absolute() or not stat.S_ISREG(found.st_mode):
        raise UnreadableError(f"{name} must be a regular file, no link, with its whole path")
    folders = [_path(folder, home) for folder in provider.trusted_dirs]
    if folders and not any(command.is_relative_to(folder) for folder in folders):
        raise UnreadableError(f"{name} lies outside its trustedDirs")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid != os.getuid():
        raise UnreadableError(f"{name} must be this user's, and nobody else may write it")
    return command


def _path(text: str, home: Path) -> Path:
    return home / text[2:] if text.startswith("~/") else Path(os.path.normpath(text))
