import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import SYSTEM_TYPES, parse_payload, read_payload
from openclaw_channel_octo.policy.commands import (
    ALIASES,
    APPROVE,
    COMMANDS,
    STOP_WORD,
    STOP_WORDS,
    argument_in,
    command_in,
    names_another,
    plain_words,
    verdict_in,
)
from openclaw_channel_octo.policy.gate import (
    Decision,
    DecisionKind,
    Envelope,
    GatePolicy,
    Identity,
    command_of,
    conversation,
    decide,
    is_bot,
)
from openclaw_channel_octo.policy.verdicts import ALWAYS, DENY, ONCE, VERDICTS, Verdict
from tests.strategies import JSON

BOT = "641e639ffe59016c2ece_bot"
OTHER = "90fee4cf8902be324d08_bot"
HOOK = "iwh_3a1b"
ANN = "d97662832ded3aa58504f82d28d97395"
GROUP = "640658d5f0f34d9a8f5d3a1b2c3d4e5f"
THREAD = f"{GROUP}____3164780646607826228"
SPACE = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"
ME = Identity(uid=BOT, name="Helper", owner_uid=ANN)
DEFAULTS = GatePolicy()
ADDRESSED = {DecisionKind.TURN, DecisionKind.COMMAND}

KEYS = ["type", "content", "plain", "mention", "mention_uids", "reply", "event", "uids", "entities"]
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from([1, 99, "@Helper", {"uids": [BOT]}]))


def judged(
    payload: dict[str, Any],
    channel_id: str,
    channel_type: int,
    policy: GatePolicy = DEFAULTS,
    sender: str = ANN,
) -> Decision:
    envelope = Envelope(from_uid=sender, channel_id=channel_id, channel_type=channel_type)
    return decide(envelope, read_payload(payload), ME, lambda: policy)


def in_group(payload: dict[str, Any], *, sender: str = ANN, policy: GatePolicy = DEFAULTS) -> Decision:
    decision = judged(payload, GROUP, 2, policy, sender)
    assert judged(payload, THREAD, 5, policy, sender) == decision  # a thread is judged as its group
    return decision


def in_dm(
    payload: dict[str, Any], *, sender: str = ANN, channel_id: str | None = None, **more: Any
) -> Decision:
    return judged(payload, sender if channel_id is None else channel_id, 1, sender=sender, **more)


def text(content: object, **keys: Any) -> dict[str, Any]:
    return {"type": 1, "content": content, **keys}


def mark(uid: str, offset: int, length: int) -> dict[str, Any]:
    return {"uid": uid, "offset": offset, "length": length}


def full_width(word: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in word)


