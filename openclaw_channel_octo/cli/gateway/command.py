"""The commands about an OpenClaw gateway."""

import click

from openclaw_channel_octo.cli.gateway.check import check
from openclaw_channel_octo.cli.gateway.install import install, uninstall

__all__ = ["gateway"]


@click.group()
def gateway() -> None:
    """Look at the OpenClaw gateway that runs the turns, and make Octo a channel of it."""


for command in (check, install, uninstall):
    gateway.add_command(command)
