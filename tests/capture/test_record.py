"""A bot that is recorded while it runs: what reaches the disk, what never does, and that it replays."""

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.capture import record
from openclaw_channel_octo.capture.format import ApiCall, Capture, SocketControl, read_capture
from openclaw_channel_octo.capture.record import Recorder, RecordLimits
from openclaw_channel_octo.capture.replay import replay
from openclaw_channel_octo.capture.show import timeline
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.errors import CaptureError
from openclaw_channel_octo.rest.answers import Exchange
from openclaw_channel_octo.testing.clock import ManualClock
from tests.runtime.rig import ANN, HELPER, TOKEN, Rig
from tests.until import until

PASSWORD = "hunter2-hunter2"


async def recorded(rig: Rig, folder: Path, **how: Any) -> None:
    """Run the bot with a recorder, let Ann say three things, and stop it."""
    secrets = (SecretStr(TOKEN), SecretStr(PASSWORD))
    tap = partial(Recorder, folder, clock=rig.clock, secrets=secrets, **how)
    await rig.start(rig.config(), tap=tap)
    await rig.octo.say(ANN, rig.group, "just chatting about the café")
    await rig.mention(f"my token is {TOKEN} and my password is {PASSWORD}")
    await rig.until_said(1)
    await rig.octo.say(ANN, rig.dm, "/help")
    await rig.octo.wait_for(lambda: len(rig.octo.chat(rig.dm, ANN)) >= 2)
    await rig.stop()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wkcap"))


async def decisions(capture: Capture) -> list[tuple[str, str]]:
    return [(e["decision"], e["text"]) async for e in replay(capture) if e["event"] == "message"]


async def test_what_was_recorded_replays_with_the_same_messages_and_decisions(
    rig: Rig, tmp_path: Path
) -> None:
    await recorded(rig, tmp_path / "captures")

    (file,) = files(tmp_path / "captures")
    capture = read_capture(file, for_replay=True)
    assert not capture.torn
    assert capture.header.account.robot_id == HELPER
    assert capture.header.account.owner_uid == ANN
    assert [r.event for r in capture.records if isinstance(r, SocketControl)] == ["open", "close"]
    found = await decisions(capture)
    assert ("context", "just chatting about the café") in found
    assert ("turn", "@Helper my token is TOKEN and my password is TOKEN") in found
    assert ("command", "/help") in found
    summary = [event async for event in replay(capture)][-1]
    assert summary["acks"]["equal"]
    assert summary["acks"]["recorded"] > 0


async def test_rest_calls_stand_in_it_in_order_with_what_they_asked_and_got(rig: Rig, tmp_path: Path) -> None:
    await recorded(rig, tmp_path / "captures")

    (file,) = files(tmp_path / "captures")
    calls = [r for r in read_capture(file).records if isinstance(r, ApiCall)]
    assert (calls[0].path, calls[0].status) == ("/v1/bot/register", 200)
    assert calls[0].response["im_token"] == "TOKEN"
    sent = [call for call in calls if call.path == "/v1/bot/sendMessage"]
    assert sent[0].body["channel_id"] == "g1"
    assert "TOKEN" in sent[0].body["payload"]["content"]
    assert sent[0].status == 200
    assert {call.path for call in calls} >= {"/v1/bot/typing", "/v1/bot/readReceipt"}


@pytest.mark.parametrize("mask", [False, True])
async def test_no_secret_reaches_the_disk_not_even_inside_the_encryption(
    rig: Rig, tmp_path: Path, mask: bool
) -> None:
    await recorded(rig, tmp_path / "captures", mask_text=mask)

    (file,) = files(tmp_path / "captures")
    shown = "\n".join(str(line) for line in timeline(read_capture(file)))
    for secret in (TOKEN, PASSWORD):
        assert secret.encode() not in file.read_bytes()
        assert secret not in shown