@pytest.mark.parametrize(
    ("mention", "reason"),
    [
        (None, ""),
        ({}, ""),
        ({"uids": [BOT]}, "uid"),
        ({"uids": [ANN]}, ""),
        ({"ais": 1}, "ais"),
        ({"ais": True}, "ais"),
        ({"ais": 0}, ""),
        ({"ais": False}, ""),
        ({"ais": 2}, ""),
        ({"ais": "1"}, ""),
        ({"ais": 1.5}, ""),
        ({"all": 1}, ""),
        ({"all": True}, ""),
        ({"humans": 1}, ""),
        ({"humans": True}, ""),
        ({"ais": 1, "all": 1}, ""),
        ({"ais": 1, "humans": 1}, ""),
        ({"ais": 1, "all": 5}, "ais"),
        ({"ais": 1, "humans": "1"}, "ais"),
        ({"all": 1, "humans": 1, "ais": 1, "uids": [BOT]}, "uid"),
        ({"uids": [BOT], "entities": [mark(BOT, 400, 7), {"uid": 5}, None]}, "uid"),
        ({"entities": [mark(BOT, 400, 7), {"uid": 5}, None]}, ""),
        ({"uids": None, "ais": False}, ""),
        ({"uids": BOT}, ""),
        ({"uids": [None, 5, BOT]}, "uid"),
        ([BOT], ""),
        ("x", ""),
    ],
)
def test_truth_table_of_the_mention_flags(mention: object, reason: str) -> None:
    expected = Decision(DecisionKind.TURN, reason) if reason else Decision(DecisionKind.CONTEXT, "no mention")
    assert in_group(text("hello there", mention=mention)) == expected


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (text("@Helper x", mention={"uids": [BOT], "entities": [mark(BOT, 0, 7)]}), "uid"),
        (text("@Helper x", mention={"entities": [mark(BOT, 0, 7)]}), "entity"),
        (text("👩‍💻👍 早 @Nick 看", mention={"entities": [mark(BOT, 10, 5)]}), "entity"),
        (text("@Other @Helper", mention={"uids": [BOT, OTHER], "entities": [mark(OTHER, 0, 6)]}), "uid"),
        (text("@Other and @Helper typed", mention={"uids": [OTHER], "entities": []}), "typed name"),
        (text("@Helper y", mention=[BOT]), "typed name"),
        (text("@everyone and @Helper", mention={"all": 1}), "typed name"),
        (text("hey @Helper, look"), "typed name"),
        (text("(@Helper)"), "typed name"),
        (text("why?", reply={"from_uid": BOT, "payload": text("Here.")}), "reply to bot"),
        (text("why?", reply={"from_uid": BOT}, mention={"uids": [OTHER]}), "reply to bot"),
        ({"type": 2, "url": "https://x", "reply": {"from_uid": BOT}}, "reply to bot"),
        ({"type": 14, "content": [], "plain": "@Helper see", "mention": {"uids": [BOT]}}, "uid"),
        (
            {"type": 14, "content": [], "plain": "@N see", "mention": {"entities": [mark(BOT, 0, 2)]}},
            "entity",
        ),
        ({"type": 2, "url": "https://x", "mention_uids": [BOT]}, "uid"),
        ({"type": 4242, "mention": {"uids": [BOT]}}, "uid"),
        ({"mention": {"uids": [BOT]}}, "uid"),
        (text("@Helper", event={}), "typed name"),
        (text("@Helper", event={"type": 5}), "typed name"),
        (text("@Helper", event="group_md_updated"), "typed name"),
    ],
)
def test_message_in_a_group_addresses_the_bot_by(payload: dict[str, Any], reason: str) -> None:
    assert in_group(payload) == Decision(DecisionKind.TURN, reason)


@pytest.mark.parametrize(
    "payload",
    [
        text("morning all"),
        text("@Other do it", mention={"uids": [OTHER], "entities": [mark(OTHER, 0, 6)]}),
        text("mail me at ann@Helper.example", mention={"uids": []}),
        text("@Helpers assemble"),
        text("foo@Helper bar"),
        text("@Helper中文"),
        text("中文@Helper 看"),
        text("see @Helper.com"),
        text("@Helper-old is gone"),
        text("the Helper said"),
        text("x", mention={"entities": [mark(BOT, 0, 1)]}),
        text("why?", reply={"from_uid": OTHER, "payload": text("@Helper", mention={"uids": [BOT]})}),
        text("why?", reply={"from_uid": "", "from_name": "Helper"}),
        text(5),
        {"type": 2, "url": "https://files.example/a.png", "content": "@Helper"},
        {"type": 14, "content": [{"type": "text", "text": "@Helper"}], "plain": "@Helper"},
        {"type": "1", "content": "@Helper"},
        {"content": "@Helper"},
        {"type": 11, "msgs": [{"from_uid": ANN, "payload": text("@Helper", mention={"uids": [BOT]})}]},
        {},
    ],
)
def test_message_in_a_group_to_nobody_or_somebody_else_is_context(payload: dict[str, Any]) -> None:
    assert in_group(payload) == Decision(DecisionKind.CONTEXT, "no mention")


@pytest.mark.parametrize("raw", [b"", b"@Helper", b"\xff", b"[1]", b"[" * 100_000])
def test_bad_payload_in_a_group_is_context(raw: bytes) -> None:
    envelope = Envelope(from_uid=ANN, channel_id=GROUP, channel_type=2)
    assert decide(envelope, parse_payload(raw), ME, lambda: DEFAULTS).kind is DecisionKind.CONTEXT


