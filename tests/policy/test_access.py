"""Who may talk to a bot: the tables of the policies, and what the gate makes of them."""

from typing import Any

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.message.payload import read_payload
from openclaw_channel_octo.policy.access import AccessPolicy, GroupAccess
from openclaw_channel_octo.policy.gate import Decision, DecisionKind, Envelope, GatePolicy, Identity, decide

ANN, BEN, EVE = "ann", "ben", "eve"
BOT = "helper_bot"
ME = Identity(uid=BOT, name="Helper", owner_uid=ANN)
GROUP, THREAD = ChannelRef("g1", 2), ChannelRef("g1____2039626171074744320", 5)
SPACE = "sa1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6_"


def dm(uid: str) -> ChannelRef:
    return ChannelRef(uid, 1)


def people(*uids: str) -> frozenset[str]:
    return frozenset(uids)


def test_without_settings_everybody_may_talk_everywhere() -> None:
    policy = AccessPolicy()
    assert [policy.refusal(channel, EVE, ANN) for channel in (dm(EVE), GROUP, THREAD)] == ["", "", ""]
    assert not policy.blocks(EVE, ANN)


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        (AccessPolicy(dm="open", allow_from=people(BEN)), ""),
        (AccessPolicy(dm="disabled", allow_from=people(EVE)), "direct messages are disabled"),
        (AccessPolicy(dm="allowlist"), "not in allowFrom"),
        (AccessPolicy(dm="allowlist", allow_from=people(BEN)), "not in allowFrom"),
        (AccessPolicy(dm="allowlist", allow_from=people(EVE)), ""),
        (AccessPolicy(dm="allowlist", allow_from=people("*")), ""),
        (AccessPolicy(dm="allowlist", allow_from=people("EVE")), "not in allowFrom"),
        (AccessPolicy(group="disabled"), ""),
        (AccessPolicy(group="allowlist", groups={"g9": GroupAccess()}), ""),
    ],
)
def test_direct_messages(policy: AccessPolicy, refused: str) -> None:
    assert policy.refusal(dm(EVE), EVE, ANN) == refused
    assert policy.refusal(dm(ANN), ANN, ANN) == ""


HERE = {"g1": GroupAccess()}


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        (AccessPolicy(dm="disabled"), ""),
        (AccessPolicy(group="disabled", groups=HERE), "groups are disabled"),
        (AccessPolicy(group="allowlist"), "not in groupAllowFrom"),
        (AccessPolicy(group="allowlist", group_allow_from=people(EVE)), ""),
        (AccessPolicy(group="allowlist", group_allow_from=people("*")), ""),
        (AccessPolicy(group="allowlist", allow_from=people(EVE)), "not in groupAllowFrom"),
        (AccessPolicy(groups=HERE), ""),
        (AccessPolicy(groups={"g2": GroupAccess()}), "the group is not in groups"),
        (AccessPolicy(groups={"g2": GroupAccess(), "*": GroupAccess()}), ""),
        (AccessPolicy(groups={"g1": GroupAccess(enabled=False)}), "the group is switched off"),
        (
            AccessPolicy(groups={"g1": GroupAccess(enabled=False), "*": GroupAccess()}),
            "the group is switched off",
        ),
        (AccessPolicy(groups={"g1": GroupAccess(), "*": GroupAccess(enabled=False)}), ""),
        (AccessPolicy(group="allowlist", groups=HERE, group_allow_from=people(EVE)), ""),
        (AccessPolicy(group="allowlist", groups=HERE), "not in groupAllowFrom"),
        (AccessPolicy(groups={"g1": GroupAccess(allow_from=people(BEN))}), "not in the group's allowFrom"),
        (AccessPolicy(group="allowlist", groups={"g1": GroupAccess(allow_from=people(EVE))}), ""),
        (
            AccessPolicy(groups={"g1": GroupAccess(), "*": GroupAccess(allow_from=people(BEN))}),
            "not in the group's allowFrom",
        ),
        (
            AccessPolicy(
                groups={"g1": GroupAccess(allow_from=people("*")), "*": GroupAccess(allow_from=people())}
            ),
            "",
        ),
    ],
)
def test_groups_and_their_threads(policy: AccessPolicy, refused: str) -> None:
    assert policy.refusal(GROUP, EVE, ANN) == refused
    assert policy.refusal(THREAD, EVE, ANN) == refused
    assert policy.refusal(GROUP, ANN, ANN) == ""


