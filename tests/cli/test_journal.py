"""`openclaw-octo journal` on journals that real bots wrote."""

import json
import re
import shlex
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from openclaw_channel_octo.host.base import Accepted, Block, Failed, Final
from openclaw_channel_octo.testing import HANG, ErrorAnswer, ScriptedHost
from tests.cli.asking import call, command, controlled
from tests.runtime.rig import BEN, HELPER, Rig

journal = partial(call, "journal")


async def filled(rig: Rig) -> tuple[str, str]:
    """Leave an answered and a dead message behind; the bot keeps running."""
    await rig.start(rig.config(replyChunk=100), ScriptedHost())
    answered = await rig.mentioned("the question " * 20)
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=400, msg="bot is not a member of this group"))
    dead = await rig.mentioned("nobody hears this", "dead")
    await rig.octo.say(BEN, rig.group, "chatter is not listed")
    return answered, dead


async def test_the_list_names_what_became_of_each_message_newest_first(rig: Rig) -> None:
    answered, dead = await filled(rig)
    result = journal("list", "--store", rig.state_dir)
    assert result.output.index(dead) < result.output.index(answered)
    assert "in g1 (uid): sendMessage: the bot may not do this here" in result.output
    assert "not a member" in result.output
    assert "in g1 (uid)\n" in result.output
    assert "the question" not in result.output
    only = journal("list", "--store", rig.state_dir, "--state", "answered", "--json")
    (row,) = [json.loads(line) for line in only.output.splitlines()]
    assert (row["message_id"], row["state"]) == (answered, "answered")
    assert "payload" not in row


async def test_where_the_bots_run_the_list_names_the_groups(rig: Rig) -> None:
    await filled(rig)
    await rig.mentioned("in the thread", where=rig.thread)
    async with controlled(rig):
        listed = (await command("journal", "list", "--store", rig.state_dir)).output.splitlines()
        rows = await command("journal", "list", "--store", rig.state_dir, "--json")
    name = rig.channel.group_names("helper")["g1"]
    assert name
    assert f"in {rig.thread.id} {name!r} (uid)" in listed[0]
    assert f"in g1 {name!r} (uid)" in listed[1]
    assert {json.loads(row)["channel_name"] for row in rows.output.splitlines()} == {name}
    assert rig.channel.group_names("nobody") == {}


async def test_the_prompt_of_a_failed_run_is_shown_and_a_missing_one_explained(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Failed("failed", "no model")]))
    failed, fine = await rig.mentioned("\x1b[2Jwhat now?", "notified"), await rig.mentioned("and now?")
    shown = journal("show", failed, "--prompt", "--store", rig.state_dir).output
    assert re.search(r"\n  run \w+ was given:\n(    .*\n)*    .*what now\?\n$", shown)
    assert "\x1b" not in shown
    as_json = journal("show", failed, "--prompt", "--json", "--store", rig.state_dir).output
    assert "what now?" in json.loads(as_json)["prompt"]["text"]
    assert "no prompt is kept" in journal("show", fine, "--prompt", "--store", rig.state_dir).output
    assert "what now" not in journal("show", failed, "--store", rig.state_dir).output


async def test_messages_of_a_state_that_is_named_are_listed_whether_they_were_for_the_bot_or_not(
    rig: Rig,
) -> None:
    await filled(rig)
    result = journal("list", "--store", rig.state_dir, "--state", "context", "--json")
    states = [json.loads(line)["state"] for line in result.output.splitlines()]
    assert states
    assert set(states) == {"context"}


def test_a_folder_that_cannot_be_reached_is_one_clear_line(tmp_path: Path) -> None:
    for words in (["journal", "list"], ["journal", "dead"], ["status"]):
        result = call(*words, "--store", tmp_path / ("x" * 300), code=2)
        assert "octo.sqlite cannot be read: File name too long" in result.stderr


async def test_nothing_a_stranger_wrote_commands_the_operators_terminal(rig: Rig, host: ScriptedHost) -> None:
    message_id = await rig.mentioned("x \x1b]52;c;cm0=\x07\x1b[2J\x1b[1;1H\u202eleft\nhelper: online")
    shown = journal("show", message_id, "--text", "--store", rig.state_dir)
    lines = shown.output.splitlines()
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("helper: online") for line in lines)
    assert sum("helper: online" in line for line in lines) == 2


