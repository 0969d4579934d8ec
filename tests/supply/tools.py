"""What building, auditing and trying the package share: folders, tools apart from what they look at, interpreters."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["CACHE", "DIST", "ROOT", "TOOLS", "interpreter", "run", "tool"]

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
CACHE = ROOT / ".cache" / "supply"
TOOLS: Mapping[str, str] = {
    "cyclonedx-py": "cyclonedx-bom>=7",
    "pip-audit": "pip-audit>=2.9",
    "twine": "twine>=6.1",
    "uv": "uv>=0.9",
}
"""By the name of the program: the package that brings it."""


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program that has to succeed."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=cwd)


def tool(name: str) -> str:
    """Return the path of a tool, installed apart from what it looks at."""
    folder = CACHE / "tools" / name
    if not (folder / "bin" / name).exists():
        venv.create(folder, clear=True)
        python = str(folder / "bin" / "python")
        run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", TOOLS[name])
    return str(folder / "bin" / name)


def interpreter(version: str) -> str:
    """Return the path of an installed Python of a version such as ``3.12``, empty where there is none."""
    for path in _candidates(f"python{version}"):
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if done.stdout.startswith(f"Python {version}."):
            return path
    return ""


def _candidates(name: str) -> Iterator[str]:
    if path := shutil.which(name):
        yield path
    # pyenv: a shim stands in the PATH for versions that are not chosen as well
    yield from sorted(map(str, Path.home().glob(f".pyenv/versions/*/bin/{name}")), reverse=True)