@pytest.mark.parametrize("sender", [OTHER, HOOK, "botfather"])
@pytest.mark.parametrize(
    "payload",
    [
        text("and all bots", mention={"ais": 1}),
        text("@Helper typed"),
        text("thanks", reply={"from_uid": BOT}),
        text("chatter"),
        text("/reset"),
    ],
)
def test_another_bot_does_not_address_us_without_our_id(sender: str, payload: dict[str, Any]) -> None:
    for policy in (DEFAULTS, GatePolicy(require_mention=False, no_mention={OTHER, HOOK})):
        assert in_group(payload, sender=sender, policy=policy).kind is DecisionKind.CONTEXT


@pytest.mark.parametrize("sender", [OTHER, HOOK])
def test_another_bot_addresses_us_by_our_id_but_never_commands(sender: str) -> None:
    by_entity = text("over to @Helper", mention={"entities": [mark(BOT, 8, 7)]})
    assert in_group(by_entity, sender=sender) == Decision(DecisionKind.TURN, "entity", from_bot=True)
    command = text("@Helper /reset", mention={"uids": [BOT]})
    assert in_group(command, sender=sender) == Decision(DecisionKind.TURN, "uid", from_bot=True)


def test_account_that_the_roster_calls_a_bot_is_one() -> None:
    policy = GatePolicy(known_bots=frozenset({ANN}))
    assert in_group(text("@Helper hi"), policy=policy).kind is DecisionKind.CONTEXT
    assert in_group(text("x", mention={"uids": [BOT]}), policy=policy).kind is DecisionKind.TURN


@pytest.mark.parametrize(
    ("uid", "known"),
    [(ANN, False), (OTHER, True), (HOOK, True), ("robot", False), ("bot", False), ("", False)],
)
def test_bots_are_told_by_their_uid(uid: str, known: bool) -> None:
    assert is_bot(uid, DEFAULTS) is known


def test_replies_do_not_trigger_where_that_is_switched_off() -> None:
    reply = text("why?", reply={"from_uid": BOT})
    assert in_group(reply, policy=GatePolicy(reply_triggers=False)) == Decision(
        DecisionKind.CONTEXT, "no mention"
    )


def test_only_those_the_server_calls_people_are_answered_without_a_mention() -> None:
    policy = GatePolicy(no_mention={"somebody else"})
    assert in_group(text("morning all"), policy=policy) == Decision(DecisionKind.CONTEXT, "no mention")


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (GatePolicy(require_mention=False), "no mention required"),
        (GatePolicy(no_mention={ANN}), "no mention preference"),
    ],
)
def test_every_message_of_a_person_is_a_turn_where_no_mention_is_needed(
    policy: GatePolicy, reason: str
) -> None:
    assert in_group(text("morning all"), policy=policy) == Decision(DecisionKind.TURN, reason)
    assert in_group(text("@all", mention={"all": 1}), policy=policy) == Decision(DecisionKind.TURN, reason)
    assert in_group({"type": 2, "url": "https://x"}, policy=policy) == Decision(DecisionKind.TURN, reason)
    assert in_group(text("/status"), policy=policy) == Decision(DecisionKind.COMMAND, reason, "/status")


NAMES_OTHER = text("@Other do it", mention={"uids": [OTHER], "entities": [mark(OTHER, 0, 6)]})


@pytest.mark.parametrize("without", [{"require_mention": False}, {"no_mention": {ANN}}])
@pytest.mark.parametrize(
    ("payload", "for_others"),
    [
        (NAMES_OTHER, True),
        (text("please", mention={"uids": [OTHER, ANN]}), True),
        (text("@Other do it", mention={"entities": [mark(OTHER, 0, 6)]}), True),
        (text("x", mention={"uids": [OTHER], "entities": [mark(BOT, 400, 7)]}), True),
        ({"type": 2, "url": "https://x", "mention_uids": [OTHER]}, True),
        ({"type": 14, "content": [], "plain": "@N see", "mention": {"entities": [mark(OTHER, 0, 2)]}}, True),
        (text("@all", mention={"all": 1, "uids": [OTHER]}), False),
        (text("@所有人 @Other", mention={"humans": 1, "entities": [mark(OTHER, 5, 6)]}), False),
        (text("x", mention={"uids": [], "entities": [mark(OTHER, 0, 1)]}), False),
        (text("@Other and @Helper", mention={"entities": [mark(OTHER, 0, 6)]}), False),
        (text("@Other and you", mention={"uids": [OTHER, BOT], "entities": [mark(OTHER, 0, 6)]}), False),
        (text("why?", reply={"from_uid": BOT}, mention={"uids": [OTHER]}), False),
        (text("@Other typed by hand"), False),
    ],
)
def test_where_no_mention_is_needed_who_names_others_only_speaks_to_them(
    without: dict[str, Any], payload: dict[str, Any], for_others: bool
) -> None:
    decision = in_group(payload, policy=GatePolicy(**without))
    assert (decision == Decision(DecisionKind.CONTEXT, "names others only")) is for_others
    assert (decision.kind is DecisionKind.TURN) is not for_others
    as_before = GatePolicy(**without, answer_others_mentions=True)
    assert in_group(payload, policy=as_before).kind is DecisionKind.TURN


