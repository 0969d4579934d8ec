"""Packages from npm, each installed once, into a cache folder of the project."""

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

__all__ = ["CannotInstall", "package"]

_LIMIT_S = 900.0
_SAY_EVERY_S = 15.0


class CannotInstall(Exception):
    """npm is missing, or could not bring a package; the message is one line that says which."""


def package(place: Path, name: str, say: Callable[[str], object] = print) -> Path:
    """Return the ``node_modules`` that holds a package, after installing it where it is missing.

    Args:
        place: its folder of a cache; one that exists is complete.
        name: the package and its version, as npm takes it.
        say: gets a line when something begins, goes on for long, or is there.

    Raises:
        CannotInstall: npm is missing, answers an error, or takes longer than 15 minutes.
    """
    with _alone(place.parent):
        if not place.is_dir():
            part = place.with_name(f"{place.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            _npm(part, name, say)
            part.rename(place)
    return place / "node_modules"


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Keep two suites from installing into the same folder at once."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _npm(folder: Path, package: str, say: Callable[[str], object]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall(f"npm is not installed: {package} cannot be fetched")
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
