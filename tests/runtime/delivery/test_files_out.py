"""Files of answers: in the chat once, in their place, as what they are; and a line where one cannot be sent."""

import base64
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.base import Accepted, Block, Final, Media, MediaItem
from openclaw_channel_octo.testing import HANG, ErrorAnswer, Hang, LoseAnswer, Refuse, ScriptedHost
from tests.runtime.rig import HELPER, Rig, python_agent

NOTE = "⚠️ I could not send a file:"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 640, 480, 8, 2, 0, 0, 0) + b"\0" * 40
SECRET = "planted-secret-never-to-leave"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The folder the operator allows, beside a secret they do not."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "chart.png").write_bytes(PNG)
    (folder / "notes.txt").write_text("notes")
    (folder / "report.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "secret.txt").write_text(SECRET)
    return folder


def item(source: object, **keys: Any) -> MediaItem:
    return MediaItem(kind=keys.pop("kind", "file"), url=str(source), **keys)


def payloads(rig: Rig) -> list[Mapping[str, Any]]:
    return [line.payload for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]


def shown(rig: Rig) -> list[str]:
    """Return what stands in the chat: texts, and files by name."""
    return [found.get("name") or found["content"] for found in payloads(rig)]


def stored(rig: Rig, payload: Mapping[str, Any]) -> bytes:
    return rig.octo.file(payload["url"]).content


async def answered(rig: Rig, shared: Path, *events: Any, **settings: Any) -> list[str]:
    """Let the agent answer and return what stands in the chat."""
    await rig.start_with(ScriptedHost([Accepted("r"), *events]), mediaRoots=[str(shared)], **settings)
    await rig.mentioned("go")
    return shown(rig)


async def test_texts_and_files_stand_in_the_order_in_which_the_agent_gave_them(
    rig: Rig, shared: Path
) -> None:
    events = (Block("first"), Media(item(shared / "chart.png")), Final("last", (item(shared / "notes.txt"),)))
    assert await answered(rig, shared, *events) == ["first", "chart.png", "last", "notes.txt"]
    _, picture, _, text = payloads(rig)
    assert (picture["type"], picture["width"], picture["height"], picture["size"]) == (2, 640, 480, len(PNG))
    assert (text["type"], text["extension"], text["size"]) == (8, "txt", 5)
    assert (stored(rig, picture), stored(rig, text)) == (PNG, b"notes")
    assert all(isinstance(found["client_ref"], str) for found in payloads(rig))


async def test_a_file_named_twice_is_sent_once(rig: Rig, shared: Path) -> None:
    chart = item(shared / "chart.png")
    assert await answered(rig, shared, Media(chart), Final("done", (chart, chart))) == ["chart.png", "done"]


async def test_an_answer_of_nothing_but_a_file_is_an_answer(rig: Rig, shared: Path) -> None:
    assert await answered(rig, shared, Final("", (item(shared / "report.pdf"),))) == ["report.pdf"]


async def test_after_twenty_files_one_line_says_that_there_are_more(rig: Rig, shared: Path) -> None:
    files = []
    for number in range(25):
        files.append(item(shared / f"{number}.txt"))
        (shared / f"{number}.txt").write_text("x")
    seen = await answered(rig, shared, Final("", tuple(files)))
    assert seen[20:] == [f"{NOTE} (more than 20 in one answer)"]


async def test_a_picture_inside_its_address_is_sent(rig: Rig, shared: Path) -> None:
    address = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert await answered(rig, shared, Final("", (item(address),))) == ["file.png"]
    assert stored(rig, payloads(rig)[0]) == PNG


@pytest.mark.parametrize("envelope", ["S", "N"])
async def test_a_text_whose_type_the_server_refuses_goes_as_txt_under_its_own_name(
    rig: Rig, shared: Path, envelope: str
) -> None:
    rig.octo.envelope = type(rig.octo.envelope)(envelope)
    (shared / "tool.py").write_text("print('é')")
    assert await answered(rig, shared, Final("", (item(shared / "tool.py"),))) == ["tool.py"]
    assert payloads(rig)[0]["url"].endswith(".txt")


async def test_a_program_the_server_refuses_is_not_renamed(rig: Rig, shared: Path) -> None:
    (shared / "tool.exe").write_bytes(b"MZ\0\0")
    seen = await answered(rig, shared, Final("here", (item(shared / "tool.exe"),)))
    assert seen == ["here", f"{NOTE} `tool.exe` (this server takes no files of its type)"]


ESCAPES = {
    "outside": "{up}/secret.txt",
    "dots": "{shared}/../secret.txt",
    "file address": "file://{up}/secret.txt",
    "encoded dots": "file://{shared}/%2e%2e/secret.txt",
    "another machine": "file://elsewhere{shared}/notes.txt",
    "link": "{shared}/link.txt",
    "linked folder": "{shared}/up/secret.txt",
    "pipe": "{shared}/pipe.txt",
    "device": "/dev/zero",
    "folder": "{shared}",
    "relative": "../../secret.txt",
    "nul": "{shared}/notes.txt\0.png",
    "journal": "{up}/state/octo.sqlite",
    "beginning alike": "{shared}x/notes.txt",
}
"""Sources that lead out of the allowed folder, or to something that is no file."""


@pytest.mark.parametrize("how", ESCAPES)
async def test_nothing_outside_the_allowed_folders_ever_leaves(rig: Rig, shared: Path, how: str) -> None:
    (shared / "link.txt").symlink_to(shared.parent / "secret.txt")
    (shared / "up").symlink_to(shared.parent)
    os.mkfifo(shared / "pipe.txt")
    source = ESCAPES[how].format(shared=shared, up=shared.parent)
    seen = await answered(rig, shared, Final("before", (item(source), item(shared / "notes.txt"))))
    assert len(seen) == 3
    assert (seen[0], seen[2]) == ("before", "notes.txt")
    assert seen[1].startswith(NOTE)
    assert str(shared.parent) not in seen[1]
    assert len(rig.octo._storage.files) == 1


async def test_an_address_inside_the_network_is_not_asked_not_even_the_api_itself(
    rig: Rig, shared: Path
) -> None:
    url = rig.octo.put_file("private.txt", SECRET.encode())
    seen = await answered(rig, shared, Final("look", (item(url),)))
    assert seen == ["look", f"{NOTE} `{url.rpartition('/')[2]}` (its address may not be fetched)"]


async def test_a_file_from_the_deployments_own_file_server_is_fetched_and_sent(
    rig: Rig, shared: Path
) -> None:
    url = rig.octo.put_file("chart.png", PNG)
    await answered(rig, shared, Final("", (item(url, name="chart.png"),)), cdnUrl=rig.octo.api_url)
    assert stored(rig, payloads(rig)[0]) == PNG
    assert payloads(rig)[0]["url"] != url


@pytest.mark.parametrize("size", [0, 100 * 1024 * 1024 + 1])
async def test_an_empty_file_and_one_above_the_limit_are_named(rig: Rig, shared: Path, size: int) -> None:
    with (shared / "big.zip").open("wb") as file:
        file.truncate(size)
    reason = "it is larger than 100 MB" if size else "it is empty"
    seen = await answered(rig, shared, Final("", (item(shared / "big.zip"),)))
    assert seen == [f"{NOTE} `big.zip` ({reason})"]
    assert rig.calls("presignUpload") == []


@pytest.mark.parametrize("fault", [ErrorAnswer(status=403), ErrorAnswer(status=500), Refuse(), LoseAnswer()])
async def test_an_upload_that_fails_once_is_tried_again(
    fast_rig: Rig, shared: Path, fault: ErrorAnswer | Refuse | LoseAnswer
) -> None:
    fast_rig.octo.fail_next("upload", fault)
    assert await answered(fast_rig, shared, Final("", (item(shared / "notes.txt"),))) == ["notes.txt"]
    renewed = isinstance(fault, ErrorAnswer) and fault.status == 403
    assert len(fast_rig.calls("presignUpload")) == (2 if renewed else 1)


@pytest.mark.parametrize("fault", [ErrorAnswer(status=403), ErrorAnswer(status=500), Refuse()])
async def test_an_upload_that_always_fails_leaves_a_line_and_the_rest_goes_on(
    fast_rig: Rig, shared: Path, fault: ErrorAnswer | Refuse, caplog: pytest.LogCaptureFixture
) -> None:
    fast_rig.octo.fail_next("upload", fault, times=None)
    seen = await answered(fast_rig, shared, Media(item(shared / "notes.txt")), Final("the rest"))
    assert seen == [f"{NOTE} `notes.txt` (the upload failed)", "the rest"]
    assert "signed" not in caplog.text.replace("signed request", "")


async def test_a_storage_that_hangs_holds_up_an_answer_for_five_minutes_only(
    fast_rig: Rig, shared: Path
) -> None:
    fast_rig.octo.fail_next("upload", Hang(), times=None)
    seen = await answered(fast_rig, shared, Final("", (item(shared / "notes.txt"),)))
    assert seen == [f"{NOTE} `notes.txt` (it took too long)"]
    fast_rig.octo.release()


@pytest.mark.parametrize("dropped", [(), ("client_ref",)], ids=["by its key", "by its address"])
async def test_a_file_message_without_an_answer_is_looked_for_before_it_is_sent_again(
    fast_rig: Rig, shared: Path, dropped: tuple[str, ...]
) -> None:
    fast_rig.octo.dropped_keys = frozenset(dropped)
    fast_rig.octo.fail_next("sendMessage", LoseAnswer())
    assert await answered(fast_rig, shared, Final("", (item(shared / "notes.txt"),))) == ["notes.txt"]


@pytest.mark.parametrize("call", ["upload", "presignUpload", "sendMessage"])
async def test_a_process_that_dies_on_the_way_of_a_file_leaves_an_answer_that_is_finished(
    rig: Rig, shared: Path, call: str
) -> None:
    config = rig.config(mediaRoots=[str(shared)])
    final = Final("text", (item(shared / "notes.txt"), item(shared / "chart.png")))
    await rig.start(config, ScriptedHost([Accepted("r"), final]))
    if call == "sendMessage":
        await_text = LoseAnswer()
        rig.octo.fail_next(call, await_text)
    rig.octo.fail_next(call, Hang())
    message_id = await rig.mention("go")
    reached = 2 if call == "sendMessage" else 1
    await rig.octo.wait_for(lambda: len(rig.calls(call.replace("upload", "presignUpload"))) >= reached)
    await rig.stop()
    rig.octo.heal()  # it may have died before it reached the upload
    again = ScriptedHost()
    await rig.start(config, again)
    await rig.until_row(message_id, "answered")
    assert shown(rig) == ["text", "notes.txt", "chart.png"]
    assert again.turns == []


async def test_a_file_that_vanished_before_the_restart_becomes_a_line(rig: Rig, shared: Path) -> None:
    config = rig.config(mediaRoots=[str(shared)])
    host = ScriptedHost([Accepted("r"), Final("text", (item(shared / "notes.txt"),))])
    await rig.start(config, host)
    rig.octo.fail_next("upload", Hang())
    message_id = await rig.mention("go")
    await rig.octo.wait_for(lambda: rig.calls("presignUpload"))
    await rig.stop()
    (shared / "notes.txt").unlink()
    await rig.start(config, ScriptedHost())
    await rig.until_row(message_id, "answered")
    assert shown(rig) == ["text", f"{NOTE} `notes.txt` (it is not there)"]


async def test_a_file_in_the_runs_own_folder_is_sent_and_the_folder_removed(rig: Rig, shared: Path) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("", (item("made.txt"),))]))
    message_id = await rig.under_way("go")
    output = host.turns[0].output
    assert output is not None
    (output / "made.txt").write_text("made")
    host.release()
    await rig.until_row(message_id, "answered")
    assert shown(rig) == ["made.txt"]
    await rig.stop(drain_s=600)
    assert not output.exists()