def test_own_message_is_an_echo_whatever_it_says() -> None:
    for payload in (text("@Helper hi"), text("x", mention={"uids": [BOT]}), {"type": 99}, {"type": 2000}, {}):
        assert in_group(payload, sender=BOT) == Decision(DecisionKind.ECHO, "own message")
        assert in_dm(payload, sender=BOT, channel_id=ANN) == Decision(DecisionKind.ECHO, "own message")


def test_own_message_under_a_space_prefix_is_an_echo() -> None:
    assert in_group(text("@Helper hi"), sender=f"s{SPACE}_{BOT}").kind is DecisionKind.ECHO


@pytest.mark.parametrize("sender", ["", ANN, OTHER])
@pytest.mark.parametrize("channel_type", [1, 2, 5, 8, 200])
def test_commands_and_event_packets_are_control_on_every_channel(sender: str, channel_type: int) -> None:
    command = {"type": 99, "cmd": "typing", "param": {}, "mention": {"uids": [BOT]}}
    expected = Decision(DecisionKind.CONTROL, "command packet")
    assert judged(command, "", channel_type, sender=sender) == expected
    event = Envelope(from_uid=sender, channel_id="", channel_type=channel_type, is_event_packet=True)
    assert decide(event, read_payload({}), ME, lambda: DEFAULTS) == Decision(
        DecisionKind.CONTROL, "event packet"
    )


@pytest.mark.parametrize("type_", sorted(SYSTEM_TYPES))
def test_system_messages_are_control_even_with_a_mention_and_a_sender(type_: int) -> None:
    payload = {"type": type_, "content": "@Helper", "mention": {"uids": [BOT]}}
    assert in_group(payload) == Decision(DecisionKind.CONTROL, "system message")
    assert in_dm(payload) == Decision(DecisionKind.CONTROL, "system message")


def test_system_types_are_those_the_server_writes() -> None:
    assert {*range(1000, 1010), 1020, 1021, 1022, 1100, 1200, 1201, 1202, 2000, 9989} == SYSTEM_TYPES


@pytest.mark.parametrize("type_", [999, 1010, 1019, 1023, 1099, 1203, 1999, 2001, 9988])
def test_numbers_between_the_system_types_are_messages(type_: int) -> None:
    assert in_dm({"type": type_}).kind is DecisionKind.TURN


def test_message_without_a_sender_is_of_the_system() -> None:
    assert in_group(text("@Helper", mention={"uids": [BOT]}), sender="").reason == "system message"
    assert in_dm(text("hi"), sender="", channel_id="").reason == "system message"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "group_md_updated", "version": 4},
        {"type": "group_md_deleted"},
        {"type": "thread_md_updated"},
        {"type": "mention_pref_updated"},
        {"type": "future"},
    ],
)
def test_document_events_are_control_although_they_mention_every_bot(event: dict[str, Any]) -> None:
    payload = text("GROUP.md updated", event=event, mention={"uids": [BOT]})
    assert in_group(payload) == Decision(DecisionKind.CONTROL, "document event")
    assert in_dm(payload) == Decision(DecisionKind.CONTROL, "document event")


@pytest.mark.parametrize("channel_type", [-1, 0, 3, 4, 6, 7, 8, 9, 10, 11, 12, 255])
def test_message_on_a_channel_no_bot_converses_in_is_ignored(channel_type: int) -> None:
    expected = Decision(DecisionKind.IGNORED, "unsupported channel type")
    assert judged(text("@Helper", mention={"uids": [BOT]}), "x", channel_type) == expected


