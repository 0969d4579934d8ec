"""Agent programs that write for a terminal, as people read them."""

import pytest

from openclaw_channel_octo.config.model import Texts
from tests.runtime.rig import Rig, python_agent

PROGRESS = (
    "for part in ('\\x1b]0;busy\\x07', '\\x1b[?25l',"
    " '10', '%\\r50%\\r\\x1b', '[2K', '\\x1b[1;3', '2mdone\\x1b[0m\\r\\n',"
    " 'x' * 300, '\\n', 'MEDIA', ': \\x1b[4mgone.png\\x1b[0m', '\\nend\\n'): print(part, end='', flush=True)\n"
)


async def test_colours_and_progress_of_a_program_become_what_a_terminal_shows(rig: Rig) -> None:
    await rig.start(rig.config(agent=python_agent(PROGRESS)))
    await rig.mentioned("go")
    note = f"{Texts().file_failed} `gone.png` (it is not there)"
    assert rig.said() == [f"done\n{'x' * 300}", note, "end"]
    (transcript,) = rig.state_dir.glob("agents/*/sessions/*.jsonl")
    assert "u001b" not in transcript.read_text()


@pytest.mark.parametrize(
    ("written", "said"),
    [("\\rone\\rtwo\\x1b[0m", ["two […]"]), ("MEDIA:a.png\\x1b[0m", []), ("a\\x1b[2K", [])],
)
async def test_what_a_program_that_fails_had_written_is_what_a_terminal_shows(
    rig: Rig, written: str, said: list[str]
) -> None:
    source = f"print('{written}', flush=True); print('10%\\r\\x1b[31mno luck\\x1b[0m', file=sys.stderr); sys.exit(3)"
    await rig.start(rig.config(agent=python_agent(source)))
    message_id = await rig.mentioned("go", "notified")
    assert rig.said() == [*said, Texts().failed]
    assert rig.rows()[message_id][1].endswith("exit code 3: no luck")
