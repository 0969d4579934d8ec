"""Programs of another user, in a network namespace of their own, or on a read-only disk: what stands before them."""

import functools
import os
import subprocess
import sys

import pytest

NOBODY = 65_534
"""A user who is not the one that runs the suite."""

_READS = "dac_read_search"
"""What lets another user read the package and its interpreter, wherever they lie."""


@functools.cache
def _runs(*before: str) -> bool:
    command = (*before, sys.executable, "-c", "import openclaw_channel_octo")
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def as_user(uid: int) -> tuple[str, ...]:
    """Return what starts a command as another user; where that cannot be, skip the test."""
    if uid == os.geteuid():
        return ()
    caps = ("--bounding-set", f"-all,+{_READS}", "--inh-caps", f"+{_READS}", "--ambient-caps", f"+{_READS}")
    before = ("setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", *caps)
    if not _runs(*before):
        pytest.skip("programs of another user need root and setpriv")
    return before


def apart() -> tuple[str, ...]:
    """Return what starts a command in a network namespace of its own; where that cannot be, skip the test."""
    before = ("unshare", "--map-root-user", "--net", "--")
    if not _runs(*before):
        pytest.skip("network namespaces are not permitted here")
    return before


def read_only() -> tuple[str, ...]:
    """Return what starts a command that can write to no file; where that cannot be, skip the test."""
    before = (
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--remount-ro",
        "/dev",
        "--",
    )
    if not _runs(*before):
        pytest.skip("bubblewrap is not here, or not permitted")
    return before
