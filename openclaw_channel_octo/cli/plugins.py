"""Commands that other installed plugins bring along (`openclaw_register_commands`)."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

import click
import pluggy

from openclaw_channel_octo import hookspecs

__all__ = ["PluginGroup"]

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