@pytest.mark.parametrize(
    "payload",
    [
        text("hello"),
        text(""),
        text(5),
        {},
        {"type": 4242},
        {"type": 12},
        {"type": "1"},
        {"type": 97},
        {"a": [[]]},
    ],
)
def test_every_direct_message_of_a_person_is_a_turn(payload: dict[str, Any]) -> None:
    assert in_dm(payload) == Decision(DecisionKind.TURN, "dm")


@pytest.mark.parametrize("raw", [b"", b"hello raw", b"\xff\xfe raw", b"[1,2,3]", b"[" * 100_000])
def test_direct_message_with_a_bad_payload_is_a_turn(raw: bytes) -> None:
    envelope = Envelope(from_uid=ANN, channel_id=ANN, channel_type=1)
    assert decide(envelope, parse_payload(raw), ME, lambda: DEFAULTS) == Decision(DecisionKind.TURN, "dm")


@pytest.mark.parametrize("sender", ["botfather", OTHER, HOOK])
def test_direct_message_of_a_bot_is_context_whatever_it_says(sender: str) -> None:
    for payload in (text("hi"), text("/reset"), text("@Helper", mention={"uids": [BOT]})):
        assert in_dm(payload, sender=sender) == Decision(DecisionKind.CONTEXT, "bot in dm", from_bot=True)


@pytest.mark.parametrize(
    "channel_id",
    [
        "",
        ANN,
        f"{BOT}@{ANN}",
        f"{ANN}@{BOT}",
        f"s{SPACE}_{ANN}@s{SPACE}_{BOT}",
        f"sminglue_default_{BOT}@sminglue_default_{ANN}",
    ],
)
def test_direct_message_addresses_us_under_every_id_of_our_conversation(channel_id: str) -> None:
    assert in_dm(text("hi"), channel_id=channel_id) == Decision(DecisionKind.TURN, "dm")


@pytest.mark.parametrize("channel_id", [f"{ANN}@{OTHER}", f"{ANN}@", "@", f"{ANN}@x{BOT}"])
def test_direct_message_between_others_is_ignored(channel_id: str) -> None:
    assert in_dm(text("hi"), channel_id=channel_id) == Decision(DecisionKind.IGNORED, "not our conversation")


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ("/help", "/help"),
        ("/status", "/status"),
        ("/reset", "/reset"),
        ("/stop", "/stop"),
        ("  /reset \n", "/reset"),
        ("/reset now please", "/reset"),
        ("/stop\nall", "/stop"),
        ("@Helper /status", "/status"),
        ("@Helper @Helper /status", "/status"),
        ("/Reset", "/reset"),
        ("/RESET", "/reset"),
        ("／ｒｅｓｅｔ", "/reset"),
        ("／stop！", "/stop"),
        ("/reset.", "/reset"),
        ("/stop, please", "/stop"),
        ("“/stop”", "/stop"),
        ("🛑 `/stop` 🛑️", "/stop"),
        ("\u200b/stop\ufeff", "/stop"),
        ("/new", "/reset"),
        ("/停止", "/stop"),
        ("／停止。", "/stop"),
        ("/帮助", "/help"),
        ("/状态", "/status"),
        ("/新对话", "/reset"),
        ("/stop@Helper", "/stop"),
        ("/STOP＠helper!", "/stop"),
        (f"/stop@{BOT}", "/stop"),
        ("/stop@whoever else", "/stop"),
        ("/stop @Helper", "/stop"),
        ("/resetall", ""),
        ("/reset/all", ""),
        ("/stop.sh", ""),
        ("//stop", ""),
        ("#reset", ""),
        ("/", ""),
        ("reset", ""),
        ("please /reset", ""),
        ("@Other /reset", ""),
        ("@/reset", ""),
        ("/ reset", ""),
        ("", ""),
    ],
)
def test_command_is_the_first_word_behind_mentions_of_the_bot(content: str, command: str) -> None:
    kind = DecisionKind.COMMAND if command else DecisionKind.TURN
    assert in_dm(text(content)) == Decision(kind, "dm", command)
    assert command_of(read_payload(text(content)), ME, direct=True) == command


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ("/stop@Other", ""),
        ("/stop@Helpers", ""),
        ("/stop@", ""),
        ("/stop@Helper-old", ""),
        ("/stop@Helper (please)", "/stop"),
        ("/stop@Help desk", ""),
    ],
)
def test_in_a_group_a_name_behind_a_command_says_whose_it_is(content: str, command: str) -> None:
    kind = DecisionKind.COMMAND if command else DecisionKind.TURN
    assert in_group(text(f"@Helper {content}")) == Decision(kind, "typed name", command)
    unmentioned = in_group(text(content), policy=GatePolicy(require_mention=False))
    assert unmentioned.kind is (DecisionKind.COMMAND if command else DecisionKind.CONTEXT)


