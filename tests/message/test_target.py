"""The one parser of targets: every spelling of a conversation is that conversation, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.errors import TargetError
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.message.target import Target, destination, is_bare, parse_target

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_.-]{0,30}[a-z0-9])?", fullmatch=True).filter(
    lambda name: "____" not in name
)
PEOPLE = st.builds(lambda uid: Target(ChannelRef(uid, ChannelType.PERSON)), NAMES)
MENTIONS = st.lists(NAMES, max_size=4, unique=True).map(tuple)
GROUPS = st.builds(lambda no, uids: Target(ChannelRef(no, ChannelType.GROUP), uids), NAMES, MENTIONS)
THREADS = st.builds(
    lambda no, short, uids: Target(ChannelRef(f"{no}____{short}", ChannelType.THREAD), uids),
    NAMES,
    st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    MENTIONS,
)
TARGETS = st.one_of(PEOPLE, GROUPS, THREADS)
SPACE = "s" + "a" * 32
STARTS = st.sampled_from(["user:", "group:", "octo:", f"user:{SPACE}_"])


@given(TARGETS)
def test_a_target_comes_back_from_its_own_text(target: Target) -> None:
    assert parse_target(str(target)) == target


@given(TARGETS, st.lists(st.sampled_from(["octo:", "OCTO:", " octo: "]), max_size=4), st.booleans())
def test_stacked_prefixes_change_nothing(target: Target, stack: list[str], alias: bool) -> None:
    text = str(target).replace("group:", "channel:") if alias else str(target)
    kind, _, rest = text.partition(":")
    assert parse_target("".join([*stack, text])) == target
    assert parse_target("".join([f"{kind}:", *stack, rest])) == target


@given(
    st.one_of(
        st.text(max_size=60),
        st.text("groupchanelsct:_@,sa01 .-", max_size=60),
        st.builds("{}{}".format, STARTS, st.text("ab_@,:", max_size=30)),
    ),
    st.sets(st.text("ab_", max_size=5)),
)
def test_whatever_is_written_means_one_conversation_or_is_refused(text: str, groups: set[str]) -> None:
    try:
        target = parse_target(text, groups=groups, own_uid="own_bot")
    except TargetError:
        return
    assert target.channel.id.strip() == target.channel.id != ""
    assert parse_target(str(target)) == target


@given(TARGETS, st.one_of(NAMES, st.integers(1)), st.sampled_from(["", "thread", "PARENT", "group"]))
def test_direct_conversations_and_threads_stay_what_they_are(
    target: Target, thread_id: str | int, scope: str
) -> None:
    here = ChannelRef(f"{target.group_no}____9", ChannelType.THREAD)
    found = destination(target, here=here, thread_id=thread_id, scope=scope)
    if target.channel.type != ChannelType.GROUP:
        assert found.target == target
    else:
        assert found.target.channel.id == f"{target.channel.id}____{thread_id}"
    assert found.target.mentions == target.mentions


@pytest.mark.parametrize("text", ["", "  ", "group:", "octo:group: ", "user:", "@ann", "group:@ann"])
def test_an_empty_target_is_refused(text: str) -> None:
    with pytest.raises(TargetError):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("group:user:ann", "both group and person"),
        ("telegram:123", "is no id"),
        ("group:a/b", "is no id"),
        ("g1____", "no thread"),
        ("g1____1____2", "no thread"),
        ("ann@ben", "no direct conversation of this bot"),
        ("user:ann@ben", "no direct conversation of this bot"),
        ("user:helper_bot", "the bot itself"),
        ("user:helper_bot@helper_bot", "the bot itself"),
        ("ann\nben", "is no id"),
        ("x" * 500, "is no id"),
        ("u\u017fer:ann", "is no id"),
        ("user:" + f"{SPACE}_" * 500 + "ann", "is no id"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(TargetError, match=words) as caught:
        parse_target(text, own_uid="helper_bot")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "user:ann",
        "helper_bot@ann",
        "ann@helper_bot",
        f"{SPACE}_ann",
        f"user:{SPACE}_helper_bot@{SPACE}_ann",
    ],
)
def test_a_person_has_many_names(text: str) -> None:
    assert parse_target(text, own_uid="helper_bot") == Target(ChannelRef("ann", ChannelType.PERSON))


@pytest.mark.parametrize(
    ("text", "bare"), [("g1", True), ("octo:g1", True), ("group:g1", False), ("user:a", False), ("g1____2", False)]
)  # fmt: skip
def test_only_a_bare_id_needs_the_groups_a_bot_is_in(text: str, bare: bool) -> None:
    assert is_bare(text) is bare


def test_people_called_in_a_target_are_called_once_and_by_their_bare_uid() -> None:
    target = parse_target(f"group:g1@ann, {SPACE}_ben,,ann")
    assert target == Target(ChannelRef("g1", ChannelType.GROUP), ("ann", "ben"))


def test_a_thread_id_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(TargetError, match="is no id"):
        destination(parse_target("group:g1"), thread_id="a b")
