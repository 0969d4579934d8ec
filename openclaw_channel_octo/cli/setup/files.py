"""The files that `init` writes: the configuration, and each secret in a file of its own beside it."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.host.files import dump_json

__all__ = [
    "configuration",
    "create",
    "secret_file",
    "unwritable",
    "write_configuration",
    "write_secrets",
]

Secrets = Mapping[str, SecretStr]
"""Secrets by the names of their files, relative to the configuration."""


def unwritable(file: Path) -> str:
    """Return why a configuration cannot be made at a path, empty where it can."""
    if os.path.lexists(file):
        return f"{file} exists: name another with --config FILE, or add a bot to it with --add"
    folder = file.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    effective = os.access in os.supports_effective_ids
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        return f"this user cannot write into {folder}"
    return ""


def secret_file(config_file: Path, name: str) -> str:
    """Return where a new secret of a configuration goes, relative to it: a file that is not there yet.

    Args:
        config_file: the configuration.
        name: what the secret is, such as ``bot.token``.
    """
    folder = f"{config_file.stem}.secrets"
    stem, _, ending = name.rpartition(".")
    names = (name if number == 1 else f"{stem}-{number}.{ending}" for number in count(1))
    return next(
        f"{folder}/{each}" for each in names if not os.path.lexists(config_file.parent / folder / each)
    )


def configuration(file: Path, channel: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a configuration; its state folder lies beside it, so that both move together.

    Args:
        file: where it will be.
        channel: the block ``channels.octo``.
        host: the block ``host``, but for the state folder.
    """
    return {"channels": {"octo": channel}, "host": {"stateDir": f"{file.stem}.state", **host}}


def write_configuration(file: Path, content: Mapping[str, Any], secrets: Secrets) -> None:
    """Write a new configuration with its secrets, mode 0600, or nothing at all.

    The configuration appears last and whole; whatever keeps it from that, an interruption too, leaves nothing behind.

    Raises:
        OSError: it cannot be written; `FileExistsError` where somebody made the file meanwhile.
    """
    with ExitStack() as undo:
        write_secrets(file.parent, secrets, undo)
        create(file, dump_json(content, indent=2))
        undo.pop_all()


def write_secrets(base: Path, secrets: Secrets, undo: ExitStack) -> None:
    """Write new files with secrets, and register with ``undo`` what takes them away again. Raises `OSError`."""
    for name, secret in secrets.items():
        path = base / name
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700)
            undo.callback(path.parent.rmdir)
        create(path, f"{secret.get_secret_value()}\n".encode())
        undo.callback(path.unlink)


def create(path: Path, data: bytes) -> None:
    """Make a file that appears whole, mode 0600; what exists is never touched.

    Raises:
        OSError: it cannot be written; `FileExistsError` where something has that name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename it replaces nothing
    finally:
        temporary.unlink(missing_ok=True)
