"""Groups and threads that an agent changes: for whom, in which order, what people see of it, and what is recorded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from openclaw_channel_octo.config.texts import Language, Texts
from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    BadRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RequestDenied,
    TargetError,
)
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.actions.manage import GroupManagement
from openclaw_channel_octo.testing import Envelope, ErrorAnswer, Hang, LoseAnswer, ScriptedHost
from tests.runtime.asking import CAT, Asked, ask, audited
from tests.runtime.rig import ANN, BEN, HELPER, OTHER, Rig

Act = Callable[[GroupManagement], Awaitable[Any]]
G2, G3 = ChannelRef("g2", 2), ChannelRef("g3", 2)
LAUNCH = "2039626171074744321"

EVERYTHING: dict[str, Act] = {
    "write-notes": lambda may: may.write_notes("group:g1", "Be brief.", 0),
    "create-group": lambda may: may.create_group("Launch"),
    "rename-group": lambda may: may.rename_group("group:g1", "Launch"),
    "add-members": lambda may: may.add_members("group:g1", [CAT]),
    "remove-members": lambda may: may.remove_members("group:g1", [OTHER]),
    "create-thread": lambda may: may.create_thread("group:g1", "Launch"),
    "archive-thread": lambda may: may.archive_thread(f"group:g1____{LAUNCH}"),
    "join-thread": lambda may: may.join_thread(f"group:g1____{LAUNCH}"),
    "leave-thread": lambda may: may.leave_thread(f"group:g1____{LAUNCH}"),
}
CHANGES = frozenset({"PUT", "createGroup", "renameGroup", "addMembers", "removeMembers", "writeGroupMd"}) | {
    *("createThread", "archiveThread", "joinThread", "leaveThread")
}
each = pytest.mark.parametrize("name", list(EVERYTHING))


@pytest.fixture
def admin(city: Rig) -> Rig:
    """A city on the newest server, with the bot an admin of all groups, and one more thread."""
    city.octo.envelope = Envelope.N
    for group_no in ("g1", "g2", "g3"):
        city.octo.make_admin(group_no, HELPER)
    city.octo.add_thread("g1", LAUNCH, name="Launch plans")
    return city


async def managed(rig: Rig, who: str = BEN, where: ChannelRef | None = None, **settings: Any) -> Asked:
    """Start a turn of somebody who is listed, as is another bot."""
    if rig.running is None:
        await rig.start(rig.config(**({"managers": [BEN, OTHER]} | settings)), ScriptedHost())
    return await ask(rig, who, where)


def lines(rig: Rig, where: ChannelRef | None = None) -> list[str]:
    """Return what the bot has said, without the events of documents it wrote."""
    return [
        line.text
        for line in rig.octo.chat(where or rig.group)
        if line.from_uid == HELPER and "event" not in line.payload
    ]


def made(rig: Rig, asked: Asked) -> list[str]:
    return [name for name in asked.calls() if name in CHANGES]


@each
async def test_the_owner_may_have_everything_changed_and_it_is_recorded(admin: Rig, name: str) -> None:
    asked = await ask(admin, ANN)
    await EVERYTHING[name](asked.outbound.manage)
    assert len(made(admin, asked)) == 1
    (entry,) = audited(admin)
    assert (entry.action, entry.outcome, entry.requester) == (name, "done", ANN)
    assert entry.run_id == asked.host.turns[-1].run_id
    assert "Launch" not in entry.detail
    assert "brief" not in entry.detail


@each
async def test_a_stranger_has_nothing_changed_and_no_call_leaves(admin: Rig, name: str) -> None:
    asked = await ask(admin, BEN)
    with pytest.raises(RequestDenied, match=r"only the bot's owner.*nothing was done"):
        await EVERYTHING[name](asked.outbound.manage)
    assert asked.calls() == []
    assert not asked.outbound.manage.may_change
    (entry,) = audited(admin)
    assert (entry.action, entry.outcome) == (name, "denied")


@each
async def test_another_bot_has_nothing_changed_though_it_is_listed(admin: Rig, name: str) -> None:
    asked = await managed(admin, OTHER)
    with pytest.raises(RequestDenied, match="another bot"):
        await EVERYTHING[name](asked.outbound.manage)
    assert asked.calls() == []
    assert not asked.outbound.manage.may_change


async def test_a_manager_changes_the_group_they_ask_in_and_no_other(admin: Rig) -> None:
    asked = await managed(admin, BEN, admin.thread)
    await asked.outbound.manage.rename_group("group:g1", "Launch")
    with pytest.raises(RequestDenied, match="from inside that group"):
        await asked.outbound.manage.rename_group("group:g3", "Launch")
    direct = await managed(admin, BEN, admin.dm)
    with pytest.raises(RequestDenied, match="from inside that group"):
        await direct.outbound.manage.rename_group("group:g1", "Mine")
    assert direct.outbound.manage.may_change  # to make a group
    await direct.outbound.manage.create_group("Launch party")


async def test_a_manager_of_one_group_makes_no_new_ones(admin: Rig) -> None:
    asked = await managed(admin, BEN, managers=[], groups={"g1": {"managers": [BEN]}, "*": {}})
    await asked.outbound.manage.create_thread("group:g1", "Launch")
    with pytest.raises(RequestDenied, match="only the bot's owner"):
        await asked.outbound.manage.create_group("Launch")
    elsewhere = await managed(admin, BEN, G3)
    with pytest.raises(RequestDenied, match="only the bot's owner"):
        await elsewhere.outbound.manage.create_thread("group:g3", "Launch")


async def test_a_manager_who_was_put_out_of_the_group_changes_it_no_more(admin: Rig) -> None:
    asked = await managed(admin)
    admin.octo.remove_member("g1", BEN)
    with pytest.raises(RequestDenied, match="has to be in that group"):
        await asked.outbound.manage.rename_group("group:g1", "Launch")
    assert made(admin, asked) == []


async def test_a_manager_adds_people_they_share_a_group_with_and_nobody_else(admin: Rig) -> None:
    admin.octo.add_person("dan", "Dan")
    admin.octo.add_group("g4", [ANN, "dan", HELPER])
    asked = await managed(admin)
    for wanted in (["dan"], [CAT, "dan"]):
        with pytest.raises(RequestDenied, match="in a group with them"):
            await asked.outbound.manage.add_members("group:g1", wanted)
        with pytest.raises(RequestDenied, match="in a group with them"):
            await asked.outbound.manage.create_group("Launch", wanted)
    assert made(admin, asked) == []
    done = await asked.outbound.manage.add_members("group:g1", [CAT])
    assert (done.added, done.left_out) == ((CAT,), ())
    owner = await ask(admin, ANN, G2)
    done = await owner.outbound.manage.add_members("group:g1", ["dan", CAT, OTHER, "nobody"])
    assert (done.added, done.left_out) == (("dan",), ("nobody",))
    with pytest.raises(BadRequest, match="in the group already"):
        await owner.outbound.manage.add_members("group:g1", ["dan"])


async def test_a_new_group_has_its_people_and_says_who_asked(admin: Rig) -> None:
    asked = await managed(admin)
    group = await asked.outbound.manage.create_group(" Launch ", [CAT, CAT])
    assert admin.octo.members(group.group_no) == [BEN, CAT, HELPER]
    assert admin.said(ChannelRef(group.group_no, 2)) == ["👋 Ben asked me to create this group."]
    assert [found.name for found in await asked.outbound.groups()] == ["g1", "Design Review", "Launch"]
    assert audited(admin)[1].target == f"group:{group.group_no}"


async def test_what_may_exist_already_is_made_no_second_time(admin: Rig) -> None:
    asked = await managed(admin)
    may = asked.outbound.manage
    admin.octo.fail_next("createGroup", LoseAnswer())
    with pytest.raises(AmbiguousOutcome, match="may have been carried out"):
        await may.create_group("Launch")
    with pytest.raises(BadRequest, match=r"of this name already, group:9b1e[0-9a-f]{28}"):
        await may.create_group("launch")
    admin.octo.fail_next("createThread", LoseAnswer())
    with pytest.raises(AmbiguousOutcome):
        await may.create_thread("group:g1", "Launch")
    with pytest.raises(BadRequest, match=r"of this name already, group:g1____\d+"):
        await may.create_thread("group:g1", "Launch")
    assert made(admin, asked) == ["createGroup", "createThread"]
    assert [entry.outcome for entry in audited(admin)] == ["failed"] * 4
    found = await asyncio.gather(*(may.create_group("Party") for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, BadRequest) for one in found) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_members_notice_is_followed_by_one_line_that_says_who_asked(
    admin: Rig, language: Language
) -> None:
    await admin.start(admin.config(texts=language), ScriptedHost())
    asked = await ask(admin, ANN, G2)
    may = asked.outbound.manage
    for change in (EVERYTHING[name] for name in EVERYTHING if name != "create-group"):
        await change(may)
    texts = Texts(language=language)
    expected = [
        texts.notes_changed.replace("%p", "GROUP.md"),
        texts.group_renamed,
        texts.members_added.replace("%p", "Cat"),
        texts.members_removed.replace("%p", "Other"),
        texts.thread_archived.replace("%p", "Launch plans"),
    ]
    assert lines(admin) == [line.replace("%s", "Ann") for line in expected]
    (opened,) = [one for one in await admin.channel.operator_outbound().threads("g1") if one.name == "Launch"]
    assert admin.said(ChannelRef(opened.channel_id, 5)) == [texts.thread_created.replace("%s", "Ann")]
    assert admin.said(G2) == []


async def test_inside_the_turns_own_group_the_line_is_a_part_of_the_answer(admin: Rig) -> None:
    asked = await ask(admin, ANN, final="")
    await asked.outbound.manage.rename_group("group:g1", "Launch")
    asked.host.release()
    await admin.until_row(asked.host.turns[-1].message_id, "answered")
    assert admin.said() == ["✏️ Ann asked me to rename this group."]


async def test_nobody_in_the_chat_is_named_where_an_operator_asked(admin: Rig) -> None:
    await admin.start(admin.config(), ScriptedHost())
    may = admin.channel.operator_outbound().manage
    await may.rename_group("g2", "Plans")
    group = await may.create_group("Launch", [CAT])
    assert admin.said(G2) == ["✏️ My operator asked me to rename this group."]
    assert admin.octo.members(group.group_no) == [ANN, CAT, HELPER]


async def test_a_name_in_a_line_calls_nobody_and_is_no_markup(admin: Rig) -> None:
    admin.octo.add_person("dan", "@all **[x](http://x)** %s")
    await (await ask(admin, ANN)).outbound.manage.add_members("group:g1", ["dan"])
    line = admin.octo.chat(admin.group)[-1]
    assert "mention" not in line.payload
    assert line.text == "➕ Ann asked me to add: all (x)(http //x) %s"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("write-notes", "writeGroupMd"),
        ("rename-group", "renameGroup"),
        ("add-members", "addMembers"),
        ("remove-members", "removeMembers"),
        ("archive-thread", "archiveThread"),
    ],
)
async def test_a_change_that_may_have_happened_is_told_to_people_and_to_the_agent(
    admin: Rig, name: str, call: str
) -> None:
    asked = await ask(admin, ANN)
    admin.octo.fail_next(call, LoseAnswer())
    with pytest.raises(AmbiguousOutcome, match="may have been carried out"):
        await EVERYTHING[name](asked.outbound.manage)
    assert [line.count("Ann asked me to") for line in lines(admin)] == [1]
    assert made(admin, asked) == [call]


async def test_a_change_goes_on_and_is_told_where_its_run_ends_meanwhile(admin: Rig) -> None:
    asked = await ask(admin, ANN)
    admin.octo.fail_next("renameGroup", Hang())
    renaming = asyncio.create_task(asked.outbound.manage.rename_group("group:g1", "Launch"))
    await admin.octo.wait_for(lambda: "renameGroup" in asked.calls())
    asked.host.release()
    await admin.until_row(asked.host.turns[-1].message_id, "answered")
    renaming.cancel()
    admin.octo.release()
    await admin.until_said(2)
    assert admin.said() == ["done", "✏️ Ann asked me to rename this group."]
    assert [entry.outcome for entry in audited(admin)] == ["begun"]
    with pytest.raises(RequestDenied, match="ended"):
        await asked.outbound.manage.create_group("x")


async def test_a_line_that_cannot_be_said_leaves_the_change_done_and_recorded(admin: Rig) -> None:
    asked = await ask(admin, ANN, G2)
    admin.octo.fail_next("sendMessage", ErrorAnswer(status=400, msg="no", code="request_invalid"))
    await asked.outbound.manage.rename_group("group:g1", "Launch")
    (entry,) = audited(admin)
    assert (entry.outcome, entry.detail) == ("done", "renamed, people were not told")


async def test_notes_are_written_on_top_of_the_version_that_was_read(admin: Rig) -> None:
    await admin.octo.write_notes(ANN, admin.group, "Be brief.")
    asked = await managed(admin)
    assert asked.host.turns[-1].notes.count("Be brief.") == 1
    may = asked.outbound.manage
    found = await may.notes("group:g1")
    assert (found.content, found.version) == ("Be brief.", 1)
    await admin.octo.write_notes(ANN, admin.group, "Be kind.")
    with pytest.raises(BadRequest, match=r"version 2, not 1.*nothing was changed"):
        await may.write_notes("group:g1", "Be quick.", 1)
    assert (await may.write_notes("group:g1", "Be quick.", 2)).version == 3
    assert (await may.write_notes("group:g1", "Be quick.", 3)).version == 3
    assert made(admin, asked) == ["writeGroupMd"]
    with pytest.raises(PayloadTooLarge):
        await may.write_notes("group:g1", "ä" * 5_121, 3)
    asked.host.release()
    await admin.until_row(asked.host.turns[-1].message_id, "answered")
    assert "Be quick." in (await managed(admin)).host.turns[-1].notes


async def test_a_threads_notes_are_its_own_and_never_empty(admin: Rig) -> None:
    asked = await managed(admin)
    target = f"group:{admin.thread.id}"
    assert (await asked.outbound.manage.write_notes(target, "Here too.", 0)).overwritten == 0
    assert [admin.octo.notes(where) for where in (admin.thread, admin.group)] == ["Here too.", ""]
    with pytest.raises(BadRequest, match="cannot be empty"):
        await asked.outbound.manage.write_notes(target, " ", 1)
    with pytest.raises(RequestDenied):
        await asked.outbound.manage.notes("group:g2")


@pytest.mark.parametrize(
    ("uids", "error"),
    [
        ([HELPER], "neither itself nor its owner"),
        ([OTHER, ANN], "neither itself nor its owner"),
        (["eve"], "owner and managers are not removed"),
        ([OTHER, "The secret plan"], "uid 2 is no member"),
        ([OTHER.upper()], "uid 1 is no member"),
    ],
)
async def test_whoever_has_to_stay_is_not_removed_nor_anybody_beside_them(
    admin: Rig, uids: list[str], error: str
) -> None:
    admin.octo.add_person("eve", "Eve")
    admin.octo.add_group("g1", ["eve", ANN, BEN, HELPER, OTHER])
    asked = await managed(admin)
    with pytest.raises((RequestDenied, BadRequest), match=error):
        await asked.outbound.manage.remove_members("group:g1", uids)
    assert len(admin.octo.members("g1")) == 5
    assert "secret" not in str(audited(admin))


@pytest.mark.parametrize("envelope", list(Envelope))
async def test_a_bot_without_the_right_says_what_has_to_be_done(admin: Rig, envelope: Envelope) -> None:
    admin.octo.envelope = envelope
    admin.octo.make_admin("g1", HELPER, on=False)
    asked = await ask(admin, ANN)
    for name in ("write-notes", "rename-group", "remove-members"):
        with pytest.raises(
            PermissionDenied, match=r"its owner or a manager has to make it one.*nothing was changed"
        ):
            await EVERYTHING[name](asked.outbound.manage)
    assert admin.said() == []


async def test_threads_of_others_and_older_servers_cannot_be_archived(admin: Rig) -> None:
    admin.octo.make_admin("g1", HELPER, on=False)
    asked = await ask(admin, ANN, admin.thread)
    may = asked.outbound.manage
    with pytest.raises(PermissionDenied, match="has to have opened the thread"):
        await EVERYTHING["archive-thread"](may)
    admin.octo.envelope = Envelope.S
    with pytest.raises(NotFound, match="does not let bots archive"):
        await EVERYTHING["archive-thread"](may)
    with pytest.raises(TargetError, match="would open this thread again"):
        await may.archive_thread(f"group:{admin.thread.id}")
    with pytest.raises(NotFound, match="no active thread"):
        await may.archive_thread("group:g1____2039626171074749999")
    assert admin.said() == []


async def test_a_bots_own_thread_is_archived_until_somebody_speaks_there_and_not_left(admin: Rig) -> None:
    admin.octo.make_admin("g1", HELPER, on=False)
    may = (await ask(admin, ANN)).outbound.manage
    opened = await may.create_thread("group:g1", "Launch")
    thread = ChannelRef(opened.channel_id, 5)
    with pytest.raises(PermissionDenied, match="who opened a thread cannot leave"):
        await may.leave_thread(f"group:{thread.id}")
    await may.archive_thread(f"group:{thread.id}")
    assert admin.octo.is_archived(thread)


@pytest.mark.parametrize(
    "act",
    [
        lambda may: may.rename_group(f"group:g1____{LAUNCH}", "x"),
        lambda may: may.remove_members(f"group:g1____{LAUNCH}", [BEN]),
        lambda may: may.archive_thread("group:g1"),
        lambda may: may.write_notes("user:ben", "x", 0),
        lambda may: may.rename_group("group:g1", "two\nlines"),
        lambda may: may.rename_group("group:g1", " "),
        lambda may: may.rename_group("group:g1", "x" * 101),
        lambda may: may.create_group("\u200b"),
    ],
)
async def test_what_cannot_be_meant_is_an_error_before_any_change(admin: Rig, act: Act) -> None:
    asked = await ask(admin, ANN)
    with pytest.raises((TargetError, ApiError)):
        await act(asked.outbound.manage)
    assert made(admin, asked) == []
