"""What people read is in the language of the bot, whatever becomes of their messages."""

import re
from typing import Any

import pytest

from openclaw_channel_octo.config.texts import Texts
from openclaw_channel_octo.host.base import Accepted, Failed, Final, MediaItem
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.session.status import Status
from openclaw_channel_octo.testing import HANG, ScriptedHost
from tests.runtime.rig import ANN, BEN, Rig

ZH = Texts(language="zh")
DM_BEN = ChannelRef(BEN, 1)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (
            "/帮助",
            f"{ZH.help_status}\n{ZH.help_stop}\n{ZH.help_reset}\n{ZH.help_whoami}\n{ZH.help_help}",
        ),
        ("/状态", "会话：新会话\n等待的消息：0"),
        ("／停止", ZH.nothing_running),
        ("/重置", ZH.reset),
        ("/批准 12 允许", ZH.owner_only),
    ],
)
async def test_every_command_is_answered_in_chinese(rig: Rig, said: str, answer: str) -> None:
    host = await rig.start_with(ScriptedHost(), texts="zh")
    await rig.until_row(await rig.octo.say(BEN, rig.dm, said), "answered")
    assert rig.said(DM_BEN) == [answer]
    assert host.turns == []


async def test_the_turns_that_go_wrong_and_the_restart_behind_them_are_told_in_chinese(rig: Rig) -> None:
    await rig.start_with(
        ScriptedHost(
            [Accepted("r"), Failed(Status.FAILED, "out of tokens")],
            [Accepted("r"), Failed(Status.TIMEOUT, "too long")],
            [Accepted("r"), Final("")],
            [Accepted("r"), Final("", (MediaItem(kind="file", url="gone.txt"),))],
        ),
        texts="zh",
    )
    for state in ("notified", "notified", "notified", "answered"):
        await rig.mentioned("go", state)
    assert rig.said() == [
        *(ZH.failed, ZH.restarting, ZH.timeout, ZH.restarting, ZH.empty),
        f"{ZH.file_failed} `gone.txt` ({ZH.file_gone})",
    ]


async def test_who_is_stopped_waits_or_may_not_reads_so_in_chinese(rig: Rig) -> None:
    host = ScriptedHost([Accepted("r"), HANG, Final("never")])
    await rig.start_with(host, texts="zh", laneLength=1, groups={"g1": {"allowFrom": [ANN]}})
    running = await rig.under_way("long job")
    await rig.mention("waits")
    await rig.mentioned("one too many", "notified")
    await rig.until_row(await rig.mention("let me in", who=BEN), "notified")
    await rig.mentioned("停止")
    await rig.until_row(running, "notified")
    assert set(rig.said()) >= {ZH.busy, ZH.refused, ZH.stopping, ZH.stopped}
    assert not [text for text in rig.said() if not re.search("[一-鿿]|^echo", text)]


async def test_one_bot_of_several_may_speak_another_language(rig: Rig) -> None:
    config: dict[str, Any] = rig.config(dmPolicy="pairing")
    config["channels"]["octo"]["accounts"]["helper"]["texts"] = {"language": "zh", "pairing": "请给安：%s"}
    await rig.start(config, ScriptedHost())
    await rig.octo.say(BEN, rig.dm, "hello")
    (told,) = await rig.until_said(1, DM_BEN)
    assert re.fullmatch("请给安：[A-Z2-9]{8}", told)
