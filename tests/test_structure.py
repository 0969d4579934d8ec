"""Rooms stay small: functions of at most 40 lines, docstring aside, modules of at most 400, ten files beside rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

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


def test_functions_have_at_most_40_lines_and_modules_400() -> None:
    found = [f"{path}: {problem}" for path in MODULES for problem in too_long(ast.parse(path.read_text()))]
    assert found == []
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > 400] == []


def test_a_module_above_350_lines_says_why_it_is_one() -> None:
    long = [path for path in MODULES if len(path.read_text().splitlines()) > 350]
    assert [str(path) for path in long if "Over 350 lines: " not in path.read_text()[:1000]] == []


def test_a_folder_with_rooms_in_it_has_at_most_ten_files() -> None:
    folders = {path.parent for path in MODULES}
    rooms = {folder.parent for folder in folders if folder != PACKAGE}
    assert [str(room) for room in rooms if sum(path.parent == room for path in MODULES) > 10] == []


def test_the_measure_finds_what_is_too_long() -> None:
    body = "\n".join("    x = 1" for _ in range(40))
    assert list(too_long(ast.parse(f"def f():\n{body}\n"))) == ["f has 41 lines"]
    assert list(too_long(ast.parse(f'def f():\n    """Say."""\n{body[:-10]}\n'))) == []
