"""The fixtures, in a plugin author's own test suite."""

import subprocess
import sys
from pathlib import Path

PLUGIN = 'pytest_plugins = ["openclaw_channel_octo.testing.pytest_plugin"]\n'
SUITE = """
import pytest

@pytest.mark.asyncio
async def test_all_three(octo_double, manual_clock, scripted_host):
    octo_double.add_person("ann", "Ann")
    octo_double.add_bot("helper_bot", "bf_1")
    group = octo_double.add_group("g1", ["ann", "helper_bot"])
    await manual_clock.advance(60)
    await octo_double.say("ann", group, "hi")
    assert octo_double.chat(group)[0].timestamp == manual_clock.wall_ms() // 1000
    assert scripted_host.turns == []
    assert octo_double.api_url.startswith("http://127.0.0.1:")
"""


def test_the_fixtures_work_in_the_strict_mode_of_pytest_asyncio(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    options = [
        "-o",
        "asyncio_mode=strict",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        str(tmp_path),
    ]

    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
