"""The command group and what all commands share: exit codes, output, version."""

import io
import sys

import click

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.captures import capture, replay
from openclaw_channel_octo.cli.config import config
from openclaw_channel_octo.cli.demo.command import demo
from openclaw_channel_octo.cli.doctor.command import doctor
from openclaw_channel_octo.cli.gateway import gateway
from openclaw_channel_octo.cli.operate.journal import journal
from openclaw_channel_octo.cli.operate.message import message
from openclaw_channel_octo.cli.operate.pairing import pairing
from openclaw_channel_octo.cli.operate.status import status
from openclaw_channel_octo.cli.playground.command import double, playground
from openclaw_channel_octo.cli.plugins import PluginGroup
from openclaw_channel_octo.cli.run.command import run
from openclaw_channel_octo.cli.sessions.command import sessions

__all__ = ["main"]


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openclaw-octo")
def main() -> None:
    """Octo bots for an OpenClaw-style agent host: no message to the bot ends in silence.

    Begin with "openclaw-octo demo". Installed plugins may bring more commands. Exit codes: 0 fine, 1 the thing checked
    is not fine, 2 it could not be tried.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # chats hold what an old terminal's encoding does not


for command in (
    *(run, doctor, demo, playground, double, replay, capture, config),
    *(status, journal, message, sessions, pairing, gateway),
):
    main.add_command(command)
