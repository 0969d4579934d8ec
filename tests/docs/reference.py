"""Markdown from what the code says of itself."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click

__all__ = ["commands", "decisions", "functions", "hooks", "types"]

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises):")
_WORDS = {"Args": "Takes", "Attributes": "Has", "Returns": "Returns", "Raises": "Raises"}


def hooks(module: ModuleType) -> str:
    """Return every hook of a module with its signature."""
    found = [each for name, each in vars(module).items() if name.startswith("openclaw_")]
    return "\n".join(line for hook in found for line in _hook(hook))


def types(*given: type) -> str:
    """Return classes with what they hold and do."""
    return "\n".join(line for each in given for line in _type(each))


def functions(*given: Callable[..., Any]) -> str:
    """Return functions with their signatures."""
    return "\n".join(line for each in given for line in _hook(each))


def decisions(folder: Path) -> str:
    """Return a table of the decisions in a folder, by their numbers."""
    found = sorted(folder.glob("[0-9]*.md"))
    heads = ((path, path.read_text().partition("\n")[0].removeprefix("# ")) for path in found)
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {path.name[:4]} | [{head}]({path.name}) |" for path, head in heads), ""]
    )


def commands(group: click.Group, name: str) -> str:
    """Return the help of every command below a group."""
    return "\n".join(_commands(group, click.Context(group, info_name=name), 2))


def _hook(hook: Callable[..., Any]) -> Iterator[str]:
    settings = getattr(hook, "openclaw_spec", {})
    yield from (f"### `{hook.__name__}`", "", *_code(hook, "def "))
    yield from (*_text(hook), "")
    if settings.get("firstresult"):
        yield from ("The first answer that is not `None` counts; later plugins are not asked.", "")


def _type(each: type) -> Iterator[str]:
    yield from (f"### `{each.__name__}`", "", *_text(each), "")
    for name, told in _attributes(each):
        yield f"- `{name}`: {told}"
    for name, method in vars(each).items():
        if inspect.isfunction(method) and (not name.startswith("_") or name in {"__getitem__", "__iter__"}):
            yield from ("", *_code(method, "async def " if inspect.iscoroutinefunction(method) else "def "))
            yield from _text(method)
    yield ""


def _code(function: Callable[..., Any], word: str) -> list[str]:
    parameters = inspect.signature(function)
    shown = [each.replace(default=_default_of(each)) for each in parameters.parameters.values()]
    signature = str(parameters.replace(parameters=shown)).replace("'", "")
    signature = re.sub(r"\b(?:[a-z_]+\.)+([A-Z])", r"\1", signature)
    return ["```python", f"{word}{function.__name__}{signature}", "```", ""]


def _default_of(parameter: inspect.Parameter) -> Any:
    """Return a parameter's default as it is shown: nothing of an environment, which is that of who writes the page."""
    default = parameter.default
    if isinstance(default, str):
        return _Shown(json.dumps(default))
    plain = default is inspect.Parameter.empty or isinstance(default, int | float | tuple | None)
    return default if plain else _Shown("...")


class _Shown(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _attributes(each: type) -> Iterator[tuple[str, str]]:
    """Yield the attributes that a class explains one by one, in strings behind them."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
    assert isinstance(found, ast.ClassDef)
    for one, after in zip(found.body, found.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(after, ast.Expr):
            told = ast.literal_eval(after.value)
            yield f"{ast.unparse(one.target)}: {ast.unparse(one.annotation)}", _plain(" ".join(told.split()))


def _text(item: Any) -> Iterator[str]:
    """Yield a docstring, its sections as lists."""
    listed = False
    for line in textwrap.dedent(inspect.getdoc(item) or "").splitlines():
        if section := _SECTION.fullmatch(line):
            listed = True
            yield from (f"{_WORDS[section[1]]}:", "")
        elif listed and (entry := re.fullmatch(r"    (\S[^:]*): (.*)", line)):
            yield f"- `{entry[1]}`: {_plain(entry[2])}"
        else:
            yield f"  {_plain(line.strip())}" if listed and line else _plain(line)


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _commands(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    names = [
        str(parameter.name).upper() for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    yield from (f"{'#' * depth} {' '.join([context.command_path, *names])}", "", *_help(command), "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"- `{_option(parameter)}`: {parameter.help}{_default(parameter)}"
    yield ""
    if command.epilog:
        yield from (f"Example: `{command.epilog.splitlines()[-1].strip()}`", "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if child := command.get_command(context, name):
                yield from _commands(child, click.Context(child, info_name=name, parent=context), depth + 1)


def _help(command: click.Command) -> list[str]:
    return inspect.cleandoc(command.help or "").splitlines()


def _option(option: click.Option) -> str:
    kind = option.type
    choices = "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else ""
    value = (
        "" if option.is_flag else " " + (option.metavar or choices or kind.name.upper().replace(" RANGE", ""))
    )
    return ", ".join([*option.opts, *option.secondary_opts]) + value


def _default(option: click.Option) -> str:
    return f" Default: {option.default}." if option.show_default else ""
