"""Every command of the program that a document shows is there, with the options it is given."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from openclaw_channel_octo.cli.app import main
from tests.test_public_api import DOCUMENTS

BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
PROGRAM = "openclaw-octo"


def shown(path: Path) -> Iterator[list[str]]:
    """Yield the calls of the program in a document's blocks and code spans, each in words."""
    text = path.read_text()
    lines = "\n".join(BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    spans = re.findall(rf"(?<!`)`((?:\S*/)?{PROGRAM} [a-z][^`]*)`(?!`)", re.sub(r"\s*\n", " ", text))
    for line in [*lines, *spans]:
        words = shlex.split(line, comments=True)
        if words and words[0].rpartition("/")[2] == PROGRAM:
            yield words[1:]


def wrong(words: list[str]) -> str:
    """Return what is wrong with a call, nothing where it could be made."""
    command: click.Command = main
    context = click.Context(main)
    for word in words:
        name, *_ = re.split(r"[=…]", word)
        if word.startswith("-"):
            options = {
                option
                for each in command.get_params(context)
                for option in [*each.opts, *each.secondary_opts]
            }
            if name not in options:
                return f"{command.name} has no option {name}"
        elif isinstance(command, click.Group):
            found = [(each, command.get_command(context, each)) for each in word.split("|")]
            if missing := [each for each, one in found if one is None]:
                return f"{command.name} has no command {missing[0]}"
            command = found[0][1] or command
            context = click.Context(command, parent=context)
    return ""


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_of_a_document_can_be_called(path: Path) -> None:
    assert [found for words in shown(path) if (found := wrong(words))] == []


def test_a_command_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`openclaw-octo rum`\n\n```sh\nnew/bin/openclaw-octo run --confg x \\\n  --account=y # so\n```\n"
    )
    assert [wrong(words) for words in shown(page)] == ["run has no option --confg", "main has no command rum"]