LEAVES_A_FILE = """
os.makedirs(os.environ["OPENCLAW_OUTPUT"], exist_ok=True)
open(os.path.join(os.environ["OPENCLAW_OUTPUT"], "big.bin"), "w").write("x" * 1000)
print("hello")
"""


async def test_an_answer_that_cannot_be_sent_leaves_no_folder_behind(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent(LEAVES_A_FILE)))
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403), times=None)
    await rig.mentioned("go", "dead")
    await rig.stop(drain_s=600)
    assert list((rig.state_dir / "output").glob("*")) == []


async def test_files_on_their_way_leave_nothing_behind_and_the_folder_never_fills(
    rig: Rig, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", len(PNG) + 10)
    inside = "data:image/png;base64," + base64.b64encode(PNG).decode()
    elsewhere = rig.octo.put_file("chart.png", PNG)
    sources = (inside, elsewhere, f"{inside[:-8]}AAAAAAA=", f"{elsewhere}?again")
    events = [event for source in sources for event in (Media(item(source, name="chart.png")),)]
    seen = await answered(rig, shared, *events, Final("done"), cdnUrl=rig.octo.api_url)
    assert seen == ["chart.png"] * 4 + ["done"]
    assert list((rig.state_dir / "outgoing").glob("*")) == []


async def test_a_file_inside_its_address_that_finds_no_room_becomes_a_line(
    rig: Rig, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", len(PNG) - 1)
    address = "data:image/png;base64," + base64.b64encode(PNG).decode()
    seen = await answered(rig, shared, Final("look", (item(address),)))
    assert seen == ["look", f"{NOTE} `file.png` (there is no room for it at the moment)"]


async def test_a_file_that_could_not_be_kept_takes_no_room_from_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.rest.media_folder.FULL_BYTES", len(PNG))
    address = "data:image/png;base64," + base64.b64encode(PNG).decode()
    rig.state_dir.mkdir(parents=True, exist_ok=True)
    (rig.state_dir / "outgoing").write_text("not a folder")
    turn = (Accepted("r"), Final("", (item(address),)))
    await rig.start(rig.config(), ScriptedHost(turn, turn))
    await rig.mentioned("go")
    (rig.state_dir / "outgoing").unlink()
    await rig.mentioned("again")
    assert shown(rig) == [f"{NOTE} `file.png` (there is no room for it at the moment)", "file.png"]


async def test_files_behind_a_message_that_cannot_be_sent_are_not_kept(rig: Rig) -> None:
    address = "data:image/png;base64," + base64.b64encode(PNG).decode()
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Final("look", (item(address),))]))
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403), times=None)
    await rig.mentioned("go", "dead")
    assert list((rig.state_dir / "outgoing").glob("*")) == []


