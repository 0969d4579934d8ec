"""Who may talk to a bot, as it is written in the file."""

from typing import Any

import pytest

from openclaw_channel_octo.policy.access import AccessPolicy, GroupAccess
from tests.config.conftest import TOKEN, Parse, Problems

SPACE = "sa1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6_"


def access(parse: Parse, **keys: Any) -> AccessPolicy:
    return parse({"botToken": TOKEN, **keys}).config.accounts["default"].access


def warnings(parse: Parse, **keys: Any) -> list[str]:
    return list(parse({"botToken": TOKEN, **keys}).warnings)


def test_whoever_configures_nothing_has_a_bot_for_everybody(parse: Parse) -> None:
    assert access(parse) == AccessPolicy()
    assert warnings(parse) == []


def test_lists_are_read_as_openclaw_users_write_them(parse: Parse) -> None:
    found = access(
        parse,
        dmPolicy="allowlist",
        allowFrom=["ann", f"{SPACE}Ben"],
        groupPolicy="allowlist",
        groupAllowFrom=["*"],
        groups={"g1": {}, "g2": {"enabled": False}, "*": {"allowFrom": ["cleo"]}},
        blockFrom=["eve"],
    )
    assert found == AccessPolicy(
        dm="allowlist",
        group="allowlist",
        allow_from=frozenset({"ann", "Ben"}),
        group_allow_from=frozenset({"*"}),
        groups={
            "g1": GroupAccess(),
            "g2": GroupAccess(enabled=False),
            "*": GroupAccess(allow_from=frozenset({"cleo"})),
        },
        block_from=frozenset({"eve"}),
    )


def test_numbers_in_lists_are_the_ids_they_look_like(parse: Parse) -> None:
    lists: dict[str, Any] = {
        "allowFrom": [7, "ann"],
        "blockFrom": [8],
        "groups": {"9": {"allowFrom": [10]}, "*": {}},
    }
    found = access(parse, dmPolicy="allowlist", **lists)
    assert found.allow_from == {"7", "ann"}
    assert found.block_from == {"8"}
    assert found.groups["9"].allow_from == frozenset({"10"})


def test_managers_are_those_of_the_account_and_of_the_group(parse: Parse) -> None:
    groups = {"g1": {"managers": [f"{SPACE}Ben"]}, "g2": {}, "*": {"managers": ["cleo"]}}
    found = access(parse, managers=["ann"], groups=groups)
    assert found.managers == {"ann"}
    managers = {group_no: found.managers_of(group_no) for group_no in ("g1", "g2", "g3")}
    assert managers == {"g1": {"ann", "Ben"}, "g2": {"ann"}, "g3": {"ann", "cleo"}}


@pytest.mark.parametrize(
    ("groups", "account", "required"),
    [
        ({}, True, True),
        ({"g1": {"requireMention": False}}, True, False),
        ({"g1": {"requireMention": True}, "*": {"requireMention": False}}, False, True),
        ({"g1": {}, "*": {"requireMention": False}}, True, False),
        ({"*": {}}, False, False),
    ],
)
def test_whether_a_group_needs_a_mention_is_said_by_its_entry_that_of_all_groups_or_the_account(
    parse: Parse, groups: Any, account: bool, required: bool
) -> None:
    assert access(parse, groups=groups).requires_mention("g1", account) is required


def test_without_a_list_of_its_own_a_group_goes_by_that_of_direct_messages(parse: Parse) -> None:
    assert access(parse, groupPolicy="allowlist", allowFrom=["ann"]).group_allow_from == {"ann"}
    lists: dict[str, Any] = {"dmPolicy": "allowlist", "allowFrom": ["ann"], "groupAllowFrom": []}
    assert access(parse, groupPolicy="allowlist", **lists).group_allow_from == frozenset()