def test_a_name_of_several_words_behind_a_command_is_read_whole() -> None:
    for said in ("/stop@Help Desk", "/stop@help desk please", "/STOP@HELP DESK."):
        assert command_in(said, direct=False, names=["Help Desk"]) == "/stop"
    assert command_in("/stop@Help", direct=False, names=["Help Desk"]) == ""
    assert command_in("/approve@Help Desk 12 deny", direct=False, names=["Help Desk"]) == "/approve"


HOST = {"/model": "/model", "/t": "/think"}
"""Commands of a host, by the words for them."""


@pytest.mark.parametrize(
    ("said", "command", "argument"),
    [
        ("/MODEL  Stub/Two!", "/model", "stub/two"),
        ("／t： high", "/think", "high"),
        ("/model@Helper a\nb", "/model", "a b"),
        ("/model@Other a", "", "a"),
        ("/models a", "", "a"),
        ("model a", "", "a"),
    ],
)
def test_a_command_of_the_host_is_read_with_its_argument(said: str, command: str, argument: str) -> None:
    assert command_in(said, direct=False, names=["Helper"], others=HOST) == command
    assert argument_in(said, direct=False, names=["Helper"]) == argument
    assert command_in(said, direct=False, names=["Helper"]) == ""
    assert names_another(said, ["Helper"], HOST) is ("Other" in said)


def test_the_hosts_commands_are_commands_where_the_gate_is_told_of_them() -> None:
    policy = GatePolicy(commands=HOST)
    assert in_dm(text("/t high")) == Decision(DecisionKind.TURN, "dm")
    assert in_dm(text("/t high"), policy=policy) == Decision(DecisionKind.COMMAND, "dm", "/think")
    found = in_group(text("@Helper /model x"), policy=policy)
    assert found == Decision(DecisionKind.COMMAND, "typed name", "/model")
    assert in_group(text("/model x"), policy=policy).kind is DecisionKind.CONTEXT


@given(st.text(max_size=60))
def test_an_argument_is_one_line_of_words_in_one_spelling(said: str) -> None:
    argument = argument_in(f"/model {said}", direct=True)
    assert argument == plain_words(said)
    assert len(argument.splitlines()) <= 1
    assert command_in(f"/model {said}", direct=True, others=HOST) == "/model"


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
@pytest.mark.parametrize("form", ["{}", "@Helper {}", "{} @Helper", "  {}。", "“{}”!!!", "🛑 {}"])
def test_a_stop_word_alone_is_a_turn_that_may_stop_another(word: str, form: str) -> None:
    for content in (form.format(word), form.format(word.upper())):
        assert in_dm(text(content)) == Decision(DecisionKind.TURN, "dm", STOP_WORD)
    marked = text(f"{word}@小助手", mention={"entities": [mark(BOT, len(word), 4)]})
    assert in_group(marked) == Decision(DecisionKind.TURN, "entity", STOP_WORD)


@pytest.mark.parametrize(
    "content", ["stop it", "don't stop", "@stop", "stop, wait", "stops", "wait", "停止一切"]
)
def test_what_only_holds_a_stop_word_is_an_ordinary_message(content: str) -> None:
    assert in_dm(text(content)) == Decision(DecisionKind.TURN, "dm")


