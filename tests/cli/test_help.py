"""The help of every command: an example, and lines that a terminal of 80 columns shows whole."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from openclaw_channel_octo.cli.app import main
from openclaw_channel_octo.cli.examples import EXAMPLES


def below(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that call a command and those below it."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from below(found, *words, name)


COMMANDS = list(below(main))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_fits_and_ends_with_an_example(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert not words or lines[-1].strip().startswith(f"openclaw-octo {' '.join(words)}")


@pytest.mark.parametrize(("name", "example"), EXAMPLES.items())
def test_an_example_can_be_called(
    name: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    for file in ("whole.wkcap", "recordings/helper-1.wkcap", "openclaw.json"):
        (tmp_path / file).touch()
    block = {"octo": {"botToken": "bf_0123456789abcdef"}}
    (tmp_path / "octo.json").write_text(json.dumps({"channels": block, "host": {"stateDir": "state"}}))
    words = shlex.split(example)
    command = main.get_command(click.Context(main), words[0])
    while isinstance(command, click.Group):
        words = words[1:]
        command = command.commands[words[0]]
    assert command is not None
    command.make_context(name, words[1:])
