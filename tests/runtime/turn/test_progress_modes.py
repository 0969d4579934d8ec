"""Where the progress of turns is shown, and what of it."""

from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.runtime.directory.directory import Members
from openclaw_channel_octo.runtime.turn.progress import Shown, mode_in
from openclaw_channel_octo.runtime.turn.stream import Stream

DIRECT, GROUP = ChannelRef("ann", ChannelType.PERSON), ChannelRef("g1", ChannelType.GROUP)
THREAD = ChannelRef("g1____7", ChannelType.THREAD)
OWN = "helper_bot"


def bot(**settings: Any) -> BotConfig:
    octo = {"botToken": "bf_0123456789abcdef", **settings}
    block = {"channels": {"octo": octo}, "host": {"agent": {"kind": "echo"}}}
    return parse_config(block, base=Path("/nowhere")).config.accounts["default"]


def members(people: int, *bots: str, good: bool = True) -> Members:
    names = {**{f"p{number}": "" for number in range(people)}, **dict.fromkeys(bots, "")}
    return Members(names=names, bots=frozenset(bots), good=good)


@pytest.mark.parametrize(
    ("settings", "channel", "there", "mode"),
    [
        ({}, DIRECT, members(1), "progress"),
        ({}, GROUP, members(3, OWN), "progress"),
        ({}, THREAD, members(3, OWN), "progress"),
        ({}, GROUP, members(20, OWN), "off"),
        ({}, GROUP, members(3, OWN, "other_bot"), "off"),
        ({}, GROUP, members(0, good=False), "off"),
        ({"streaming": "off"}, DIRECT, members(1), "off"),
        ({"streaming": "text"}, DIRECT, members(1), "text"),
        ({"streaming": "text"}, GROUP, members(3, OWN, "other_bot"), "text"),
        ({"streaming": "text"}, GROUP, members(500, OWN), "off"),
        ({"streaming": {"mode": "text", "maxGroup": 501}}, GROUP, members(500, OWN), "text"),
        ({"groups": {"g1": {"streaming": "progress"}}}, GROUP, members(500, good=False), "progress"),
        ({"groups": {"g1": {"streaming": "off"}, "*": {}}}, THREAD, members(3, OWN), "off"),
        ({"groups": {"g1": {}, "*": {"streaming": "text"}}}, GROUP, members(3, OWN), "text"),
        ({"groups": {"g1": {"streaming": "off"}}, "streaming": "text"}, DIRECT, members(1), "text"),
    ],
)
def test_where_what_is_shown(
    settings: dict[str, Any], channel: ChannelRef, there: Members, mode: str
) -> None:
    assert mode_in(bot(**settings), channel, there, OWN) == mode


@pytest.mark.parametrize(
    ("tools", "line"),
    [
        ("all", "\n🔧 `exec`, `a'b`, `web_search`"),
        (["exec"], "\n🔧 `exec`"),
        (["other"], ""),
        ("none", ""),
    ],
)
def test_the_tools_used_last_are_named_where_the_operator_lets_people_see_them(
    tools: object, line: str
) -> None:
    seen = Stream(None)
    for tool in ("read", "web_search", "exec", "a`b", "web_search"):
        seen.uses(tool)
    shown = Shown(config=bot(streaming={"tools": tools}), mode="progress", mark="", seen=seen)
    assert shown(3_723.0) == (line.strip(), f"⏳ Working on it… 1:02:03{line}")


def test_the_text_so_far_stands_above_the_time() -> None:
    seen = Stream(None, unposted=["The first ", "words. And unfin"], is_clean=True)
    shown = Shown(config=bot(texts="zh"), mode="text", mark="", seen=seen)
    assert shown(45.0)[1] == "The first words. And\n\n⏳ 正在处理… 0:45"
    seen.is_clean = False
    assert shown(45.0)[1] == "⏳ 正在处理… 0:45"
