"""The package as users get it: built, checked, installed and started; and the oldest dependencies it allows."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from openclaw_channel_octo import __version__
from tests.supply.tools import CACHE, DIST, ROOT, interpreter, run, tool

__all__ = ["lowest", "package"]

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SELECTION = (
    *("tests/test_plugin.py", "tests/config/test_access.py", "tests/config/test_host.py"),
    *(
        "tests/control/test_mcp.py",
        "tests/rest/test_answers.py",
        "tests/cli/test_metrics.py",
        "tests/message/test_payload.py",
    ),
)
"""Tests in which every dependency has a part, quick enough to be run for each Python."""

NEWCOMER = ("tests/docs/test_tutorial.py", "tests/newcomer")
"""The tutorial as it is written, and a year of an operator."""


def package() -> int:
    """Build sdist and wheel, check them, and try the wheel on every Python there is; return the exit code."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(tool("uv"), "build", "--quiet", "--out-dir", str(DIST))
    built = sorted(path for path in DIST.iterdir() if path.suffix in {".gz", ".whl"})
    run(tool("twine"), "check", "--strict", *map(str, built))
    print("built and checked:", ", ".join(path.name for path in built))
    (wheel,) = DIST.glob(f"openclaw_channel_octo-{__version__}-*.whl")
    for version in PYTHONS:
        python = interpreter(version)
        if python:
            _try(wheel, _environment(python, version))
        print(
            f"Python {version}:",
            "installed from the wheel: demo, tutorial, a year" if python else "not here, not tried",
        )
    return 0


def lowest() -> int:
    """Run some tests with the oldest versions that pyproject.toml allows; return the exit code."""
    python = _environment(sys.executable, "lowest")
    install = (tool("uv"), "pip", "install", "--quiet", "--python", python)
    run(
        *install,
        "--resolution",
        "lowest-direct",
        "--editable",
        f"{ROOT}[json5,mcp,metrics,openai,playground,test]",
    )
    run(*install, "hypothesis", "multidict")
    return subprocess.run([python, "-m", "pytest", "-q", *SELECTION], check=False, cwd=ROOT).returncode


def _environment(python: str, name: str) -> str:
    """Make a new environment; return its Python."""
    folder = CACHE / name
    run(tool("uv"), "venv", "--quiet", "--clear", "--python", python, str(folder))
    return str(folder / "bin" / "python")


def _try(wheel: Path, python: str) -> None:
    """Install a wheel and nothing else; run its demo and what an operator does, away from the sources."""
    run(tool("uv"), "pip", "install", "--quiet", "--python", python, str(wheel))
    program = str(Path(python).with_name("openclaw-octo"))
    with tempfile.TemporaryDirectory() as folder:
        said = run(program, "--version", cwd=Path(folder)).stdout
        assert __version__ in said, said
        run(program, "demo", cwd=Path(folder))
        # an empty home and nothing of this environment but the tests, which come from the sources
        env = {"HOME": folder, "LANG": "C.UTF-8", "PATH": os.defpath, "OCTO_PROGRAM": program}
        tests = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NEWCOMER)
        subprocess.run(tests, check=True, cwd=ROOT, env=env)
