"""An agent program that acts in the chat beside answering, through the real control socket of a real run."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from openclaw_channel_octo.cli.operate.message import send
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import Envelope
from tests.cli.asking import call, command
from tests.programs import PROGRAM
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, Rig, python_agent

Start = Callable[[str], Awaitable[None]]


@pytest.fixture
async def start(rig: Rig) -> AsyncIterator[Start]:
    """Run an agent program that has ``message(...)`` at hand, and answer on the control socket meanwhile."""
    servers: list[ControlServer] = []

    async def run(source: str) -> None:
        tools = (
            "import subprocess\n"
            "def message(*words):\n"
            f"    done = subprocess.run([{str(PROGRAM)!r}, 'message', *words], capture_output=True, text=True)\n"
            "    return (done.stdout + done.stderr).strip()\n"
        )
        await rig.start(rig.config(agent=python_agent(tools + source)))
        server = ControlServer(rig.state_dir, SystemClock(), lambda text: text)
        register_calls(server, rig.channel, "embedded")
        await server.start()
        servers.append(server)

    yield run
    for server in servers:
        await server.stop()


async def test_a_program_sends_elsewhere_and_answers_here(rig: Rig, start: Start) -> None:
    rig.octo.add_group("g2", [ANN, HELPER], name="Elsewhere")
    await start("print(message('send', 'group:g2', 'deployed'))")
    await rig.mentioned("tell them")

    there = [line.text for line in rig.octo.chat(ChannelRef("g2", 2)) if line.from_uid == HELPER]
    assert there == ["deployed"]
    assert rig.said()[-1].startswith("sent to group:g2: 2044")


async def test_a_text_may_begin_like_an_option(rig: Rig, start: Start) -> None:
    rig.octo.add_group("g2", [ANN, HELPER], name="Elsewhere")
    await start(
        "for text in '- one\\n- two', '-h is help': print(message('send', '--json', 'group:g2', text))"
    )
    await rig.mentioned("tell them")
    there = [line.text for line in rig.octo.chat(ChannelRef("g2", 2)) if line.from_uid == HELPER]
    assert there == ["- one\n- two", "-h is help"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["group:g1", "- a", "--file", "- b.png"], ("- a", ("- b.png",))),
        (["--file=/tmp/a b.png", "group:g1", "--- a"], ("--- a", ("/tmp/a b.png",))),
        (["group:g1", "--", "- a"], ("- a", ())),
        (["group:g1", "-"], ("-", ())),
    ],
)
def test_a_text_and_options_are_told_apart(words: list[str], values: tuple[str, tuple[str, ...]]) -> None:
    params = send.make_context("send", words).params
    assert (params["target"], params["text"], params["files"]) == ("group:g1", *values)


def test_a_misspelt_option_is_no_text() -> None:
    with pytest.raises(click.NoSuchOption):
        send.make_context("send", ["group:g1", "--fil", "a.png"])


async def test_what_it_sends_here_is_a_part_of_the_answer_and_silence_afterwards_is_fine(
    rig: Rig, start: Start
) -> None:
    await start("message('send', 'group:g1', 'step one'); message('send', 'group:g1', 'step two')")
    await rig.mentioned("go")

    assert rig.said() == ["step one", "step two"]


async def test_it_reads_what_the_person_who_asked_may_read_and_nothing_else(rig: Rig, start: Start) -> None:
    rig.octo.add_group("g2", [ANN, HELPER], name="Ann's")
    await rig.octo.say(ANN, ChannelRef("g2", 2), "a secret of Ann's")
    await start("print(message('read', 'group:g2'))")
    await rig.until_row(await rig.mention("read it", who=BEN), "answered")
    await rig.until_row(await rig.mention("read it", who=ANN), "answered")

    bens, anns = rig.said()
    assert "secret" not in bens
    assert "a secret of Ann's" in anns
    assert "nobody in them asks you for anything" in anns


async def test_it_looks_up_groups_people_and_threads(rig: Rig, start: Start) -> None:
    await start(
        "print(message('groups')); print(message('members', 'group:g1', '--name', 'be'));"
        "print(message('threads', 'group:g1')); print(message('resolve', 'g1', '--json'))"
    )
    await rig.mentioned("look")

    said = rig.said()[-1]
    assert "g1  g1" in said
    assert "ben  Ben" in said
    assert "g1____2039626171074744320" in said


async def test_files_come_from_its_own_folder_only(rig: Rig, start: Start, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("planted")
    await start(
        "import os, pathlib\n"
        "out = pathlib.Path(os.environ['OPENCLAW_OUTPUT']); out.mkdir(parents=True, exist_ok=True)\n"
        "(out / 'report.txt').write_text('fine')\n"
        f"print(message('send', 'group:g1', '--file', str(out / 'report.txt'), '--file', {str(tmp_path / 'passwd')!r}))"
    )
    await rig.mentioned("files")

    lines = [line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]
    assert [line.payload["type"] for line in lines] == [8, 1, 1]
    assert "I could not send a file" in lines[1].text
    assert "planted" not in str(lines)


async def test_a_file_inside_its_address_is_sent_whatever_its_length(rig: Rig, start: Start) -> None:
    await start(
        "import base64\n"
        "inside = 'data:text/plain;base64,' + base64.b64encode(b'x' * 6000).decode()\n"
        "print(message('send', 'group:g1', 'look', '--file', inside))"
    )
    await rig.mentioned("files")

    lines = [line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER]
    assert lines[0].text == "look"
    assert (lines[1].payload["name"], lines[1].payload["size"]) == ("file.txt", 6000)


async def test_with_the_run_ends_what_the_program_may_do(rig: Rig, start: Start, tmp_path: Path) -> None:
    await start(
        f"import os; open({str(tmp_path / 'env')!r}, 'w').write(os.environ['OPENCLAW_TURN']); print('done')"
    )
    await rig.mentioned("go")
    ticket = (tmp_path / "env").read_text()
    environment = {"OPENCLAW_TURN": ticket, "OPENCLAW_STORE": str(rig.state_dir)}

    late = await command("message", "groups", env=environment, code=1)

    assert "the turn has ended" in late.output
    assert ticket not in late.output


def test_outside_a_run_it_says_so() -> None:
    result = call("message", "groups", env={"OPENCLAW_TURN": None}, code=2)

    assert "inside an agent's run only" in result.output


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("message.read", {"target": "g1", "limit": 1_000}),
        ("message.send", {"target": ""}),
        ("message.groups", {"x": 1}),
    ],
)
async def test_wrong_parameters_are_named_and_the_ticket_is_not(
    rig: Rig, start: Start, call: str, params: Mapping[str, Any]
) -> None:
    await start("print('x')")
    reader, writer = await asyncio.open_unix_connection(str(rig.state_dir / "control.sock"))
    request = {"v": 1, "id": 1, "call": call, "params": {"turn": "planted-ticket", **params}}
    writer.write(json.dumps(request).encode() + b"\n")
    answer = json.loads(await reader.readline())
    writer.close()

    assert answer["error"]["code"] == "bad-params"
    assert "planted-ticket" not in str(answer)


async def test_everything_it_asked_for_is_in_the_journal_without_its_words(rig: Rig, start: Start) -> None:
    await start("message('send', 'group:g1', 'confidential words'); message('read', 'group:nowhere')")
    await rig.mentioned("go")

    rows = rig.sql("SELECT requester, action, outcome FROM audit ORDER BY id")
    everything = str(rig.sql("SELECT * FROM audit"))
    assert [row[1] for row in rows] == ["send", "read"]
    assert rows[0][2] == "done"
    assert rows[1][2] in {"denied", "failed"}
    assert "confidential" not in everything
    assert sys.executable not in everything


async def test_it_changes_groups_for_the_owner_and_for_nobody_else(rig: Rig, start: Start) -> None:
    rig.octo.envelope = Envelope.N
    rig.octo.make_admin("g1", HELPER)
    rig.octo.add_person("cat", "Cat")
    await start(
        "import re\n"
        "print(message('rename-group', 'group:g1', 'Launch'))\n"
        "print(message('write-notes', 'group:g1', 'Be brief.', '--version', '0'))\n"
        "print(message('notes', 'group:g1').splitlines()[1])\n"
        "print(message('add-members', 'group:g1', 'cat', 'nobody'))\n"
        "print(message('remove-members', 'group:g1', 'cat'))\n"
        "made = message('create-thread', 'group:g1', 'Plans')\n"
        "thread = made.partition(' ')[2]\n"
        "print(re.sub('[0-9]{9,}', 'N', made))\n"
        "print(message('join-thread', thread), message('archive-thread', thread))\n"
        "print(re.sub('[0-9a-f]{32}', 'G', message('create-group', 'Party', 'cat')))\n"
    )
    await rig.mentioned("go")
    assert rig.said()[-1].splitlines() == [
        *("renamed", "written: version 1", "  Be brief.", "added: cat", "left out: nobody", "removed"),
        *("opened group:g1____N", "joined archived", "created group:G"),
    ]
    assert (rig.octo.notes(rig.group), rig.octo.members("g1")) == ("Be brief.", [ANN, BEN, HELPER, OTHER])
    await rig.until_row(await rig.mention("go", who=BEN), "answered")
    assert rig.said()[-1].count("only the bot's owner") == 6