def test_an_accounts_lists_replace_those_of_the_channel(parse: Parse) -> None:
    octo = {
        "botToken": TOKEN,
        "dmPolicy": "allowlist",
        "allowFrom": ["ann"],
        "groups": {"g1": {}},
        "accounts": {"a": {"allowFrom": ["ben"], "groups": {"g2": {}}}},
    }
    found = parse(octo).config.accounts["a"].access
    assert found.dm == "allowlist"
    assert found.allow_from == {"ben"}
    assert list(found.groups) == ["g2"]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"dmPolicy": "closed"}, "dmPolicy: must be 'open', 'pairing', 'allowlist'"),
        ({"texts": {"pairing": "ask Ann"}}, "texts.pairing: must contain %s, the code, exactly once"),
        ({"texts": {"pairing": "%s or %d"}}, "texts.pairing: must contain %s, the code, exactly once"),
        (
            {"commands": {"allowfrom": ["ann"]}},
            "commands.allowfrom: unknown key; did you mean allowFrom?",
        ),
        ({"commands": {"allowFrom": "ann"}}, "commands.allowFrom: must be a list of strings"),
        ({"commands": {"allowFrom": ["octo:ann"]}}, "commands.allowFrom.0: must be a bare id"),
        ({"commands": 1}, "commands: must be an object"),
        ({"allowFrom": "ann"}, "allowFrom: must be a list of strings"),
        ({"allowFrom": [True]}, "allowFrom.0: must be a string"),
        ({"allowFrom": [7.5]}, "allowFrom.0: must be a string"),
        ({"allowFrom": [""]}, "allowFrom.0: must be an id without spaces"),
        ({"allowFrom": [" ann"]}, "allowFrom.0: must be an id without spaces"),
        ({"allowFrom": ["octo:ann"]}, "allowFrom.0: must be a bare id, without a prefix"),
        ({"groupAllowFrom": ["accessGroup:ops"]}, "groupAllowFrom.0: must be a bare id"),
        ({"blockFrom": ["*"]}, "blockFrom.0: must name people"),
        ({"managers": ["*"]}, "managers.0: must name people"),
        ({"groups": {"g1": {"managers": ["*"]}}}, "groups.g1.managers.0: must name people"),
        ({"groups": ["g1"]}, "groups: must be an object"),
        ({"groups": {" ": {}}}, "groups"),
        ({"groups": {"g1": {"alowFrom": []}}}, "groups.g1.alowFrom: unknown key; did you mean allowFrom?"),
        ({"groups": {"g1": {"allowFrom": [""]}}}, "groups.g1.allowFrom.0: must be an id"),
        ({"allowfrom": ["ann"]}, "allowfrom: unknown key; did you mean allowFrom?"),
        ({"allowFrom": ["ann"]}, 'allowFrom: has no effect while dmPolicy is "open"'),
        ({"groupAllowFrom": ["ann"]}, 'groupAllowFrom: has no effect while groupPolicy is "open"'),
        (
            {"allowFrom": ["ann"], "groupPolicy": "allowlist", "groupAllowFrom": ["ben"]},
            'allowFrom: has no effect while dmPolicy is "open"',
        ),
    ],
)
def test_mistakes_are_told_with_their_place(problems: Problems, keys: dict[str, Any], problem: str) -> None:
    (found,) = problems({"botToken": TOKEN, **keys})
    assert found.startswith(f"channels.octo.{problem}")


@pytest.mark.parametrize(
    "keys",
    [
        {"allowFrom": ["*"]},
        {"allowFrom": ["ann", "*"], "groupAllowFrom": ["*"]},
        {"allowFrom": ["ann"], "groupPolicy": "allowlist"},
        {"dmPolicy": "disabled", "allowFrom": ["ann"]},
        {"dmPolicy": "pairing"},
        {"dmPolicy": "pairing", "allowFrom": ["ann"]},
        {"groups": {"g1": {"requireMention": False}, "*": {}}},
        {"groupPolicy": "allowlist", "groupAllowFrom": ["ann"], "groups": {"g1": {}}},
    ],
)
def test_lists_that_shut_nobody_out_by_mistake_are_fine(parse: Parse, keys: dict[str, Any]) -> None:
    assert warnings(parse, **keys) == []


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        (
            {"dmPolicy": "allowlist"},
            'allowFrom: is empty while dmPolicy is "allowlist": only the bot\'s owner',
        ),
        ({"groupPolicy": "allowlist"}, 'groupAllowFrom: is empty while groupPolicy is "allowlist": only'),
        (
            {"groupPolicy": "allowlist", "groups": {"g1": {}}},
            'groupAllowFrom: is empty while groupPolicy is "allowlist": only',
        ),
        ({"groups": {"g1": {}}}, 'groups: are the only ones it answers in, although groupPolicy is "open"'),
        (
            {"dmPolicy": "allowlist", "allowFrom": ["eve"], "blockFrom": ["eve"]},
            'blockFrom: blocks "eve", who is allowed elsewhere',
        ),
    ],
)
def test_settings_that_leave_nobody_are_remarked_upon(
    parse: Parse, keys: dict[str, Any], warning: str
) -> None:
    (found,) = warnings(parse, **keys)
    assert found.startswith(f"channels.octo.{warning}")


def test_those_who_may_command_are_listed_for_the_channel_or_for_an_account(parse: Parse) -> None:
    accounts_of = {
        "a": {"botToken": TOKEN},
        "b": {"botToken": f"{TOKEN}2", "commands": {"allowFrom": ["ben"]}},
    }
    octo = {"commands": {"allowFrom": [f"{SPACE}ann"]}, "accounts": accounts_of}
    accounts = parse(octo).config.accounts
    assert [accounts[name].commands.allow_from for name in ("a", "b")] == [("ann",), ("ben",)]
    assert parse({"botToken": TOKEN}).config.accounts["default"].commands.allow_from == ()


def test_what_else_stands_with_the_commands_is_remarked_upon(parse: Parse) -> None:
    (found,) = warnings(parse, commands={"fork": {"scope": "any"}, "allowFrom": ["ann"]})
    assert found == "channels.octo.commands.fork: known, but without effect here"


def test_an_account_that_is_off_is_not_judged(parse: Parse) -> None:
    assert all("allowFrom" not in line for line in warnings(parse, enabled=False, allowFrom=["ann"]))
