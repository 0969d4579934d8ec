"""The example channel as somebody tries it: typed into, answered, and told when something fails."""

import os
import signal
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "terminal_channel.py"

AGENT = """
import sys
said = sys.stdin.read().splitlines()[-1]
print({"fail": "", "nothing": ""}.get(said, f"heard {said}"))
sys.exit(3 if said == "fail" else 0)
"""


def chat(typed: str, *agent: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, EXAMPLE, *agent],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_without_an_agent_it_echoes_every_line_in_order() -> None:
    assert chat("one\ntwo\nthree") == ["one", "two", "three"]


def test_no_line_ends_in_silence_whatever_the_agent_does() -> None:
    assert chat("one\nfail\ntwo\nnothing\nthree\n", sys.executable, "-c", AGENT) == [
        "heard one",
        "(no answer: failed)",
        "(the last run failed, starting again)",
        "heard two",
        "(nothing more to say)",
        "heard three",
    ]


def test_ctrl_c_ends_it_at_once_without_a_traceback_and_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("one\n")
        process.stdin.flush()
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)  # standard input is still open: nobody has typed another line
        finally:
            process.kill()
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []


def test_it_stays_an_example() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 80
