"""`init`: from a server and a token to a file that runs, over the double."""

import stat
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.asking import call, command
from tests.programs import launched, stopped, up
from tests.runtime.rig import HELPER, TOKEN, Rig


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    return folder / "octo.json"


async def made(rig: Rig, file: Path, *options: object, code: int = 0, server: str = "") -> Result:
    """Carry out `init` for a script that has the token in a variable; nothing it prints holds it."""
    words = (
        "--yes",
        "--config",
        file,
        "--server",
        server or rig.octo.api_url,
        "--token-env",
        "GIVEN",
        *options,
    )
    result = await command("init", *words, code=code, env={"GIVEN": TOKEN})
    assert TOKEN not in result.output
    return result


async def test_what_a_script_makes_runs_and_answers(rig: Rig, file: Path) -> None:
    result = await made(rig, file)

    assert f"Next: openclaw-octo run --config {file}" in result.stdout
    assert TOKEN not in file.read_text()
    written = [file, *file.parent.glob("octo.secrets/*")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in written] == [0o600, 0o600]
    assert not rig.calls("register")
    assert "fine, 1 account, 1 on" in call("config", "check", file).stdout
    process = await launched(file)
    await up(rig.octo, process, HELPER)
    await rig.mention("hello")
    assert await rig.until_said(1)
    await stopped(process)
