"""Variables in a configuration: ``${NAME}`` in its texts, and the ``.env`` files that they may come from.

The rules are those of OpenClaw 2026.9.6 (its ``docs/help/environment.md``): a file means the same here and there.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from openclaw_channel_octo.config.diagnostics import Findings, join
from openclaw_channel_octo.config.environment import looks_secret
from openclaw_channel_octo.config.fetching import UnreadableError, is_open_to_others, text_of

__all__ = [
    "Filled",
    "beside",
    "dotenv",
    "filled",
    "gateway_environment",
    "inline_variables",
    "not_set",
    "settled",
    "unset_in",
]

_VARIABLE = re.compile(r"\$(\$?)\{([A-Z_][A-Z0-9_]*)\}")
_LARGEST_DOTENV = 1024 * 1024
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)(?:[ \t]*=|:[ \t])[ \t]*"""
    r"""(?P<value>(?:'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`)(?=[ \t]*(?:\#.*)?$)|[^\#\r\n]*)""",
    re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"(['\"`])(.*)\1", re.DOTALL)
_NOT_FROM_A_WORKSPACE = re.compile(
    r"(?:OPENCLAW|CLAWHUB)_.*|(?:ANTHROPIC|OPENAI)_API_KEY.*|.*_(?:API_HOST|BASE_URL|ENDPOINT|HOMESERVER)",
    re.IGNORECASE,
)
"""What a gateway does not take from a ``.env`` in its working directory: it may be anybody's."""


class Filled(str):
    """A text of a configuration with its variables filled in.

    Attributes:
        variable: the variable that the text consists of; empty where it is more, or the text had none.
        unset: variables without a value; they stand in the text as they were written.
    """

    __slots__ = ("unset", "variable")

    variable: str
    unset: tuple[str, ...]

    def __new__(cls, text: str, variable: str = "", unset: tuple[str, ...] = ()) -> Self:
        """Make the text."""
        made = super().__new__(cls, text)
        made.variable, made.unset = variable, unset
        return made


