"""Commands of other installed plugins, in a program of its own beside a plugin that is really installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from openclaw_channel_octo.hookspecs import PROJECT
from tests.programs import PROGRAM

PLUGIN = """
import click
from openclaw_channel_octo.hookspecs import hookimpl

print("loaded")

@hookimpl
def openclaw_register_commands(group):
    @group.command()
    def greet():
        "Greet whoever asks."
        click.echo("hello from a plugin")

    @group.command()
    def run():
        "Not the one you know."
        click.echo("hijacked")
"""


def install(folder: Path, source: str) -> None:
    """Put a plugin into a folder as an installer would."""
    (folder / "greeter.py").write_text(source)
    info = folder / "greeter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{PROJECT}]\ngreeter = greeter\n")


def octo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([PROGRAM, *words], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_plugins_command_is_listed_and_carried_out(tmp_path: Path) -> None:
    install(tmp_path, PLUGIN)

    assert "greet       Greet whoever asks." in octo(tmp_path, "--help").stdout
    done = octo(tmp_path, "greet")
    assert (done.returncode, done.stdout) == (0, "loaded\nhello from a plugin\n")


def test_a_plugin_in_a_zip_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    install(tmp_path / "in", PLUGIN)
    packed = Path(shutil.make_archive(str(tmp_path / "greeter"), "zip", tmp_path / "in"))

    assert octo(packed, "greet").stdout == "loaded\nhello from a plugin\n"


def test_a_plugin_is_not_even_loaded_for_a_command_of_our_own_and_cannot_replace_one(tmp_path: Path) -> None:
    install(tmp_path, PLUGIN)

    own = octo(tmp_path, "run", "--help")
    assert "Run the enabled bots" in own.stdout
    assert "loaded" not in own.stdout
    assert "a plugin brings a second command 'run': it is ignored" in octo(tmp_path, "greet").stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        (PLUGIN.replace("(group)", "(grupp)"), "PluginValidationError"),
        (PLUGIN.replace("import click\n", "", 1).replace("@group.command()", "1/0"), "ZeroDivisionError"),
    ],
    ids=["cannot be imported", "a hook nobody knows", "breaks while it registers"],
)
def test_a_broken_plugin_is_named_and_breaks_nothing_else(tmp_path: Path, source: str, words: str) -> None:
    install(tmp_path, source)

    shown = octo(tmp_path, "--help")
    assert (shown.returncode, "demo" in shown.stdout) == (0, True)
    assert "the plugin 'greeter' is left out: " + words in shown.stderr
    unknown = octo(tmp_path, "greet")
    assert unknown.returncode == 2
    assert "No such command 'greet'" in unknown.stderr


def test_the_help_shows_what_every_command_does_whole_at_80_columns(tmp_path: Path) -> None:
    _, _, commands = octo(tmp_path, "--help").stdout.partition("Commands:\n")
    assert "  doctor      Find out why a bot is silent.\n" in commands
    assert all(line.endswith(".") and "..." not in line for line in commands.splitlines())
