"""The generated parts of docs/ say what the code says of itself; ``make docs`` writes them anew."""

import os
import re
from pathlib import Path

import pytest

from openclaw_channel_octo import OctoChannel, hookspecs
from openclaw_channel_octo.cli.app import main
from openclaw_channel_octo.config.load import load_config, parse_config, parse_host
from openclaw_channel_octo.host import base
from openclaw_channel_octo.host.commands import CommandCall, HasCommands, HostCommand
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.testing import FakeGateway, ManualClock, OctoDouble, ScriptedHost
from tests.docs.reference import commands, decisions, functions, hooks, types
from tests.docs.settings import metrics, settings

DOCS = Path(__file__).parents[2] / "docs"

PARTS = {
    ("plugins.md", "hooks"): lambda: hooks(hookspecs),
    ("plugins.md", "channel"): lambda: types(
        hookspecs.ChannelRegistry, hookspecs.ChannelSpec, hookspecs.Channel
    ),
    ("plugins.md", "host"): lambda: types(
        *(
            base.AgentHost,
            base.Recovery,
            base.AsksApprovals,
            base.HidesThinking,
            base.NamesSessions,
            base.ResumesRuns,
        ),
        *(base.TakesChatTools, base.ChatTools, base.ChatTool),
        *(HasCommands, HostCommand, CommandCall),
    ),
    ("plugins.md", "turn"): lambda: types(
        *(base.Turn, base.Sender, base.MediaItem),
        *(base.Accepted, base.Activity, base.Delta, base.Block, base.Media, base.ToolNote, base.Waiting),
        *(base.Interrupted, base.Final, base.Failed, base.Skipped),
    ),
    ("commands.md", "commands"): lambda: commands(main, "openclaw-octo"),
    ("python.md", "channel"): lambda: types(OctoChannel, ChannelStatus),
    ("python.md", "configuration"): lambda: functions(load_config, parse_config, parse_host),
    ("python.md", "doubles"): lambda: types(OctoDouble, FakeGateway, ScriptedHost, ManualClock),
    ("decisions/index.md", "decisions"): lambda: decisions(DOCS / "decisions"),
    ("settings.md", "settings"): settings,
    ("metrics.md", "metrics"): metrics,
}


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_generated_part_is_what_the_code_says(name: str, part: str) -> None:
    path = DOCS / name
    begin, end = f"<!-- begin generated: {part} -->\n", f"<!-- end generated: {part} -->\n"
    before, found, rest = path.read_text().partition(begin)
    shown, _, after = rest.partition(end)
    generated = f"\n{PARTS[name, part]()}\n"
    if os.environ.get("OCTO_DOCS") == "write":
        path.write_text(before + begin + generated + end + after)
        shown = generated
    assert found, f"{name} has no place for {part}"
    assert shown == generated, f"{name} is not what the code says: read both; `make docs` renews it"


def test_every_hook_is_in_the_document_and_none_that_there_is_not() -> None:
    told = set(re.findall(r"^### `(openclaw_\w+)`", (DOCS / "plugins.md").read_text(), re.MULTILINE))
    assert told == {name for name in vars(hookspecs) if name.startswith("openclaw_")}


def test_every_name_of_the_two_contracts_is_in_the_document() -> None:
    told = set(re.findall(r"^### `(\w+)`", (DOCS / "plugins.md").read_text(), re.MULTILINE))
    helpers = {"PROJECT", "hookimpl", "hookspec", "TurnEvent"}
    assert {*hookspecs.__all__, *base.__all__} - helpers <= told
