"""docs/operations.md shows what the commands really print, and names every metric there is."""

import re
from pathlib import Path

from openclaw_channel_octo.host.base import Accepted, Failed, Final
from openclaw_channel_octo.observe.prometheus import PrometheusMeter
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.gauges import gauges_of
from openclaw_channel_octo.testing.host import HANG, ScriptedHost
from tests.cli.asking import command, controlled
from tests.runtime.rig import Rig

DOC = Path(__file__).parents[2] / "docs" / "operations.md"


def shown(output: str, rig: Rig, *message_ids: str) -> str:
    """Return what a command printed with what differs from run to run replaced."""
    text = output.replace(str(rig.state_dir), "state")
    for number, message_id in enumerate(message_ids):
        text = text.replace(message_id, str(2044043250838278145 + number))
    text = re.sub(r"process \d+, version [^,]+", "process 4711, version 0.1.0", text)
    text = re.sub(r"before-repair-\w+\.\d+Z", "before-repair-20260722T090000.000000Z", text)
    return re.sub(r"(?<![\d.])\d+ s\b", "3 s", text)


async def test_the_outputs_in_the_document_are_those_of_the_commands(fast_rig: Rig) -> None:
    host = ScriptedHost([Failed("failed", "the model said no")], [Accepted("r"), HANG, Final("at last")])
    await fast_rig.start(fast_rig.config(), host)
    store = str(fast_rig.state_dir)
    failed = await fast_rig.mention("first")
    await fast_rig.until_row(failed, "notified")
    running = await fast_rig.mention("second")
    await host.wait_for_turns(2)
    await fast_rig.until_row(await fast_rig.mention("third"), "queued")
    async with controlled(fast_rig):
        status = await command("status", "--store", store)
        show = await command("sessions", "show", "--store", store, "--session", "agent:main:octo:group:g1")
        host.release()
        await host.wait_for_turns(3)
    await fast_rig.stop()
    fast_rig.write_session(
        {"status": "failed", "sessionId": "s1", "runtimeMs": 394653, "lastRunError": "boom"}
    )
    before = await command("sessions", "show", "--store", store)
    repair = await command("sessions", "repair", "--store", store)
    document = DOC.read_text()
    for result in (status, show, before, repair):
        assert f"```\n{shown(result.output, fast_rig, failed, running)}```" in document


def test_every_metric_is_in_the_document_and_none_that_is_not_there() -> None:
    meter = PrometheusMeter()
    meter.watch(lambda: gauges_of(ChannelStatus(bots={}, turns={}, lanes={}, trouble="")))
    real = set(re.findall(r"^# TYPE (\w+) ", meter.text().decode(), re.MULTILINE))
    assert set(re.findall(r"^\| `(octo_\w+)` ", DOC.read_text(), re.MULTILINE)) == real
