"""The picture and the names in docs/architecture.md are those of the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "openclaw_channel_octo"
TEXT = (ROOT / "docs" / "architecture.md").read_text()
PICTURE = TEXT.partition("<!-- the picture -->")[2].split("```")[1]
DEPTH = {room: depth for depth, line in enumerate(PICTURE.strip().splitlines()) for room in line.split()}


def room_of(module: str) -> str:
    """Return the room of a module, both named without the package."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "runtime" and len(parts) > 1 else parts[0]


def modules() -> Iterator[tuple[str, Path]]:
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in {"", "runtime", "__main__"}:
            yield name, path


def imports(path: Path) -> Iterator[str]:
    """Yield the package's modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("openclaw_channel_octo."):
            module = (node.module or "").partition(".")[2]
            yield from (f"{module}.{name.name}" if module == "runtime" else module for name in node.names)


def test_every_room_stands_in_the_picture_once_and_no_other() -> None:
    assert sorted(PICTURE.split()) == sorted({room_of(name) for name, _ in modules()})


def test_imports_go_down_the_picture_only() -> None:
    wrong = [
        f"{name} imports {used}"
        for name, path in modules()
        for used in imports(path)
        if room_of(used) != room_of(name) and DEPTH[room_of(used)] <= DEPTH[room_of(name)]
    ]
    assert wrong == []


def test_every_folder_of_the_package_has_its_sentence() -> None:
    told = set(re.findall(r"^\| `([\w.]+)`", TEXT, re.MULTILINE)) | {"hookspecs"}
    folders = {
        room_of(name) for name, path in modules() if path.parent != PACKAGE and path.parent.name != "runtime"
    }
    assert folders <= told


def test_every_file_it_names_exists() -> None:
    named = {
        name for name in re.findall(r"`((?:\w+/)+(?:[\w.]+)?)`", TEXT) if not name.startswith("openclaw")
    }
    missing = [name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())]
    assert [name for name in missing if name not in {"octo/", "gateway/", "embedded/", "decisions/"}] == []