async def test_masked_text_keeps_its_shape_and_whom_it_addresses_but_no_word(
    rig: Rig, tmp_path: Path
) -> None:
    rig.octo.add_person(ANN, "Annabel Lee")  # a name that base64 cannot spell by chance
    await recorded(rig, tmp_path / "captures", mask_text=True)

    (file,) = files(tmp_path / "captures")
    capture = read_capture(file)
    found = await decisions(capture)
    assert ("context", "xxxx xxxxxxxx xxxxx xxx xxxx") in found
    assert ("turn", "@Helper xx xxxxx xx xxxxx xxx xx xxxxxxxx xx xxxxx") in found
    assert ("command", "/help") in found
    everything = "\n".join(str(line) for line in timeline(capture)) + str(capture.records)
    for word in ("chatting", "café", "password", "Annabel Lee", "Annabel"):
        assert word not in everything


async def test_files_are_for_this_user_alone(rig: Rig, tmp_path: Path) -> None:
    await recorded(rig, tmp_path / "captures")

    (file,) = files(tmp_path / "captures")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def second_file(folder: Path) -> None:
    """Wait for the file of a second connection; the double knows nothing of files, so it cannot tell."""
    await until(lambda: len(files(folder)) == 2, "the record of a second connection")


async def test_every_connection_has_a_file_of_its_own(rig: Rig, tmp_path: Path) -> None:
    await rig.start(rig.config(), tap=partial(Recorder, tmp_path / "captures", clock=rig.clock))
    rig.octo.drop_connections(HELPER)
    await second_file(tmp_path / "captures")
    await rig.octo.wait_for(lambda: rig.octo.online(HELPER))
    await rig.mention("still there?")
    await rig.until_said(1)
    await rig.stop()

    found = [read_capture(file, for_replay=True) for file in files(tmp_path / "captures")]
    assert [len(capture.header.client_private_keys) for capture in found] == [1, 1]
    assert found[0].header.client_private_keys != found[1].header.client_private_keys
    assert ("turn", "@Helper still there?") in await decisions(found[1])


async def test_a_full_recording_ends_with_a_warning_and_the_bot_goes_on(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await recorded(rig, tmp_path / "captures", limits=RecordLimits(max_bytes=3_000))

    (file,) = files(tmp_path / "captures")
    assert file.stat().st_size <= 3_000
    assert "[octo] [helper] the recording has ended" in caplog.text
    assert not read_capture(file).torn


async def test_a_full_disk_ends_the_recording_and_not_the_bot(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("openclaw_channel_octo.capture.record.os.fdopen", full)
    await recorded(rig, tmp_path / "captures")

    assert "the recording has ended: OSError: No space left on device; the bot goes on" in caplog.text


async def test_a_recording_ends_when_its_time_is_over(tmp_path: Path, clock: ManualClock) -> None:
    recorder = Recorder(tmp_path, "helper", clock, limits=RecordLimits(max_s=60.0))
    transport = Silent()
    assert recorder.socket(transport, bytes(32)) is not transport
    await clock.advance(60.0)

    assert recorder.socket(transport, bytes(32)) is transport
    await recorder.close()


async def test_a_disk_that_does_not_keep_up_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(record, "WAITING_BYTES", 10)
    disk = record._Disk(failed := Failures())
    disk.write(b"x" * 11, tmp_path / "a")
    await disk.close()

    assert failed.said == ["the disk is too slow for it"]


def test_a_folder_that_cannot_be_written_is_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CaptureError, match="cannot record to"):
        Recorder(tmp_path / "file", "helper", SystemClock())


async def test_only_the_newest_calls_are_kept_while_no_connection_opens(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "helper", ManualClock())
    for number in range(10_000):
        recorder.call(
            Exchange(method="GET", path=f"/v1/{number}", query={}, body=b"", status=503, response=b"<html>")
        )

    assert len(recorder._early) == record.EARLY_CALLS
    await recorder.close()


class Silent:
    """A transport on which nothing happens."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes:
        return b""

    async def close(self) -> None: ...


class Failures:
    """Collects what it is called with."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, why: str) -> None:
        self.said.append(why)