async def test_dead_letters_come_with_their_reasons_and_a_command_that_can_be_pasted(rig: Rig) -> None:
    _, dead = await filled(rig)
    result = journal("dead", "--store", rig.state_dir, code=1)
    assert dead in result.output
    assert "not a member" in result.output
    command = re.search(r"openclaw-octo (.+)", result.output)
    assert command is not None
    assert f"{dead}: will be answered when the bot is started" in call(*shlex.split(command[1])).output


@pytest.mark.parametrize("words", ["journal list", "journal audit", "journal bury 1"])
async def test_an_account_that_the_journal_does_not_know_is_told_with_those_it_knows(
    rig: Rig, words: str
) -> None:
    await rig.start(rig.config(), ScriptedHost())
    await rig.mentioned("hello")
    result = call(*words.split(), "--store", rig.state_dir, "--account", "Nope", code=2)
    assert (result.stdout, result.stderr) == (
        "",
        "this journal has nothing of an account 'Nope'; it has: helper\n",
    )
    assert (
        "nothing of an account"
        not in call("journal", "list", "--store", rig.state_dir, "--account", "HELPER").output
    )


async def test_show_tells_one_messages_story_by_id_or_trace_and_its_text_only_when_asked(rig: Rig) -> None:
    answered, _ = await filled(rig)
    by_id = journal("show", answered, "--store", rig.state_dir)
    by_trace = journal("show", answered[-8:], "--store", rig.state_dir)
    assert by_id.output == by_trace.output
    assert "part 1 of the answer is sent" in by_id.output
    assert "the question" not in by_id.output
    assert "the question" in journal("show", answered, "--store", rig.state_dir, "--text").output
    shown = json.loads(journal("show", answered, "--store", rig.state_dir, "--json").output)
    said = {line.message_id for line in rig.octo.chat(rig.group)}
    assert {chunk["message_id"] for chunk in shown["chunks"]} <= said
    assert "text" not in shown


async def test_a_dead_message_is_answered_after_retry_and_restart(rig: Rig) -> None:
    answered, dead = await filled(rig)
    journal("retry", dead, "--store", rig.state_dir)
    refused = journal("retry", answered, "999", "--store", rig.state_dir, code=1)
    assert "left alone, it is answered" in refused.stderr
    assert "no such message" in refused.stderr
    await rig.stop()
    await rig.start(rig.config(), ScriptedHost())
    await rig.until_row(dead, "answered")
    assert rig.said()[-1] == "echo: @Helper nobody hears this"
    none = journal("dead", "--store", rig.state_dir)
    assert none.output == "No dead letters.\n"


async def test_a_running_bot_takes_up_a_message_at_once_and_answers_it_once(rig: Rig) -> None:
    _, dead = await filled(rig)
    async with controlled(rig):
        taken = await command("journal", "retry", dead, "--store", rig.state_dir)
        await rig.until_row(dead, "answered")
        again = await command("journal", "retry", dead, "--store", rig.state_dir, code=1)
    assert taken.output == f"{dead}: is taken up\n"
    assert "left alone, it is answered" in again.stderr
    rig.octo.drop_connections(HELPER)
    await rig.mentioned("and now")
    assert [text for text in rig.said() if "nobody hears this" in text] == [rig.said()[-2]]


async def test_an_unknown_message_is_said_to_be(rig: Rig) -> None:
    await rig.start(rig.config())
    await rig.mentioned("known")
    shown = journal("show", "1", "--store", rig.state_dir, code=1)
    assert shown.output == "no message 1 in the journal\n"


@pytest.mark.parametrize("kind", ["missing", "foreign", "newer", "garbage"])
def test_a_file_that_is_no_journal_of_ours_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "octo.sqlite"
    if kind == "garbage":
        path.write_bytes(b"no database at all " * 100)
    elif kind != "missing":
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE t (a)")
        if kind == "newer":
            db.executescript(f"PRAGMA application_id={0x4F43544F}; PRAGMA user_version=99;")
        db.commit()
        db.close()
    result = journal("list", "--store", tmp_path, code=2)
    assert len(result.stderr.strip().splitlines()) == 1
    assert str(path) in result.stderr


