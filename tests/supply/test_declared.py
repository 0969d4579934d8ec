"""What the code imports is declared in pyproject.toml, and what the package declares is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = {"openclaw_channel_octo", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared(*extras: str) -> set[str]:
    """Return the names that the package and some of its extras declare."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {named(entry) for entries in lists for entry in entries}


def named(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def modules(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a statement or an `import_module` names."""
    match node:
        case ast.Import(names):
            yield from (each.name for each in names)
        case ast.ImportFrom(str(module), _, 0):
            yield module
        case ast.Call(ast.Name("import_module"), [ast.Constant(str(module)), *_]):
            yield module


@cache
def distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported(files: Iterable[Path]) -> Iterator[str]:
    """Yield the distributions that files import, at their top or inside functions."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            for top in {name.partition(".")[0] for name in modules(node)} - OWN - sys.stdlib_module_names:
                yield distributions().get(top, [top])[0].lower().replace("_", "-")


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("openclaw_channel_octo", ("json5", "mcp", "metrics", "openai", "playground", "test")),
        ("examples", ("test",)),
        ("tests", ("json5", "mcp", "metrics", "openai", "test", "dev")),
    ],
)
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    assert {*imported((ROOT / folder).rglob("*.py"))} - declared(*extras) == set()


def test_what_is_declared_is_imported() -> None:
    found = {*imported((ROOT / "openclaw_channel_octo").rglob("*.py"))}
    assert declared("json5", "mcp", "metrics", "openai") - found == set()
