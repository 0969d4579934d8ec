"""The command group: our commands, and those of other installed plugins (`openclaw_register_commands`)."""

import io
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

import click
import pluggy

from openclaw_channel_octo import __version__, hookspecs
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
from openclaw_channel_octo.cli.run.command import run
from openclaw_channel_octo.cli.sessions.command import sessions

__all__ = ["main"]

OWN = "openclaw_channel_octo.plugin"


class PluginGroup(click.Group):
    """A group that also has the commands of installed plugins.

    They are looked for only where help is asked for or a command is not one of the group's own, so that nothing else
    waits for them. A plugin that breaks is named on standard error, and everything else works without it.
    """

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]  # whatever a group takes
        self._others: dict[str, click.Command] | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, the group's own first."""
        return [*super().list_commands(ctx), *sorted(self._brought(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, ``None`` where there is none."""
        return super().get_command(ctx, cmd_name) or self._brought(ctx).get(cmd_name)

    def _brought(self, ctx: click.Context) -> dict[str, click.Command]:
        if ctx.parent is not None:
            return {}  # mounted in a host's own command line, which asks the plugins itself
        if self._others is None:
            self._others = {}
            others = (found for found in entry_points(group=hookspecs.PROJECT) if found.value != OWN)
            for name, command in chain.from_iterable(map(_commands_of, others)):
                if name in self.commands or name in self._others:
                    click.echo(f"a plugin brings a second command {name!r}: it is ignored", err=True)
                else:
                    self._others[name] = command
        return self._others


def _commands_of(found: EntryPoint) -> Iterator[tuple[str, click.Command]]:
    plugins, group = pluggy.PluginManager(hookspecs.PROJECT), click.Group()
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(found.load(), name=found.name)
        plugins.hook.openclaw_register_commands(group=group)
    except Exception as error:  # noqa: BLE001  # boundary: other people's code must not break our commands
        click.echo(f"the plugin {found.name!r} is left out: {type(error).__name__}: {error}", err=True)
    yield from group.commands.items()


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
