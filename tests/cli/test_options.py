"""What commands have in common: where the state folder is, and how they end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_channel_octo.cli.options import with_files, with_store
from tests.cli.asking import call, write_sessions
from tests.programs import write
from tests.runtime.rig import Rig

PROGRAM = "from openclaw_channel_octo.cli import main; main()"


@pytest.mark.parametrize("words", ["status", "journal list", "sessions list", "pairing list"])
async def test_the_state_folder_may_be_named_by_the_configuration(rig: Rig, words: str) -> None:
    await rig.start(rig.config())
    write_sessions(rig.state_dir, {"agent:main:octo:group:g9": {"status": "done"}})
    file = write(rig.state_dir.parent, {"host": {"stateDir": "${WHERE}"}, "channels": "whatever"})
    (file.parent / ".env").write_text(f"WHERE={rig.state_dir.name}\n")
    code = 1 if words == "status" else 0  # nobody can be asked
    by_config = call(*words.split(), "--config", file, "--json", code=code)
    assert by_config.output == call(*words.split(), "--store", rig.state_dir, "--json", code=code).output


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"host": {"stateDir": "${GONE}"}}, "host.stateDir: the environment variable GONE is not set"),
        ({"host": {"stateDir": 5}}, "host.stateDir: must be a path, as a string that is not empty"),
        ({"host": []}, "host: must be an object: { … }"),
        ([], "host: must be an object: { … }"),
        ("{", "is not JSON (line 1, column 2), nor JSON5 (line 1, column 2)"),
    ],
)
def test_a_configuration_that_does_not_name_the_folder_is_one_line(
    tmp_path: Path, content: object, problem: str
) -> None:
    file = write(tmp_path, content if isinstance(content, str) else json.dumps(content))
    assert call("journal", "list", "--config", file, code=2).stderr == f"{file}: {problem}\n"


def test_the_folder_is_named_once(tmp_path: Path) -> None:
    file = write(tmp_path, {})
    result = call("status", "--store", tmp_path, "--config", file, code=2)
    assert "name the state folder once: with --store, or with --config" in result.stderr


def test_advice_names_what_it_needs_in_a_form_for_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert with_store("journal dead", tmp_path / "openclaw-octo") == "openclaw-octo journal dead"
    assert with_store("journal dead", Path("/a b")) == "openclaw-octo journal dead --store '/a b'"
    both = with_files("gateway check", Path("a"), Path("b c"))
    assert both == "openclaw-octo gateway check --config a --openclaw 'b c'"
    assert with_files("gateway check", None, None) == "openclaw-octo gateway check --config octo.json"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "words", ["--help", "run --help", "config check octo.json", "status", "journal list --help"]
)
def test_an_output_that_is_full_is_one_line(tmp_path: Path, words: str) -> None:
    write(tmp_path, {"channels": {"octo": {"botToken": "bf_1"}}})
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr or words == "status"  # which has nothing to write there


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as told:
        assert told.read() == ""
    assert process.wait() == 1


def test_an_interrupt_in_the_first_moment_is_one_line() -> None:
    interrupted = """
import sys
class Interrupt:
    def find_spec(self, name, *rest):
        if name == "click":
            raise KeyboardInterrupt
from openclaw_channel_octo.cli import main
sys.meta_path.insert(0, Interrupt())
main(["--help"])
"""
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "openclaw-octo: interrupted\n")
