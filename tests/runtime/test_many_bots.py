"""Many bots in one process: they begin some at a time, and what they share is swept once."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.wiring import STARTING
from openclaw_channel_octo.testing.host import ScriptedHost
from openclaw_channel_octo.testing.octo.double import OctoDouble
from tests.runtime.rig import ANN, HELPER, OTHER, OTHER_TOKEN, TOKEN, FastClock, Rig
from tests.until import until

BOTH = {"helper": TOKEN, "other": OTHER_TOKEN}
ONCE = ("register", "groups", "groupMembers", "mentionPref")
"""What a bot in one group asks once until somebody speaks; and the history of the group and of its owner."""


async def test_more_bots_than_may_begin_at_once_begin_and_ask_everything_once(
    octo: OctoDouble, tmp_path: Path
) -> None:
    rig = Rig(octo, tmp_path / "state", FastClock(0.1))  # no limit of time is met on a busy machine
    tokens = {f"bot{number}": f"bf_{number:032x}" for number in range(2 * STARTING)}
    groups = {}
    for name, token in tokens.items():
        octo.add_bot(name, token, owner=ANN)
        groups[name] = octo.add_group(f"of-{name}", [ANN, name])
    await rig.start(rig.config(bots=tokens), ScriptedHost(), online="bot0")
    for name in tokens:
        await octo.wait_for(partial(octo.online, name))
    await octo.wait_for(lambda: len(rig.calls("messages/sync")) == 2 * len(tokens))
    calls = Counter((call.name, call.bot) for call in octo.calls)
    assert calls.total() == len(tokens) * (len(ONCE) + 2)
    assert {calls[call, name] for call in ONCE for name in tokens} == {1}
    ids = [await octo.say(ANN, groups[name], "hello", mention=[name]) for name in tokens]
    assert set(await rig.until_ended(*ids)) == {"answered"}
    await rig.stop()


async def test_bots_that_take_long_to_begin_hold_up_another_for_a_while_only(fast_rig: Rig) -> None:
    rig, host = fast_rig, ScriptedHost()
    channel = rig.running = OctoChannel(
        parse_config(rig.config(bots=BOTH), base=rig.state_dir).config, clock=rig.clock
    )
    await channel.start("helper", host)
    await rig.until_row(await rig.mention("hello"), "answered")
    assert channel._shared is not None
    for _ in range(STARTING):
        await channel._shared.starting.acquire()
    await channel.start("other", host)
    await rig.octo.wait_for(lambda: rig.octo.online(OTHER))
    await rig.until_row(await rig.octo.say(ANN, rig.group, "and you?", mention=[OTHER]), "answered")


async def test_folders_that_all_bots_share_are_swept_by_one_of_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: Counter[Path] = Counter()
    sweep = MediaFolder.sweep

    def counted(folder: MediaFolder) -> int:
        swept[folder.path] += 1
        return sweep(folder)

    monkeypatch.setattr(MediaFolder, "sweep", counted)
    await rig.start(rig.config(bots=BOTH), ScriptedHost())
    for bot in (HELPER, OTHER):
        await rig.until_row(await rig.octo.say(ANN, rig.group, "hello", mention=[bot]), "answered")
    await until(lambda: len(swept) == 2)
    await rig.stop()
    assert swept == {rig.state_dir / "media": 1, rig.state_dir / "outgoing": 1}