def filled(value: Any, env: Mapping[str, str]) -> Any:
    """Return ``value`` with every ``${NAME}`` in its texts replaced, and ``$${NAME}`` by ``${NAME}``.

    Args:
        value: decoded JSON; keys are left as they are.
        env: the variables; an empty one counts as not set.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, str):
        return _filled_text(value, env) if "$" in value else value
    if isinstance(value, Mapping):
        return {key: filled(inner, env) for key, inner in value.items()}
    return [filled(inner, env) for inner in value] if isinstance(value, (list, tuple)) else value


def _filled_text(text: str, env: Mapping[str, str]) -> Filled:
    unset: list[str] = []

    def one(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        if not env.get(found[2]):
            unset.append(found[2])
        return env.get(found[2]) or found[0]

    result = _VARIABLE.sub(one, text)
    whole = _VARIABLE.fullmatch(text)
    return Filled(result, whole[2] if whole and not whole[1] else "", tuple(dict.fromkeys(unset)))


def unset_in(value: Any) -> tuple[str, ...]:
    """Return the variables in what `filled` returned that have no value."""
    if isinstance(value, Filled):
        return value.unset
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return tuple(dict.fromkeys(name for one in inner for name in unset_in(one)))


def settled(value: Any, path: str, findings: Findings) -> Any:
    """Return what `filled` returned as plain values; variables without a value are mistakes, told once.

    Args:
        value: filled, decoded JSON.
        path: where it stands in the file.
        findings: takes the mistakes.
    """
    if isinstance(value, Filled):
        if value.unset:
            findings.explain(path, not_set(*value.unset))
        return str(value)
    if isinstance(value, Mapping):
        return {key: settled(inner, join(path, key), findings) for key, inner in value.items()}
    if isinstance(value, list):
        return [settled(inner, join(path, place), findings) for place, inner in enumerate(value)]
    return value


def not_set(*names: str) -> str:
    """Return the sentence about variables that have no value."""
    if len(names) == 1:
        return f"the environment variable {names[0]} is not set"
    return f"the environment variables {', '.join(names)} are not set"


def beside(base: Path, env: Mapping[str, str], findings: Findings) -> dict[str, str]:
    """Return ``env``, completed by the file ``.env`` in the folder of the configuration."""
    return {**dotenv(base / ".env", findings, private=True), **env}


def gateway_environment(file: Path, env: Mapping[str, str], cwd: Path, findings: Findings) -> dict[str, str]:
    """Return the variables that a gateway has when it reads its file; what is found first counts.

    The environment; ``.env`` in the working directory, without what could lead elsewhere; ``.env`` in the gateway's
    state folder, which is ``OPENCLAW_STATE_DIR``, else that of the file; ``~/.openclaw/.env``; and
    ``~/.config/openclaw/gateway.env``.

    Args:
        file: the gateway's file.
        env: environment variables.
        cwd: the working directory.
        findings: takes what cannot be read.
    """
    home = _home(env)
    named = env.get("OPENCLAW_STATE_DIR", "").strip()
    state = _expanded(named, home) if named else file.parent
    usual = home / ".openclaw"
    files = [state / ".env"]
    if not named:
        files.append(usual / ".env")
    if not named or state == usual:
        files.append(home / ".config" / "openclaw" / "gateway.env")
    found = {name: value for name, value in dotenv(cwd / ".env", findings).items() if _may_come_along(name)}
    found |= env
    for each in files:
        found = {**dotenv(each, findings), **found}
    return found


def _home(env: Mapping[str, str]) -> Path:
    home = Path(env.get("HOME", "").strip() or Path.home())
    named = env.get("OPENCLAW_HOME", "").strip()
    return home if named in {"", "undefined", "null"} else _expanded(named, home)


def _expanded(text: str, home: Path) -> Path:
    return Path(os.path.normpath(f"{home}{text[1:]}" if text.startswith("~") else text))


def _may_come_along(name: str) -> bool:
    return _NOT_FROM_A_WORKSPACE.fullmatch(name) is None


def inline_variables(raw: object, env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env``, completed by what a gateway's file brings in ``env.vars`` and, in older files, in ``env``.

    Args:
        raw: the block ``env`` of the file.
        env: variables that go before, unless they are blank.
    """
    block = raw if isinstance(raw, Mapping) else {}
    inner = block.get("vars")
    named = {**(inner if isinstance(inner, Mapping) else {}), **block}
    brought = {
        str(key): value
        for key, value in named.items()
        if isinstance(value, str) and value.strip() and not _refers(value)
    }
    return brought | {name: value for name, value in env.items() if value.strip() or name not in brought}


def _refers(text: str) -> bool:
    return any(not found[1] for found in _VARIABLE.finditer(text))


def dotenv(file: Path, findings: Findings, *, private: bool = False) -> dict[str, str]:
    """Return the variables of a ``.env`` file; none where there is no such file.

    Args:
        file: the file.
        findings: takes that it cannot be read.
        private: whether it is a remark that others can read secrets in it.
    """
    if not os.path.lexists(file):
        return {}
    try:
        text, mode = text_of(file, _LARGEST_DOTENV)
    except UnreadableError as error:
        findings.warn("", f"{file} {error}: its variables are missing", cause=True)
        return {}
    found = dict(_entries(text.replace("\r\n", "\n").replace("\r", "\n")))
    if private and is_open_to_others(mode) and any(map(looks_secret, found)):
        findings.open_file("", file)
    return found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values as the gateway's reader of such files does (dotenv 17): nothing is expanded.

    A library of our language would do it differently: ``#`` ends a value there only behind a blank.
    """
    for found in _LINE.finditer(text):
        value = found["value"].strip()
        quoted = _QUOTED.fullmatch(value)
        content = quoted[2] if quoted else value
        if value.startswith('"'):
            content = content.replace("\\n", "\n").replace("\\r", "\r")
        if _NAME.fullmatch(found["name"]):
            yield found["name"], content