@given(
    st.sampled_from([*ALIASES, *STOP_WORDS]).filter(lambda word: ALIASES.get(word) != APPROVE),
    st.text("!?.,;:'\"()[]{}<>*_~`“”。！？、…🛑👍 \u200b\u3000", max_size=8),
    st.text("!?.,;:'\"()[]{}<>*_~`“”。！？、…🛑👍 \u200b\u3000", max_size=8),
    st.sampled_from([str, str.upper, str.title, full_width]),
)
def test_case_width_and_signs_around_a_word_change_no_command(
    word: str, before: str, after: str, spelt: Callable[[str], str]
) -> None:
    found = command_in(f"{before}{spelt(word)}{after}", direct=False)
    assert found == ALIASES.get(word, STOP_WORD)


@given(st.text(max_size=40), st.text(max_size=8), st.booleans())
def test_any_text_is_a_known_command_or_none(said: str, name: str, direct: bool) -> None:
    found = command_in(said, direct=direct, names=[name])
    assert found in {"", STOP_WORD, *ALIASES.values()}
    if found in COMMANDS:
        assert "/" in unicodedata.normalize("NFKC", said)
    if names_another(said, [name]):
        assert command_in(said, direct=False, names=[name]) == ""


@pytest.mark.parametrize("verdict", sorted(VERDICTS))
@pytest.mark.parametrize(
    "form",
    [
        "/approve {}",
        "/approve 3f0c-12 {}",
        " /approve\t12  {} ",
        "/APPROVE 12 {}!",
        "／批准 {}",
        "/approve@Helper 12 {}",
    ],
)
def test_approvals_are_commands_wherever_the_bot_is_addressed(form: str, verdict: str) -> None:
    content = form.format(verdict)
    assert in_dm(text(content)) == Decision(DecisionKind.COMMAND, "dm", "/approve")
    assert in_group(text(f"@Helper {content}")) == Decision(DecisionKind.COMMAND, "typed name", "/approve")


@pytest.mark.parametrize("content", ["approve once", "approve 12 deny", "Approve 12 Deny.", "批准 12 允许"])
def test_approvals_without_a_slash_are_commands_in_direct_conversations_only(content: str) -> None:
    assert in_dm(text(content)).command == "/approve"
    assert in_group(text(f"@Helper {content}")) == Decision(DecisionKind.TURN, "typed name")


@pytest.mark.parametrize(
    "content",
    [
        "/approve",
        "/approve 12",
        "/approve 12 maybe",
        "/approve 1 2 allow",
        "/approve 12 allow please",
        "/approved 12 allow",
        "approve",
        "please approve once",
        "/approve@Other 12 allow please",
        "批准",
    ],
)
def test_what_only_looks_like_an_approval_is_an_ordinary_message(content: str) -> None:
    assert in_dm(text(content)) == Decision(DecisionKind.TURN, "dm")


@given(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=40))
def test_whatever_stands_around_a_verdict_one_line_is_a_command_or_is_not(rest: str) -> None:
    found = command_in(f"/approve {rest} allow", direct=False)
    assert found == ("/approve" if len(rest.split()) <= 1 else "")


@pytest.mark.parametrize(
    ("content", "request_id", "decision"),
    [
        ("/approve 3F0C12ab once", "3f0c12ab", ONCE),
        ("/approve allow-always", "", ALWAYS),
        ("approve 12 Deny.", "12", DENY),
        ("/批准 12 允许", "12", ONCE),
        ("/deny 12", "12", DENY),
        ("/Deny", "", DENY),
        ("/拒绝 12", "12", DENY),
    ],
)
def test_a_decision_is_read_with_the_request_it_is_about(
    content: str, request_id: str, decision: str
) -> None:
    assert command_in(content, direct=True)
    assert verdict_in(content, direct=True) == Verdict(request_id, decision)


@pytest.mark.parametrize("content", ["/deny all of it", "deny 12", "/denyx", "/status", "hello"])
def test_what_decides_nothing_is_no_decision(content: str) -> None:
    assert verdict_in(content, direct=True) is None
    assert command_in(content, direct=True) in {"", "/status"}


def test_every_command_is_recognised() -> None:
    assert {in_dm(text(command)).command for command in COMMANDS} == COMMANDS


