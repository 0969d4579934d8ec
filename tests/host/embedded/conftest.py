"""Parts that the tests of the embedded host share."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from openclaw_channel_octo.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def plain_user_folder() -> Iterator[Path]:
    """A folder of a user without privileges, who the test runs as: nothing is read-only to root."""
    nobody = 65534
    is_root = os.geteuid() == 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        if is_root and not all(parent.stat().st_mode & 0o001 for parent in folder.parents):
            pytest.skip("the folder for temporary files is closed to other users")
        if is_root:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)
