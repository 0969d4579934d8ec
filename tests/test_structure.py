"""Rooms stay small: functions of at most 40 lines, docstring aside, modules of at most 400."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "openclaw_channel_octo"
MODULES = sorted(PACKAGE.rglob("*.py"))


def too_long(tree: ast.Module) -> Iterator[str]:
    for found in ast.walk(tree):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            first = found.body[0]
            told = ast.get_docstring(found) is not None
            lines = (found.end_lineno or 0) - found.lineno + 1
            if told:
                lines -= (first.end_lineno or 0) - first.lineno + 1
            if lines > 40:
                yield f"{found.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_and_modules_stay_small(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 400
    assert list(too_long(ast.parse(source))) == []


def test_the_measure_finds_what_is_too_long() -> None:
    body = "\n".join("    x = 1" for _ in range(40))
    assert list(too_long(ast.parse(f"def f():\n{body}\n"))) == ["f has 41 lines"]
    assert list(too_long(ast.parse(f'def f():\n    """Say."""\n{body[:-10]}\n'))) == []
