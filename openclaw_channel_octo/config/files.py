"""JSON files, JSON5 where that can be read, and what they include (``$include``)."""

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.fetching import read_regular
from openclaw_channel_octo.errors import ConfigError

__all__ = ["TOO_DEEP", "UnreadableConfigError", "read_json", "with_includes"]

TOO_DEEP = "is nested too deeply to be a configuration"

_LARGEST_FILE = 8 * 1024 * 1024
_LARGEST_INCLUDE = 2 * 1024 * 1024
_LONGEST_PATH = 4095
_DEEPEST = 10
_INCLUDE = "$include"
_JSON5_HINT = "if it is JSON5, first: pip install 'openclaw-channel-octo[json5]'"


class UnreadableConfigError(ConfigError):
    """There is no configuration to judge: the file cannot be read, or is not JSON."""


def read_json(path: Path, findings: Findings, most: int = _LARGEST_FILE) -> Any:
    """Return the content of a JSON file; JSON5 where the ``json5`` package is installed.

    Args:
        path: the file.
        findings: takes keys that are written twice.
        most: most bytes it may have.

    Raises:
        UnreadableConfigError: it cannot be read or is not JSON.
    """
    return _decoded(_text(path, most), findings)


def _text(path: Path, most: int) -> str:
    try:
        content, _ = read_regular(path, most)
        return content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except ValueError:
        reason = "nothing can have that name"
    raise UnreadableConfigError(f"cannot be read: {reason}")


def _decoded(text: str, findings: Findings) -> Any:
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return content

    raw: Any = None
    trouble = ""
    try:
        raw = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        trouble = f"line {error.lineno}, column {error.colno}"
    except ValueError:
        trouble = "a number is too long"
    except RecursionError:
        raise UnreadableConfigError(TOO_DEEP) from None
    if trouble:
        twice.clear()
        raw = _json5(text, unique, f"is not JSON ({trouble})")
    for key in twice:
        findings.problem(join("", key), "this key is written twice in one object")
    return raw


def _json5(text: str, unique: Callable[[list[tuple[str, Any]]], dict[str, Any]], otherwise: str) -> Any:
    try:
        loads = import_module("json5").loads
    except ImportError:
        raise UnreadableConfigError(f"{otherwise}; {_JSON5_HINT}") from None
    try:
        return loads(text, object_pairs_hook=unique)
    except RecursionError:
        raise UnreadableConfigError(f"{otherwise}; as JSON5 it {TOO_DEEP}") from None
    except ValueError as error:
        found = re.match(r"<string>:(\d+) .* at column (\d+)$", str(error), re.DOTALL)
    where = f" (line {found[1]}, column {found[2]})" if found else ""
    raise UnreadableConfigError(f"{otherwise}, nor JSON5{where}")


def with_includes(
    raw: Any, file: Path, env: Mapping[str, str], findings: Findings, only: Collection[str] = ()
) -> Any:
    """Return a file's content with what it includes in its place, as a gateway does (its ``config-secrets-env.md``).

    ``{"$include": name}`` stands for the content of another file, a list of names for several that are merged in
    their order; the keys beside it are merged over that. Names are relative to the file they stand in, and have to
    lead into the folder of ``file``, or one of those that ``OPENCLAW_INCLUDE_ROOTS`` lists.

    Args:
        raw: the content.
        file: where it was read, absolute.
        env: environment variables.
        findings: takes what cannot be included; what was to stand there is told of no further.
        only: the top-level keys that are looked at; none for all.

    Raises:
        RecursionError: it is nested too deeply.
    """
    listed = env.get("OPENCLAW_INCLUDE_ROOTS", "").split(os.pathsep)
    roots = [Path(os.path.expanduser(each.strip())) for each in listed if each.strip()]  # noqa: PTH111  # of text
    inside = tuple(os.path.realpath(root) for root in (file.parent, *roots) if root.is_absolute())
    return _Includer(inside, findings, frozenset(only)).content(raw, (file,), "")


class _RefusedError(Exception):
    """An include cannot be followed; says why."""


class _Includer(Struct, frozen=True):
    inside: tuple[str, ...]
    findings: Findings
    only: frozenset[str]

    def content(self, raw: Any, chain: tuple[Path, ...], path: str) -> Any:
        """Return decoded JSON with its includes in place; ``chain`` are the files that led there, outermost first."""
        if isinstance(raw, list):
            return [self.content(one, chain, join(path, place)) for place, one in enumerate(raw)]
        if not isinstance(raw, Mapping):
            return raw
        own = {
            key: self.content(value, chain, join(path, key))
            for key, value in raw.items()
            if key != _INCLUDE and (path or not self.only or key in self.only)
        }
        if _INCLUDE not in raw:
            return own
        try:
            return self._joined(self._included(raw[_INCLUDE], chain, path), own)
        except _RefusedError as error:
            self.findings.problem(join(path, _INCLUDE), str(error))
            self.findings.excuse(path)
            return own

    def _joined(self, included: Any, own: Mapping[str, Any]) -> Any:
        if own and not isinstance(included, Mapping):
            raise _RefusedError("brings no object, so that no keys can stand beside it")
        return _merged(included, own) if own else included

    def _included(self, named: Any, chain: tuple[Path, ...], path: str) -> Any:
        if isinstance(named, str):
            return self._file(named, chain, path)
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise _RefusedError("must be the name of a file, or a list of them")
        found: Any = {}
        for one in named:
            found = _merged(found, self._file(one, chain, path))
        return found

    def _file(self, name: str, chain: tuple[Path, ...], path: str) -> Any:
        file = Path(os.path.normpath(chain[-1].parent / name))
        if "\0" in name or len(str(file)) > _LONGEST_PATH or not name:
            raise _RefusedError("names no file")
        if file in chain:
            raise _RefusedError(f"{file} includes itself")
        if len(chain) > _DEEPEST:
            raise _RefusedError(f"more than {_DEEPEST} files include one another")
        real = os.path.realpath(file)
        if not any(os.path.commonpath((root, real)) == root for root in self.inside):
            text = f"{file} lies outside {chain[0].parent}: move it there, or list its folder in OPENCLAW_INCLUDE_ROOTS"
            raise _RefusedError(text)
        try:
            raw = read_json(file, self.findings, _LARGEST_INCLUDE)
        except UnreadableConfigError as error:
            raise _RefusedError(f"{file} {error}") from None
        return self.content(raw, (*chain, file), path)


def _merged(below: Any, above: Any) -> Any:
    """Return ``above`` laid over ``below``: objects key by key, lists one behind the other."""
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *above]
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {
        **below,
        **{key: _merged(below[key], value) if key in below else value for key, value in above.items()},
    }