async def test_a_file_that_breaks_what_looks_at_it_becomes_a_line_and_the_rest_goes_on(
    rig: Rig, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a library broke")

    monkeypatch.setattr("openclaw_channel_octo.runtime.delivery.attachments._measured", broken)
    seen = await answered(rig, shared, Media(item(shared / "chart.png")), Final("after"))
    assert seen == [f"{NOTE} `chart.png` (it could not be sent)", "after"]


async def test_a_run_does_not_get_at_the_folder_of_another(rig: Rig, shared: Path) -> None:
    other = rig.state_dir / "output" / "another-run"
    other.mkdir(parents=True)
    (other / "theirs.txt").write_text(SECRET)
    seen = await answered(
        rig, shared, Final("", (item(other / "theirs.txt"), item("../another-run/theirs.txt")))
    )
    assert [line.startswith(NOTE) for line in seen] == [True, True]


async def test_a_program_sends_what_it_made_by_naming_it_in_a_line(rig: Rig, shared: Path) -> None:
    source = (
        "folder = os.environ['OPENCLAW_OUTPUT']\n"
        "assert os.stat(folder).st_mode & 0o777 == 0o700\n"
        "open(folder + '/made.txt', 'w').write('made')\n"
        "print('Here it is:')\nprint('MEDIA:made.txt')\nprint('MEDIA:/etc/hostname')"
    )
    await rig.start(rig.config(agent=python_agent(source)))
    await rig.mentioned("go")
    said, made, refused = shown(rig)
    assert (said, made) == ("Here it is:", "made.txt")
    assert refused == f"{NOTE} `hostname` (it is not in a folder I may send files from)"
    assert stored(rig, payloads(rig)[1]) == b"made"


async def test_names_as_programs_write_them_are_the_files_of_the_run_in_order(rig: Rig, shared: Path) -> None:
    source = (
        "folder = os.environ['OPENCLAW_OUTPUT']\n"
        "os.mkdir(folder + '/sub')\n"
        "for name in ('my report', 'my chart.png', 'sub/c.txt', 'd: e?.txt'):\n"
        "    open(f'{folder}/{name}', 'w').write(name)\n"
        "print('first\\r\\n- **MEDIA:** `my report`\\r\\nsecond\\r\\n`MEDIA:my chart.png sub/c.txt`')\n"
        "print(f'MEDIA:{folder}/d: e?.txt\\n\\nMEDIA:not made\\nMEDIA:')\n"
        "print('```\\nMEDIA:my report\\n```')"
    )
    await rig.start(rig.config(agent=python_agent(source)))
    await rig.mentioned("go")
    files = ["my report", "my chart.png", "c.txt", "d e?.txt"]
    notes = [f"{NOTE} `not made` (it is not there)", f"{NOTE} `file` (no file is named)"]
    code = "```\nMEDIA:my report\n```"
    assert shown(rig) == ["first", files[0], "second", *files[1:], *notes, code]
    assert stored(rig, payloads(rig)[1]) == b"my report"


def test_a_whole_disk_is_no_folder_to_send_from(rig: Rig) -> None:
    with pytest.raises(ConfigError, match="mediaRoots"):
        parse_config(rig.config(mediaRoots=["/"]), base=rig.state_dir)
