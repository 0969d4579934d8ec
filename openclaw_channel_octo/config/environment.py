"""The environment of the programs that are started here: without secrets of ours, and in any locale."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

__all__ = [
    "Inheritance",
    "as_bytes",
    "environment_bytes",
    "looks_secret",
    "read_variables",
    "with_same_value",
]

_SECRET_NAME = re.compile(r"AUTH|CRED|KEY|PASS|SECRET|TOKEN", re.IGNORECASE)
_SUBSTITUTED = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
_SHORTHAND = re.compile(r"\$([A-Z][A-Z0-9_]*)")
_FOR_PROGRAMS = frozenset({"command", "env"})
_CLEAN = frozenset({"HOME", "LANG", "PATH", "TMPDIR", "TZ"})


class Inheritance(Struct, frozen=True, kw_only=True):
    """Which variables of this process a program inherits.

    Attributes:
        withheld: names of variables that hold our secrets.
        passed: names that are passed on all the same.
        clean: whether nothing else is passed on but ``PATH``, ``HOME``, ``LANG``, ``LC_*``, ``TZ`` and ``TMPDIR``.
    """

    withheld: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    clean: bool = False

    def of(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return what a program inherits of an environment."""
        plain = {name for name in env if not self.clean or name in _CLEAN or name.startswith("LC_")}
        inherited = self.passed | (plain - self.withheld)
        return {name: value for name, value in env.items() if name in inherited}


def looks_secret(name: str) -> bool:
    """Return whether a variable's name says that its value is secret."""
    return _SECRET_NAME.search(name) is not None


def read_variables(raw: Any) -> frozenset[str]:
    """Return the names of the variables that a configuration reads secrets from, in use or not.

    ``${NAME}`` counts where that name or the key it is the value of looks like that of a secret, unless it is there
    for a program to see.

    Args:
        raw: the decoded file.
    """
    found: set[str] = set()
    left: list[tuple[str, Any]] = [("", raw)]
    while left:
        match left.pop():
            case _, {"source": "env", "id": str() as name}:
                found.add(name)
            case _, Mapping() as block:
                left.extend((str(key), value) for key, value in block.items() if key not in _FOR_PROGRAMS)
            case key, (list() | tuple()) as values:
                left.extend((key, value) for value in values)
            case key, str() as text:
                names = _SUBSTITUTED.findall(text) + _SHORTHAND.findall(text) * looks_secret(key)
                found.update(name for name in names if looks_secret(name) or looks_secret(key))
    return frozenset(found)


def with_same_value(
    env: Mapping[str, str], names: Collection[str], secrets: Iterable[str] = ()
) -> frozenset[str]:
    """Return ``names`` and those of all other variables whose value is that of one of them, or a secret.

    Args:
        env: an environment.
        names: variables that secrets are read from, set or not.
        secrets: values.
    """
    values = {env.get(name, "").strip() for name in names} | set(secrets)
    values.discard("")
    return frozenset(names) | {name for name, value in env.items() if value.strip() in values}


def environment_bytes(inherited: Mapping[str, str], own: Mapping[str, str | Path]) -> dict[bytes, bytes]:
    """Return a program's environment in the form that no locale changes.

    Args:
        inherited: variables of `os.environ`: their bytes are passed on as they came.
        own: variables with texts and paths of ours; these win.
    """
    came = {os.fsencode(name): os.fsencode(value) for name, value in inherited.items()}
    return came | {as_bytes(name): as_bytes(value) for name, value in own.items()}


def as_bytes(value: str | Path) -> bytes:
    """Return a text as UTF-8 whatever the locale is, and a path as the file system has it.

    Half a surrogate pair, which UTF-8 has no form for, becomes a question mark.

    Raises:
        UnicodeEncodeError: the locale has no form for the path.
    """
    return os.fsencode(value) if isinstance(value, Path) else value.encode("utf-8", "replace")
