"""`capture show|cut|redact` as a person at a terminal meets them."""

import errno
import json
from functools import partial
from pathlib import Path

import pytest

from openclaw_channel_octo.capture.format import read_capture
from tests.cli.asking import call

SILENT_GROUP = Path(__file__).parents[2] / "fixtures" / "wukongim" / "silent-group.wkcap"


run = partial(call, "capture")


def test_show_tells_packet_by_packet_what_was_said() -> None:
    shown = run("show", SILENT_GROUP).stdout

    assert "→ CONNECT    uid=a2d83ae3550d29f8faff_bot" in shown
    assert "@Helper please analyse the build log" in shown
    assert "→ RECVACK    #2" in shown


def test_show_gives_programs_a_line_for_each_thing_that_happened() -> None:
    lines = [json.loads(line) for line in run("show", "--json", SILENT_GROUP).stdout.splitlines()]

    assert {"at_s", "from", "what", "detail"} == set(lines[0])
    assert [line["what"] for line in lines[:3]] == ["open", "CONNECT", "CONNACK"]


def test_a_part_is_written_and_can_be_replayed(tmp_path: Path) -> None:
    part = tmp_path / "part.wkcap"

    run("cut", SILENT_GROUP, part, "--from", "0.1", "--to", "60")

    replayed = call("replay", part)
    assert "@Helper are you there?" in replayed.stdout


def test_a_redacted_copy_holds_x_in_place_of_words(tmp_path: Path) -> None:
    copy = tmp_path / "copy.wkcap"

    run("redact", SILENT_GROUP, copy, "--mask-text")

    shown = run("show", copy).stdout
    assert "@Helper xxxxxx xxxxxxx xxx xxxxx xxx" in shown
    assert "analyse" not in shown


def test_a_named_secret_is_replaced(tmp_path: Path) -> None:
    copy = tmp_path / "copy.wkcap"

    run("redact", SILENT_GROUP, copy, "--secret-env", "WORD", env={"WORD": "build log"})

    assert "analyse the TOKEN" in run("show", copy).stdout


def test_a_secret_that_is_not_set_is_a_mistake_and_nothing_is_written(tmp_path: Path) -> None:
    result = run("redact", SILENT_GROUP, tmp_path / "copy.wkcap", "--secret-env", "NOT_SET_ANYWHERE", code=2)

    assert "no such variable: NOT_SET_ANYWHERE" in result.stderr
    assert not (tmp_path / "copy.wkcap").exists()


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there.wkcap"
    there.write_bytes(b"precious")

    result = run("cut", SILENT_GROUP, there, code=2)

    assert "File exists" in result.stderr
    assert there.read_bytes() == b"precious"


@pytest.mark.parametrize("command", [("show",), ("cut", "{new}"), ("redact", "{new}")])
def test_a_broken_file_is_named_with_the_reason(tmp_path: Path, command: tuple[str, ...]) -> None:
    broken = tmp_path / "broken.wkcap"
    broken.write_bytes(b"no msgpack")
    name, *rest = command

    result = run(name, broken, *(part.format(new=tmp_path / "new.wkcap") for part in rest), code=2)

    assert "is no capture" in result.stderr
    assert result.stderr.count("broken.wkcap") == 1


def test_a_torn_file_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    torn = tmp_path / "torn.wkcap"
    torn.write_bytes(SILENT_GROUP.read_bytes()[:-5])

    result = run("show", torn)

    assert "ends in the middle of a record" in result.stderr
    assert len(result.stdout.splitlines()) > 10
    assert read_capture(torn).torn


def test_a_copy_is_for_its_owner_alone_and_half_of_one_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.wkcap"
    run("cut", SILENT_GROUP, copy)
    assert copy.stat().st_mode & 0o077 == 0

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("openclaw_channel_octo.cli.captures.write_capture", full)
    half = tmp_path / "half.wkcap"
    result = run("cut", SILENT_GROUP, half, code=2)
    assert result.stderr == f"{half}: cannot be written: No space left on device\n"
    assert not half.exists()
