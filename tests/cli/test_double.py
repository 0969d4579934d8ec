"""`double` in a process of its own, used as its first lines say."""

import re
import socket
import stat
from pathlib import Path

import pytest

from openclaw_channel_octo.cli.playground.command import write_config
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.cli.asking import call
from tests.programs import double_answers, launched, serving_double, stopped
from tests.runtime.rig import Rig


async def test_a_bot_answers_what_a_script_says_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    async with serving_double() as said, OctoDouble() as unused:
        token = said["botToken"].split()[0]
        rig = Rig(unused, tmp_path / "state", SystemClock())
        try:
            await rig.start_blind(rig.config(bots={"helper": token}, apiUrl=said["apiUrl"]))
            await double_answers(said["page"])
        finally:
            await rig.stop()

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", said["apiUrl"])


async def test_the_configuration_it_writes_runs_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "octo.json"
    async with serving_double("--config-out", file) as said:
        assert said["bot"] == f"openclaw-octo run --config {file}"
        write_config(
            file, said["apiUrl"], "bf_double"
        )  # as the next double on this port does: it says the same
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f"{file}: fine, 1 account, 1 on" in call("config", "check", file).stdout
        process = await launched(file)
        try:
            await double_answers(said["page"])
        finally:
            await stopped(process)


@pytest.mark.parametrize(
    ("name", "words"),
    [("octo.json", "exists and says something else"), ("none/octo.json", "cannot be written")],
)
def test_a_file_that_is_there_or_cannot_be_written_keeps_it_from_starting(
    name: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "octo.json").write_text("{}")
    result = call("double", "--port", "0", "--config-out", tmp_path / name, code=2)

    assert f"{tmp_path / name} {words}" in result.stderr
    assert (tmp_path / "octo.json").read_text() == "{}"
    assert [each.name for each in tmp_path.iterdir()] == ["octo.json"]


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = call("double", "--port", port, code=2)

    assert f"cannot listen on port {port}" in result.stderr
