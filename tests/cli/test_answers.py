"""What people read of an agent program, and what they can stop, behind the program as it is installed."""

from msgspec.structs import replace

from openclaw_channel_octo.testing.octo.faults import Slow
from tests.programs import Start, stopped
from tests.runtime.rig import HELPER, Rig, python_agent

FILE_BETWEEN_TEXTS = r"""
open(os.path.join(os.environ['OPENCLAW_OUTPUT'], 'a b.txt'), 'w').write('all is well')
print('<think>where is it</think>', end='')
print('\x1b]0;title\x07working 10 %\rworking 99 %\r\x1b[K\x1b[32mfirst\x1b[0m', end='\r\n')
print('- **MEDIA:a b.txt**\nsecond')
"""


async def test_a_programs_colours_progress_thinking_and_files_become_texts_and_files_in_order(
    rig: Rig, start: Start
) -> None:
    await start(rig.config(agent=python_agent(FILE_BETWEEN_TEXTS)))
    await rig.until_row(await rig.mention("the report please"), "answered")
    assert rig.said() == ["first", "[file: a b.txt]", "second"]
    sent = rig.octo.chat(rig.group)[-2].payload
    assert rig.octo.file(sent["url"]).content == b"all is well"


async def test_five_megabytes_are_ten_messages_at_most_and_a_file(rig: Rig, start: Start) -> None:
    await start(rig.config(agent=python_agent("sys.stdout.write('output line\\n' * 450_000)")))
    await rig.until_row(await rig.mention("all of it"), "notified")
    assert len(rig.said()) == 10
    assert "[file: full-text.txt]" in rig.said()


async def test_stop_ends_an_answer_between_two_of_its_messages_also_over_a_kill(
    rig: Rig, start: Start
) -> None:
    config = rig.config(agent=python_agent("print('a line of text\\n\\n' * 60)"), replyChunk=100)
    rig.octo.fail_next("sendMessage", Slow(1.0), times=None)
    process = await start(config)
    message_id = await rig.mention("go")
    await rig.until_said(2)
    await rig.until_row(await rig.mention("/stop"), "answered")
    process.kill()
    await process.communicate()
    rig.octo.heal()
    await start(config)
    await rig.until_row(message_id, "notified")
    assert rig.said().count("⏹️ Stopped.") == 1
    assert len(rig.said()) < 8


async def test_a_message_that_its_app_sends_again_is_answered_once_also_after_a_restart(
    rig: Rig, start: Start
) -> None:
    raw = replace(rig.raw_mention("deploy it", 1), client_msg_no="n1")
    process = await start(rig.config())
    await rig.until_row(await rig.octo.inject(HELPER, raw, stored=True), "answered")
    await stopped(process)
    await start(rig.config())
    await rig.octo.inject(HELPER, replace(raw, message_seq=3), stored=True)
    await rig.mentioned("something else")
    assert rig.said() == ["@Helper deploy it", "@Helper something else"]
