"""What the journal keeps of what agents were given."""

from collections.abc import Sequence
from typing import Any

import pytest

from openclaw_channel_octo.host.base import Accepted, Failed, Final, Turn
from openclaw_channel_octo.message.text import CUT_MARK
from openclaw_channel_octo.runtime.turn.kept_prompts import PROMPT_BYTES, prompt_text
from openclaw_channel_octo.testing import HANG, ScriptedHost
from openclaw_channel_octo.testing.host import Step
from tests.golden.prompts import HOSTILE, PLAIN, shown
from tests.runtime.rig import TOKEN, Rig
from tests.until import until

FINE = (Accepted("r"), Final("fine"))
FAILED = (Accepted("r"), Failed("failed", "no"))


def kept(rig: Rig) -> list[str]:
    return [text for (text,) in rig.sql("SELECT text FROM prompt ORDER BY inbound_id")]


@pytest.mark.parametrize(
    ("steps", "settings", "ending", "count"),
    [
        (FAILED, {}, "notified", 1),
        ((Accepted("r"), Final("")), {}, "notified", 1),
        (FINE, {}, "answered", 0),
        ((Accepted("r"), Final("NO_REPLY")), {"silentReplies": "allow"}, "answered", 0),
        (FINE, {"keepPrompts": True}, "answered", 1),
    ],
    ids=["failed", "said nothing", "answered", "chose to say nothing", "answered, all are kept"],
)
async def test_a_prompt_is_kept_of_a_failed_run_and_of_every_run_where_that_is_wanted(
    rig: Rig, steps: Sequence[Step], settings: dict[str, Any], ending: str, count: int
) -> None:
    await rig.start(rig.config(**settings), ScriptedHost(steps))
    await rig.mentioned("what now?", ending)
    assert ["@Helper what now?" in text for text in kept(rig)] == [True] * count


async def test_a_run_under_way_is_on_the_disk_before_its_agent_begins_where_all_are_kept(rig: Rig) -> None:
    await rig.start(rig.config(keepPrompts=True), ScriptedHost([Accepted("r"), HANG]))
    await rig.under_way("what now?")
    assert len(kept(rig)) == 1


async def test_the_prompt_of_a_message_under_which_a_process_died_is_kept_before_it_runs_again(
    rig: Rig,
) -> None:
    await rig.start(rig.config(), ScriptedHost([Accepted("r"), HANG]))
    await rig.under_way("what now?")
    assert kept(rig) == []
    await rig.stop()
    host = await rig.start_with(ScriptedHost([Accepted("r"), HANG]))
    await until(lambda: bool(host.turns))
    assert len(kept(rig)) == 1


async def test_a_prompt_is_kept_without_secrets_and_only_up_to_a_size(rig: Rig) -> None:
    await rig.start(rig.config(), ScriptedHost(FAILED))
    await rig.mentioned(f"my token is {TOKEN} {'语' * PROMPT_BYTES}", "notified")
    (text,) = kept(rig)
    assert "my token is [hidden] 语" in text
    assert TOKEN not in text
    assert text.endswith(CUT_MARK)
    assert PROMPT_BYTES - 4 < len(text.encode()) <= PROMPT_BYTES


@pytest.mark.parametrize("turn", [PLAIN, HOSTILE])
def test_what_is_kept_is_what_a_program_reads(turn: Turn) -> None:
    assert prompt_text(turn) == shown(turn)["standard input of a program"]
