"""Which agent and session a conversation gets; tests/live/gateway/test_routes compares with a real gateway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.session.key import session_key
from openclaw_channel_octo.session.route import (
    ANY,
    DM_SCOPES,
    Binding,
    Peer,
    Route,
    Routing,
    canonical_account,
    canonical_id,
)

GROUP = ChannelRef("G1", ChannelType.GROUP)
THREAD = ChannelRef("G1____77", ChannelType.THREAD)
DM = ChannelRef("Ann", ChannelType.PERSON)


@pytest.mark.parametrize("channel", [GROUP, THREAD, DM])
def test_without_rules_every_conversation_has_a_session_of_its_own(channel: ChannelRef) -> None:
    assert Routing().route("helper", channel) == Route(
        agent_id="main", session_key=session_key("main", channel)
    )


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("main", "agent:main:main"),
        ("per-peer", "agent:main:direct:ann"),
        ("per-channel-peer", "agent:main:octo:direct:ann"),
        ("per-account-channel-peer", "agent:main:octo:helper-1:direct:ann"),
    ],
)
def test_direct_messages_share_sessions_as_their_scope_says(scope: str, key: str) -> None:
    assert Routing(dm_scope=scope).route("Helper 1", DM).session_key == key


def test_an_account_of_which_no_letter_is_left_is_the_default_one() -> None:
    routing = Routing(dm_scope="per-account-channel-peer", bindings=(Binding(agent_id="a"),))
    assert routing.route("--", DM).session_key == "agent:a:octo:default:direct:ann"


def test_groups_may_all_be_the_main_session() -> None:
    assert Routing(group_scope="main").route("helper", GROUP).session_key == "agent:main:main"


def test_a_linked_person_is_one_person_except_in_the_main_session() -> None:
    links = {"octo:ann": "Anna", "bob": "robert"}
    assert Routing(links=links).route("helper", DM).session_key == "agent:main:octo:direct:anna"
    bob = ChannelRef("BOB", ChannelType.PERSON)
    assert Routing(links=links, dm_scope="per-peer").route("h", bob).session_key == "agent:main:direct:robert"
    assert Routing(links=links, dm_scope="main").route("h", bob).session_key == "agent:main:main"


@pytest.mark.parametrize("spellings", [("ann", "octo:ann"), ("octo:ann", "ann")])
def test_of_two_names_for_one_person_the_first_counts(spellings: tuple[str, str]) -> None:
    links = dict(zip(spellings, ("first", "second"), strict=True))
    assert Routing(links=links).route("h", DM).session_key == "agent:main:octo:direct:first"


EVERYWHERE = Binding(agent_id="everywhere", account_id=ANY)
ACCOUNT = Binding(agent_id="account", account_id="helper")
GROUPS = Binding(agent_id="groups", account_id=ANY, peer=Peer("group", ANY))
THIS_GROUP = Binding(agent_id="this-group", account_id=ANY, peer=Peer("group", "G1"))
THIS_THREAD = Binding(agent_id="this-thread", account_id=ANY, peer=Peer("group", "G1____77"))
ANN = Binding(agent_id="for-ann", account_id=ANY, peer=Peer("direct", "Ann"))


@pytest.mark.parametrize(
    ("rules", "channel", "agent"),
    [
        ((EVERYWHERE, ACCOUNT), DM, "account"),
        ((EVERYWHERE,), DM, "everywhere"),
        ((ACCOUNT, GROUPS), GROUP, "groups"),
        ((ACCOUNT, GROUPS), DM, "account"),
        ((GROUPS, THIS_GROUP), GROUP, "this-group"),
        ((GROUPS, THIS_GROUP), THREAD, "this-group"),
        ((THIS_GROUP, THIS_THREAD), THREAD, "this-thread"),
        ((THIS_THREAD,), GROUP, "main"),
        ((ANN,), DM, "for-ann"),
        ((ANN,), ChannelRef("ann", ChannelType.PERSON), "main"),
        ((Binding(agent_id="other", account_id="other"),), DM, "main"),
        ((Binding(agent_id="default"),), DM, "main"),
    ],
)
def test_the_most_particular_rule_wins(rules: tuple[Binding, ...], channel: ChannelRef, agent: str) -> None:
    assert Routing(bindings=rules).route("helper", channel).agent_id == agent
    assert Routing(bindings=rules).route("helper", channel).session_key.startswith(f"agent:{agent}:")


def test_a_rule_may_bring_scopes_of_its_own() -> None:
    rule = Binding(agent_id="a", account_id=ANY, dm_scope="main", group_scope="main")
    routing = Routing(bindings=(rule,))
    assert routing.route("h", DM).session_key == "agent:a:main"
    assert routing.route("h", GROUP).session_key == "agent:a:main"


def test_a_rule_without_an_agent_leads_to_the_default_one() -> None:
    routing = Routing(default_agent="Work", bindings=(Binding(agent_id="", account_id=ANY),))
    assert routing.route("h", GROUP).agent_id == "work"
    assert routing.agents_of("h") == {"work"}


def test_every_agent_an_account_can_reach_is_named() -> None:
    routing = Routing(bindings=(GROUPS, ACCOUNT, Binding(agent_id="x", account_id="other")))
    assert routing.agents_of("Helper") == {"main", "groups", "account"}


@pytest.mark.parametrize(
    ("text", "found"),
    [("", ""), (" Main ", "main"), ("Team Röd 1", "team-r-d-1"), ("--", ""), ("a" * 70, "a" * 64)],
)
def test_ids_are_compared_as_gateways_do(text: str, found: str) -> None:
    assert canonical_id(text) == found
    assert canonical_account(text) == (found or "default")


@given(st.text(), st.text(min_size=1), st.sampled_from(list(ChannelType)), st.sampled_from(DM_SCOPES))
def test_every_conversation_has_a_route(account: str, channel: str, kind: ChannelType, scope: str) -> None:
    route = Routing(dm_scope=scope).route(account, ChannelRef(channel, kind))
    assert route.session_key.startswith("agent:main:")


def test_direct_messages_share_a_session_only_where_the_scope_is_main() -> None:
    ben, group = ChannelRef("main", 1), ChannelRef("g1", 2)
    assert Routing(dm_scope="main").shares_direct("a", ben)
    assert not any(Routing(dm_scope=scope).shares_direct("a", ben) for scope in DM_SCOPES if scope != "main")
    assert not Routing(dm_scope="main", group_scope="main").shares_direct("a", group)
    rule = Binding(agent_id="helper", account_id="*", dm_scope="main")
    assert Routing(bindings=(rule,)).shares_direct("a", ben)