async def left_open(rig: Rig) -> tuple[str, str]:
    """Leave a message behind whose turn was cut off by a stop, and one that waited behind it."""
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), Block("the first half"), HANG]))
    running = await rig.mention("think")
    await rig.until_said(1)
    waiting = await rig.mentioned("and then this", "queued")
    await rig.stop()
    return running, waiting


async def test_a_buried_message_is_a_dead_letter_and_is_not_taken_up_at_the_next_start(rig: Rig) -> None:
    running, waiting = await left_open(rig)
    rig.sql("UPDATE delivery SET state = 'sending'")
    buried = journal("bury", running, "--store", rig.state_dir)
    assert buried.output == f"{running}: buried, buried by an operator\n"
    shown = journal("bury", waiting[-8:], "--reason", "not wanted", "--store", rig.state_dir, "--json")
    found = json.loads(shown.stdout)
    assert (found["message_id"], found["state"], found["detail"]) == (waiting, "dead", "not wanted")
    story = json.loads(journal("show", running, "--store", rig.state_dir, "--json").output)
    assert (story["state"], story["detail"]) == ("dead", "buried by an operator")
    assert [chunk["state"] for chunk in story["chunks"]] == ["dead"]

    await rig.start(rig.config(), ScriptedHost())
    await rig.mentioned("still there?")
    assert rig.said() == ["the first half", "echo: @Helper still there?"]


async def test_what_has_ended_is_unknown_or_may_be_one_of_several_is_not_buried_and_says_why(
    rig: Rig,
) -> None:
    answered, dead = await filled(rig)
    await rig.stop()
    rig.sql("UPDATE inbound SET trace = '12345678'")
    rig.sql("UPDATE inbound SET state = 'queued' WHERE message_id = ?", dead)
    columns = ", ".join(row[1] for row in rig.sql("PRAGMA table_info(inbound)") if row[1] != "id")
    others = columns.replace("account,", "'other',", 1)
    rig.sql(f"INSERT INTO inbound ({columns}) SELECT {others} FROM inbound WHERE message_id = ?", dead)
    store = ("--store", rig.state_dir)
    for name, why in (
        (answered, "it has ended already: answered"),
        ("999", "no such message"),
        ("12345678", "it may be any of "),
        (dead, f"it may be any of 2: {dead} of bot helper (queued), {dead} of bot other (queued)"),
    ):
        refused = journal("bury", name, *store, code=1)
        assert refused.stdout == ""
        assert refused.stderr.startswith(f"{name}: left alone, {why}")
    journal("bury", dead, *store, "--account", "nobody", code=2)
    journal("bury", dead, *store, "--account", "Other")
    journal("bury", dead, *store, "--account", "helper")
    journal("bury", dead, "--store", rig.state_dir / "nowhere", code=2)


async def test_burying_while_the_bots_run_says_that_a_turn_under_way_still_ends(rig: Rig) -> None:
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG, Final("at last")]))
    running = await rig.under_way("think")
    await rig.until_row(running, "running")
    async with controlled(rig):
        buried = await command("journal", "bury", running, "--store", rig.state_dir)
    assert "The bots run: what they have in hand of it" in buried.stderr
    assert rig.rows()[running] == ("dead", "buried by an operator")
    host.release()
    assert await rig.until_said(1) == ["at last"]
    await rig.until_row(running, "answered")


async def test_the_audit_tells_what_was_done_beside_answers_and_for_whom(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost())
    assert journal("audit", "--store", rig.state_dir).output == "Nothing was asked for.\n"
    await rig.channel.operator_outbound().read("group:g1")
    shown = journal("audit", "--store", rig.state_dir)
    assert "read group:g1 for operator: 0 messages" in shown.output
    (entry,) = journal("audit", "--store", rig.state_dir, "--json").output.splitlines()
    assert json.loads(entry)["outcome"] == "done"
    assert journal("audit", "--store", rig.state_dir, "--account", "other", "--json").output == ""