def test_a_uid_with_a_space_is_the_bare_one() -> None:
    policy = AccessPolicy(dm="allowlist", allow_from=people(EVE), block_from=people(BEN))
    assert policy.refusal(dm(EVE), SPACE + EVE, ANN) == ""
    assert policy.refusal(dm(ANN), SPACE + ANN, ANN) == ""
    assert policy.blocks(SPACE + BEN, ANN)


def test_a_bot_without_an_owner_lets_in_nobody_for_an_empty_uid() -> None:
    assert AccessPolicy(dm="allowlist").refusal(dm(""), "", "") == "not in allowFrom"


def test_the_owner_cannot_be_blocked() -> None:
    assert not AccessPolicy(block_from=people(ANN)).blocks(ANN, ANN)


def judged(payload: dict[str, Any], sender: str, channel: ChannelRef, **policy: Any) -> Decision:
    envelope = Envelope(from_uid=sender, channel_id=channel.id, channel_type=channel.type)
    return decide(envelope, read_payload(payload), ME, lambda: GatePolicy(**policy))


MENTION = {"type": 1, "content": "@Helper hi", "mention": {"uids": [BOT]}}
CHATTER = {"type": 1, "content": "hi all"}
ALLOWLIST = AccessPolicy(dm="allowlist", group="allowlist")


@pytest.mark.parametrize("channel", [GROUP, THREAD])
@pytest.mark.parametrize("text", ["@Helper hi", "@Helper /reset", "@Helper /help"])
def test_whoever_may_not_talk_and_addresses_the_bot_is_refused_commands_included(
    channel: ChannelRef, text: str
) -> None:
    refused = judged({**MENTION, "content": text}, EVE, channel, access=ALLOWLIST)
    assert refused == Decision(DecisionKind.REFUSED, "not in groupAllowFrom")


def test_a_direct_message_of_somebody_not_allowed_is_refused_whatever_it_holds() -> None:
    assert judged({}, EVE, dm(EVE), access=ALLOWLIST) == Decision(DecisionKind.REFUSED, "not in allowFrom")


def test_another_bot_that_is_not_allowed_is_refused_where_it_names_this_one() -> None:
    assert judged(MENTION, "other_bot", GROUP, access=ALLOWLIST).kind is DecisionKind.REFUSED
    assert judged(CHATTER, "other_bot", GROUP, access=ALLOWLIST).kind is DecisionKind.CONTEXT


def test_talk_of_people_who_may_not_talk_to_the_bot_is_context() -> None:
    assert judged(CHATTER, EVE, GROUP, access=ALLOWLIST) == Decision(DecisionKind.CONTEXT, "no mention")


@pytest.mark.parametrize("without", [{"require_mention": False}, {"no_mention": {ANN, EVE}}])
def test_where_nobody_has_to_mention_the_bot_only_those_who_do_are_refused(without: dict[str, Any]) -> None:
    assert judged(CHATTER, ANN, GROUP, access=ALLOWLIST, **without).kind is DecisionKind.TURN
    assert judged(CHATTER, EVE, GROUP, access=ALLOWLIST, **without).kind is DecisionKind.CONTEXT
    assert judged(MENTION, EVE, GROUP, access=ALLOWLIST, **without).kind is DecisionKind.REFUSED


@pytest.mark.parametrize("payload", [MENTION, CHATTER, {}, {"type": 2, "url": "x"}])
@pytest.mark.parametrize("channel", [GROUP, THREAD, dm(EVE)])
def test_nothing_of_a_blocked_sender_is_heard(payload: dict[str, Any], channel: ChannelRef) -> None:
    blocked = AccessPolicy(allow_from=people(EVE), block_from=people(EVE))
    assert judged(payload, EVE, channel, access=blocked) == Decision(DecisionKind.IGNORED, "blocked")
    assert judged(payload, BEN, channel, access=blocked) == judged(payload, BEN, channel)


def test_signals_are_signals_whoever_may_talk() -> None:
    blocked = AccessPolicy(group="disabled", block_from=people(EVE))
    assert judged({"type": 99}, EVE, GROUP, access=blocked).kind is DecisionKind.CONTROL
    assert judged(MENTION, BOT, GROUP, access=blocked).kind is DecisionKind.ECHO
