"""What agents in a gateway ask leave for: seen in the chat, decided there, once."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.errors import OctoError
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.testing import FakeGateway, LoseAnswer, OctoDouble
from openclaw_channel_octo.testing.gateway.server import Ask, Hang, Say
from tests.runtime.rig import ANN, BEN, HELPER, FastClock, Rig
from tests.until import until

TEXTS = Texts()
NEW, OLD = "2026.9.6", "2026.5.22"
COMMAND = "rm -rf build"
_ID = re.compile(r"/approve (\w+) once")


def on(rig: Rig, gateway: FakeGateway, host: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    config = rig.config(**settings)
    config["host"] = {
        "kind": "gateway",
        "url": gateway.url,
        "token": gateway.token,
        "stateDir": str(rig.state_dir),
        "approvals": True,
        **(host or {}),
    }
    return config


def asks(gateway: FakeGateway, command: str = COMMAND, **request: Any) -> None:
    gateway.answer(lambda _: Ask({"command": command, **request}))


def told(template: str, request_id: str) -> str:
    return template.replace("%s", request_id)


async def asked(rig: Rig, where: ChannelRef | None = None, count: int = 1) -> tuple[str, str]:
    """Return what people read of the last request, once the bot has said so much, and the request's id."""
    text = (await rig.until_said(count, where))[-1]
    found = _ID.search(text)
    assert found is not None, text
    return text, found[1]


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize(
    ("words", "reply", "answer"),
    [
        ("/approve {} once", TEXTS.approval_once, "done"),
        ("/approve {} allow-always", TEXTS.approval_always, "done"),
        ("/deny {}", TEXTS.approval_denied, "not allowed"),
        ("/deny", TEXTS.approval_denied, "not allowed"),
    ],
)
async def test_a_request_is_shown_and_the_owner_decides_it_in_the_conversation(
    rig: Rig, version: str, words: str, reply: str, answer: str
) -> None:
    async with FakeGateway(version=version) as gateway:
        await rig.start(on(rig, gateway))
        asks(gateway, warningText="Contains a pipe")
        message_id = await rig.mention("clean up", who=BEN)
        text, request_id = await asked(rig)
        assert text.startswith(f"🔐 Agent main asks leave for this:\n```\n{COMMAND}\n```\ncwd=/work\n")
        assert "\n! Contains a pipe\n" in text
        assert "UTC" in text
        assert f"@Helper /deny {request_id}" in text
        await rig.mention(words.format(request_id))
        await rig.until_row(message_id, "answered")
        await rig.until_said(3)
        assert sorted(rig.said()[1:]) == sorted([told(reply, request_id), answer])
        assert rig.sql("SELECT requester, outcome FROM audit") == [(ANN, "done")]


async def test_a_request_of_a_direct_conversation_stays_there_and_its_owner_decides_it_anywhere(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.octo.say(BEN, rig.dm, "clean up")
    _, request_id = await asked(rig, ChannelRef(BEN, 1))
    assert "@Helper" not in rig.said(ChannelRef(BEN, 1))[0]
    await rig.octo.say(BEN, rig.dm, f"/approve {request_id} once")
    assert (await rig.until_said(2, ChannelRef(BEN, 1)))[1] == TEXTS.owner_only
    await rig.octo.say(ANN, rig.dm, f"approve {request_id} once")
    assert await rig.until_said(1, ChannelRef(ANN, 1)) == [told(TEXTS.approval_once, request_id)]
    assert (await rig.until_said(3, ChannelRef(BEN, 1)))[2] == "done"
    assert rig.said() == []


@pytest.mark.parametrize(
    ("settings", "may"),
    [
        ({"commands": {"allowFrom": ["*"]}}, False),
        ({"commands": {"approvers": [BEN]}}, True),
        ({"groups": {"g1": {"approvers": [BEN]}}}, True),
        ({"groups": {"*": {}, "g2": {"approvers": [BEN]}}}, False),
    ],
)
async def test_only_the_owner_and_people_named_for_it_decide(
    rig: Rig, gateway: FakeGateway, settings: dict[str, Any], *, may: bool
) -> None:
    await rig.start(on(rig, gateway, **settings))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.mention(f"/approve {request_id} once", who=BEN)
    said = await rig.until_said(3 if may else 2)
    assert (told(TEXTS.approval_once, request_id) in said) is may
    assert (TEXTS.owner_only in said) is not may
    assert len(gateway.approvals.pending) == (not may)


async def test_an_approver_of_one_conversation_decides_nothing_of_another(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway, commands={"approvers": [BEN]}))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.octo.say(BEN, rig.dm, f"/approve {request_id} once")
    unknown = [told(TEXTS.approval_unknown, request_id)]
    assert await rig.until_said(1, ChannelRef(BEN, 1)) == unknown
    assert len(gateway.approvals.pending) == 1


