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


FORKED = """
import json, os, sys
from openclaw_channel_octo.cli import main
from openclaw_channel_octo.cli.app import main as app

class Interrupt:
    def find_spec(self, name, *rest):
        if name.startswith("openclaw_channel_octo.cli."):
            raise KeyboardInterrupt

def outcome(words, output, interrupted):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.dup2(write, 2)
        os.close(read)
        if output == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        elif output == "closed":
            gone, closed = os.pipe()
            os.close(gone)
            os.dup2(closed, 1)
        if interrupted:
            sys.meta_path.insert(0, Interrupt())
        main(words)
    os.close(write)
    with os.fdopen(read) as told:
        said = told.read()
    return [" ".join(words), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said]

def tree(group, before=()):
    for name in group.list_commands(None) if before else names:
        command = commands[name] if not before else group.commands[name]
        yield [*before, name]
        if hasattr(command, "commands"):
            yield from tree(command, (*before, name))

from openclaw_channel_octo.cli.app import _COMMANDS
names, kind = list(_COMMANDS), sys.argv[1]
if kind == "interrupted":
    found = [outcome([name, "--help"], "", True) for name in names]
else:
    import click
    context = click.Context(app)
    commands = {name: app.get_command(context, name) for name in names}
    every = tree(app) if kind == "full" else [[name] for name in names]
    found = [outcome([*words, "--help"], kind, False) for words in [[], *every]]
print(json.dumps(found))
"""
"""Asks every command for its help, each in a process of its own, and prints how it ended and what it said.

The commands within groups are asked for only where that is quick: nothing is different with them.
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("full", 2, "openclaw-octo: the output cannot be written: No space left on device\n"),
        ("closed", 1, ""),
        ("interrupted", 130, "openclaw-octo: interrupted\n"),
    ],
)
def test_no_command_answers_a_full_or_closed_output_or_an_early_ctrl_c_with_more_than_a_line(
    kind: str, code: int, said: str
) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, kind], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert len(found) >= 14
    assert [one for one in found if one[1:] != [code, said]] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_a_command_found_and_cannot_write_is_one_line_too(tmp_path: Path) -> None:
    write(tmp_path, {"channels": {"octo": {"botToken": "bf_1"}}})
    with Path("/dev/full").open("w") as full:
        words = ("config", "check", "octo.json")
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "openclaw-octo: the output cannot be written: No space left on device\n"


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