def test_command_in_a_group_has_to_address_the_bot() -> None:
    assert in_group(text("/reset")) == Decision(DecisionKind.CONTEXT, "no mention")
    assert in_group(text("@Helper /reset")) == Decision(DecisionKind.COMMAND, "typed name", "/reset")
    aliased = text("@小助手 /reset", mention={"uids": [BOT], "entities": [mark(BOT, 0, 4)]})
    assert in_group(aliased) == Decision(DecisionKind.COMMAND, "uid", "/reset")
    by_reply = text("/stop", reply={"from_uid": BOT})
    assert in_group(by_reply) == Decision(DecisionKind.COMMAND, "reply to bot", "/stop")


@pytest.mark.parametrize("payload", [{"content": "/reset"}, {"type": 2, "url": "x", "content": "/reset"}])
def test_only_text_messages_are_commands(payload: dict[str, Any]) -> None:
    assert in_dm(payload) == Decision(DecisionKind.TURN, "dm")


def test_bot_without_a_known_name_is_still_addressed_by_id() -> None:
    nameless = Identity(uid=BOT)
    envelope = Envelope(from_uid=ANN, channel_id=GROUP, channel_type=2)
    typed = read_payload(text("@ hi"))
    assert decide(envelope, typed, nameless, lambda: DEFAULTS).kind is DecisionKind.CONTEXT
    named = read_payload(text("@ hi", mention={"uids": [BOT]}))
    assert decide(envelope, named, nameless, lambda: DEFAULTS).kind is DecisionKind.TURN


@pytest.mark.parametrize(
    ("sender", "channel_id", "channel_type", "channel"),
    [
        (ANN, ANN, 1, ChannelRef(ANN, 1)),
        (ANN, "", 1, ChannelRef(ANN, 1)),
        (ANN, f"{BOT}@{ANN}", 1, ChannelRef(ANN, 1)),
        (f"s{SPACE}_{ANN}", f"s{SPACE}_{ANN}", 1, ChannelRef(ANN, 1)),
        (BOT, ANN, 1, ChannelRef(ANN, 1)),
        (BOT, f"{ANN}@{BOT}", 1, ChannelRef(ANN, 1)),
        (BOT, f"sx_y_{ANN}@sx_y_{BOT}", 1, ChannelRef(ANN, 1)),
        ("", "", 1, ChannelRef("", 1)),
        (ANN, GROUP, 2, ChannelRef(GROUP, 2)),
        (BOT, THREAD, 5, ChannelRef(THREAD, 5)),
        ("", "systemcmdonline", 8, ChannelRef("systemcmdonline", 8)),
    ],
)
def test_conversation_is_where_an_answer_goes(
    sender: str, channel_id: str, channel_type: int, channel: ChannelRef
) -> None:
    envelope = Envelope(from_uid=sender, channel_id=channel_id, channel_type=channel_type)
    assert conversation(envelope, BOT) == channel


@given(
    OBJECTS,
    st.sampled_from([ANN, OTHER, BOT, ""]) | st.text(max_size=10),
    st.text(max_size=10) | st.just(f"{ANN}@{BOT}"),
    st.sampled_from([1, 2, 5]) | st.integers(),
)
def test_any_message_gets_a_decision_of_the_gate(
    keys: dict[str, Any], sender: str, channel_id: str, channel_type: int
) -> None:
    payload = parse_payload(json.dumps(keys).encode())
    envelope = Envelope(from_uid=sender, channel_id=channel_id, channel_type=channel_type)
    decision = decide(envelope, payload, ME, lambda: GatePolicy(require_mention=False))
    assert decision.kind not in {DecisionKind.DUPLICATE, DecisionKind.UNDECODABLE}
    assert decision.reason
    assert (decision.command not in {"", STOP_WORD}) == (decision.kind is DecisionKind.COMMAND)
    conversation(envelope, BOT)


@given(OBJECTS | st.binary(max_size=40))
def test_whatever_a_person_writes_directly_addresses_the_bot(content: dict[str, Any] | bytes) -> None:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    payload = parse_payload(raw)
    decision = decide(Envelope(from_uid=ANN, channel_id=ANN, channel_type=1), payload, ME, lambda: DEFAULTS)
    signal = payload.type == 99 or payload.type in SYSTEM_TYPES or bool(payload.event_type)
    assert (decision.kind in ADDRESSED) is not signal