async def test_an_owner_who_names_no_request_decides_none_of_another_conversation(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.octo.say(BEN, rig.dm, "clean up")
    _, request_id = await asked(rig, ChannelRef(BEN, 1))
    for words in ("/approve once", f"/approve {request_id[:7]} once"):
        await rig.mentioned(words)
    assert rig.said() == ["There is no open request here.", told(TEXTS.approval_unknown, request_id[:7])]
    assert len(gateway.approvals.pending) == 1
    await rig.mentioned(f"/approve {request_id} once")
    assert rig.said()[2:] == [told(TEXTS.approval_once, request_id)]


async def test_requests_of_other_conversations_do_not_hide_the_one_here(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    message_id = await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.octo.say(BEN, rig.dm, "clean up")
    await asked(rig, ChannelRef(BEN, 1))
    rig.sql(
        "INSERT INTO approval SELECT account, id || number, inbound_id, ref, asked_at + 1, choices, 1, '', '', '', 0"
        " FROM approval, (SELECT 1 AS number UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5)"
        f" WHERE id NOT LIKE '{request_id}%'"
    )
    await rig.mentioned("/approve once")
    assert told(TEXTS.approval_once, request_id) in rig.said()
    await rig.until_row(message_id, "answered")


async def test_an_unknown_id_a_decision_that_is_not_offered_and_one_that_is_over_are_told(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway, allowedDecisions=["allow-once", "deny"])
    message_id = await rig.mention("clean up")
    text, request_id = await asked(rig)
    assert "always" not in text
    for words, reply in (
        ("/approve ffffffff once", told(TEXTS.approval_unknown, "ffffffff")),
        (f"/approve {request_id} always", told(TEXTS.approval_choices, "allow-once, deny")),
    ):
        await rig.mentioned(words)
        assert rig.said()[-1] == reply
    await rig.mentioned("/deny")
    await rig.until_row(message_id, "answered")
    await rig.mentioned(f"/approve {request_id} once")
    assert rig.said()[-1] == told(TEXTS.approval_denied, request_id)
    await rig.mentioned("/approve once")
    assert rig.said()[-1] == "There is no open request here."


@pytest.mark.parametrize(
    ("decision", "template", "answer"),
    [
        ("allow-once", TEXTS.approval_allowed_elsewhere, "done"),
        ("deny", TEXTS.approval_denied_elsewhere, "not allowed"),
    ],
)
async def test_a_decision_in_another_client_is_told_once(
    rig: Rig, gateway: FakeGateway, decision: str, template: str, answer: str
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    await gateway.approvals.decide(gateway.approvals.pending[0], decision)
    assert (await rig.until_said(3))[1:] == [told(template, request_id), answer]


async def test_a_request_nobody_decides_expires_visibly(rig: Rig, gateway: FakeGateway) -> None:
    gateway.approvals.expires_ms = 50
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    assert (await rig.until_said(3))[1:] == [told(TEXTS.approval_expired, request_id), "not allowed"]
    await rig.mentioned(f"/approve {request_id} once")
    assert rig.said()[-1] == told(TEXTS.approval_expired, request_id)


async def test_a_restart_neither_repeats_nor_forgets_a_request(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    message_id = await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.stop()
    await rig.start(on(rig, gateway))
    await until(lambda: gateway.calls.count("exec.approval.list") == 2)
    await rig.mention(f"/approve {request_id} once")
    await rig.until_row(message_id, "answered")
    await rig.until_said(3)
    assert len(rig.said()) == 3
    assert set(rig.said()[1:]) == {told(TEXTS.approval_once, request_id), "done"}


@pytest.mark.parametrize("stands_there", [True, False])
async def test_a_request_whose_process_died_as_it_was_sent_is_one_message(
    rig: Rig, gateway: FakeGateway, *, stands_there: bool
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.stop()
    ref = "ref" if stands_there else "'another'"
    rig.sql(f"UPDATE approval SET shown = 0, ref = {ref}")
    await rig.start(on(rig, gateway))
    await until(lambda: rig.sql("SELECT shown FROM approval") == [(1,)])
    assert len([line for line in rig.said() if request_id in line]) == 2 - stands_there
    await rig.mentioned("/deny")
    assert told(TEXTS.approval_denied, request_id) in rig.said()


async def test_a_request_decided_while_the_bots_were_stopped_is_told_to_be_over(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Ask({"command": COMMAND}, otherwise=Hang(Say("not allowed"))))
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.stop()
    await gateway.approvals.decide(gateway.approvals.pending[0], "deny")
    await rig.start(on(rig, gateway))
    assert (await rig.until_said(2))[1] == told(TEXTS.approval_gone, request_id)
    gateway.runs.release()
    assert (await rig.until_said(3))[2] == "not allowed"
    await rig.mentioned(f"/approve {request_id} once")
    assert rig.said()[3:] == [told(TEXTS.approval_gone, request_id)]


@pytest.mark.parametrize(
    ("version", "template"), [(NEW, TEXTS.approval_allowed_elsewhere), (OLD, TEXTS.approval_gone)]
)
async def test_what_was_decided_while_the_connection_was_away_is_told(
    rig: Rig, version: str, template: str
) -> None:
    async with FakeGateway(version=version) as gateway:
        await rig.start(on(rig, gateway))
        gateway.answer(lambda _: Ask({"command": COMMAND}, then=Hang(Say("done"))))
        await rig.mention("clean up")
        _, request_id = await asked(rig)
        gateway.drop_connections()
        await gateway.approvals.decide(gateway.approvals.pending[0], "allow-once")
        assert (await rig.until_said(2))[1] == told(template, request_id)
        gateway.runs.release()
        assert (await rig.until_said(3))[2] == "done"


async def test_a_decision_waits_for_a_gateway_that_is_away(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.mention("clean up")
    _, request_id = await asked(rig)
    gateway.drop_connections()
    await rig.mention(f"/approve {request_id} once")
    assert set((await rig.until_said(3))[1:]) == {told(TEXTS.approval_once, request_id), "done"}


async def test_an_ambiguous_send_of_a_request_is_one_message(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    rig.octo.fail_next("sendMessage", LoseAnswer())
    await rig.mention("clean up")
    await asked(rig)
    await rig.mentioned("/deny")
    await rig.until_said(3)
    assert len([line for line in rig.said() if COMMAND in line]) == 1


async def test_a_stopped_turn_takes_its_request_along(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    message_id = await rig.mention("clean up")
    _, request_id = await asked(rig)
    await rig.mention("/stop")
    await rig.until_row(message_id, "notified")
    await rig.mentioned(f"/approve {request_id} once")
    assert "allow" not in "".join(gateway.approvals.ended.values())
    assert told(TEXTS.approval_once, request_id) not in rig.said()


async def test_what_is_too_long_to_be_shown_whole_is_denied(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway, "x" * 5_000)
    await rig.mention("clean up")
    said = await rig.until_said(2)
    assert "5000 characters" in said[0]
    assert said[1] == "not allowed"


async def test_nothing_in_a_request_calls_people_hides_itself_or_shows_a_secret(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway, f"echo @Ann @所有人 \u202e``` {gateway.token}\x07")
    await rig.mention("clean up")
    text, _ = await asked(rig)
    assert gateway.token not in text
    assert "\\u202e" in text
    assert "\\x07" in text
    assert text.count("````") == 2
    (line,) = (line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER)
    assert "mention" not in line.payload


async def test_no_agent_changes_what_people_read_of_a_request(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    await rig.mention("clean up")
    text, _ = await asked(rig)
    (line,) = (line for line in rig.octo.chat(rig.group) if line.from_uid == HELPER)
    outbound = await rig.channel.outbound_in("agent:main:octo:group:g1")
    for spelled in (line.message_id, f"0{line.message_id}", f" {line.message_id}", f"+{line.message_id}"):
        with pytest.raises(OctoError):
            await outbound.edit("group:g1", spelled, text.replace(COMMAND, "ls"))
    assert rig.said() == [text]
    assert rig.calls("editMessage") == []


async def test_a_request_of_a_plugin_is_shown_with_its_words(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(
        lambda _: Ask(
            {"title": "Send mail", "description": "to everybody", "toolName": "mail", "pluginId": "post"}
        )
    )
    await rig.mention("write to them")
    text, request_id = await asked(rig)
    assert "```\nSend mail\n\nto everybody\n```\ntool=mail\nplugin=post\n" in text
    await rig.mention(f"/approve {request_id} once")
    assert "done" in await rig.until_said(3)


async def test_requests_of_sessions_that_are_not_ours_are_left_to_other_clients(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    gateway.answer(lambda _: Hang(Say("done")))
    await rig.mention("long")
    await until(lambda: gateway.sessions)
    keys = (
        "agent:main:main",
        "agent:main:octo:group:g2",
        "agent:main:subagent:1",
        "agent:main:octo:group:g1",
    )
    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(gateway.approvals.ask(key, "run", {"command": f"for {key}"}, may=True))
        assert f"for {keys[-1]}\n" in (await rig.until_said(1))[0]
        for approval_id in gateway.approvals.pending:
            await gateway.approvals.decide(approval_id, "deny")
    assert len(await rig.until_said(2)) == 2


async def test_without_the_setting_nobody_is_asked_and_approve_says_what_to_set(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway, {"approvals": False}))
    asks(gateway)
    await rig.mentioned("clean up")
    await rig.mentioned("/approve 12 once")
    await rig.mentioned("/help")
    assert rig.said()[:2] == ["not allowed", TEXTS.approvals_off]
    assert "/approve" not in rig.said()[2]
    assert gateway.connects == 1


async def test_a_gateway_that_does_not_grant_it_is_told_of_once_and_answers_go_on(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeGateway(scopes=("operator.read", "operator.write")) as gateway:
        await rig.start(on(rig, gateway))
        await rig.mentioned("hello")
        gateway.drop_connections()
        await until(lambda: gateway.connects == 4)
        await rig.mentioned("again")
        words = [line for line in caplog.messages if "nobody in the chat is asked" in line]
        assert len(words) == 1
        assert "operator.admin" in words[0]
        assert "openclaw devices approve" in words[0]


async def test_help_lists_the_commands_for_those_who_may(rig: Rig, gateway: FakeGateway) -> None:
    await rig.start(on(rig, gateway))
    for who, may in ((ANN, True), (BEN, False)):
        count = len(rig.said())
        await rig.mention("/help", who=who)
        lines = (await rig.until_said(count + 1))[-1].splitlines()
        assert (TEXTS.help_approve in lines) is may
        assert (TEXTS.help_deny in lines) is may


async def test_a_stopped_turn_leaves_no_request_open_that_one_without_id_could_mean(
    rig: Rig, gateway: FakeGateway
) -> None:
    await rig.start(on(rig, gateway))
    asks(gateway)
    message_id = await rig.mention("clean up")
    await asked(rig)
    await rig.mention("/stop")
    await rig.until_row(message_id, "notified")
    await rig.until_said(3)
    asks(gateway)
    second = await rig.mention("clean up again")
    _, request_id = await asked(rig, count=4)
    await rig.mentioned("/approve once")
    await rig.until_row(second, "answered")
    assert set(rig.said()[4:]) == {told(TEXTS.approval_once, request_id), "done"}


async def test_what_follows_a_request_stands_behind_it_and_not_in_the_place_of_the_progress(
    octo: OctoDouble, gateway: FakeGateway, tmp_path: Path
) -> None:
    rig = Rig(octo, tmp_path / "state", FastClock())
    settings = {"streaming": {"mode": "progress", "afterSeconds": 1}}
    await rig.start(on(rig, gateway, **settings))
    gateway.answer(lambda _: Hang(Say("done")))
    message_id = await rig.mention("clean up")
    await until(lambda: rig.sql("SELECT 1 FROM progress WHERE message_id != ''"))
    ((key, run_id),) = rig.sql("SELECT session_key, run_id FROM inbound WHERE session_key != ''")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.approvals.ask(key, run_id, {"command": COMMAND}, may=True))
        await asked(rig, count=2)
        await rig.mentioned("/approve once")
    gateway.runs.release()
    await rig.until_row(message_id, "answered")
    await until(lambda: rig.said()[0] == TEXTS.worked)
    assert rig.said()[-1] == "done"
    await rig.stop()
