"""Who may have the bot do what: the whole table."""

import pytest

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.policy.authority import Requester, Role, change_refusal, needs_roster, refusal

HERE = ChannelRef("g1", ChannelType.GROUP)
ELSEWHERE = ChannelRef("g2", ChannelType.GROUP)
THREAD = ChannelRef("g2____7", ChannelType.THREAD)
OWN_DM = ChannelRef("ben", ChannelType.PERSON)
OTHER_DM = ChannelRef("ann", ChannelType.PERSON)
SYSTEM = ChannelRef("ben", 9)
BEN = Requester(role=Role.PERSON, uid="ben", conversation=HERE)
OWNER = Requester(role=Role.OWNER, uid="ann", conversation=HERE)
BOT = Requester(role=Role.BOT, uid="x_bot", conversation=HERE)


@pytest.mark.parametrize("requester", [Requester.operator(), OWNER])
@pytest.mark.parametrize("channel", [HERE, ELSEWHERE, THREAD, OWN_DM, OTHER_DM])
def test_operators_and_the_owner_reach_everything_without_a_look_at_the_roster(
    requester: Requester, channel: ChannelRef
) -> None:
    assert not needs_roster(requester, channel)
    assert refusal(requester, channel) == ""


@pytest.mark.parametrize(
    ("channel", "people", "allowed"),
    [
        (HERE, None, True),
        (OWN_DM, None, True),
        (OTHER_DM, None, False),
        (OTHER_DM, {"ben"}, False),
        (ELSEWHERE, {"ben", "ann"}, True),
        (ELSEWHERE, {"ann"}, False),
        (ELSEWHERE, set(), False),
        (ELSEWHERE, None, False),
        (THREAD, {"ben"}, True),
        (THREAD, {"ann"}, False),
        (SYSTEM, {"ben"}, False),
    ],
)
def test_a_person_reaches_where_they_are_and_nothing_else(
    channel: ChannelRef, people: set[str] | None, allowed: bool
) -> None:
    assert (refusal(BEN, channel, people) == "") is allowed
    assert needs_roster(BEN, channel) is (channel in {ELSEWHERE, THREAD})


def test_another_bot_reaches_only_where_it_writes() -> None:
    assert refusal(BOT, HERE) == ""
    assert not needs_roster(BOT, ELSEWHERE)
    assert refusal(BOT, ELSEWHERE, {"x_bot"})
    assert refusal(BOT, ChannelRef("x_bot", ChannelType.PERSON))


def test_a_group_with_the_number_of_a_person_is_another_conversation() -> None:
    in_dm = Requester(role=Role.PERSON, uid="ben", conversation=OWN_DM)
    assert refusal(in_dm, ChannelRef("ben", ChannelType.GROUP), {"ann"})


def test_somebody_without_a_uid_has_no_direct_conversation() -> None:
    nobody = Requester(role=Role.PERSON, conversation=HERE)
    assert refusal(nobody, ChannelRef("", ChannelType.PERSON))


def test_records_name_an_operator_by_that_word() -> None:
    assert (BEN.name, Requester.operator().name) == ("ben", "operator")


IN_THREAD = Requester(role=Role.PERSON, uid="ben", conversation=THREAD)
DIRECT = Requester(role=Role.PERSON, uid="ben", conversation=OWN_DM)


@pytest.mark.parametrize(
    ("requester", "group_no", "managers", "allowed"),
    [
        (Requester.operator(), "g1", set(), True),
        (OWNER, "g2", set(), True),
        (OWNER, "", set(), True),
        (BEN, "g1", {"ben"}, True),
        (BEN, "g2", {"ben"}, False),
        (BEN, "g1", {"ann"}, False),
        (BEN, "g1", set(), False),
        (BEN, "", {"ben"}, True),
        (IN_THREAD, "g2", {"ben"}, True),
        (IN_THREAD, "g1", {"ben"}, False),
        (DIRECT, "g1", {"ben"}, False),
        (DIRECT, "ben", {"ben"}, False),
        (DIRECT, "", {"ben"}, True),
        (BOT, "g1", {"x_bot"}, False),
        (Requester(role=Role.PERSON, conversation=HERE), "g1", {""}, False),
    ],
)
def test_a_group_is_changed_for_owners_and_for_managers_in_it(
    requester: Requester, group_no: str, managers: set[str], allowed: bool
) -> None:
    assert (change_refusal(requester, group_no, managers) == "") is allowed
