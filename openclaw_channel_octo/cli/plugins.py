"""Commands of other installed plugins (`openclaw_register_commands`)."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from importlib.metadata import EntryPoint, entry_points
from itertools import chain

import click
import pluggy

from openclaw_channel_octo import hookspecs

__all__ = ["commands_of_plugins"]

_OWN = "openclaw_channel_octo.plugin"


def commands_of_plugins(taken: AbstractSet[str]) -> dict[str, click.Command]:
    """Return the commands that other installed plugins bring, by name.

    A plugin that breaks, and a second command of a name, are told of on standard error and left out.

    Args:
        taken: names that no plugin may bring.
    """
    brought: dict[str, click.Command] = {}
    others = (found for found in entry_points(group=hookspecs.PROJECT) if found.value != _OWN)
    for name, command in chain.from_iterable(map(_commands_of, others)):
        if name in taken or name in brought:
            click.echo(f"a plugin brings a second command {name!r}: it is ignored", err=True)
        else:
            brought[name] = command
    return brought


def _commands_of(found: EntryPoint) -> Iterator[tuple[str, click.Command]]:
    plugins, group = pluggy.PluginManager(hookspecs.PROJECT), click.Group()
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(found.load(), name=found.name)
        plugins.hook.openclaw_register_commands(group=group)
    except Exception as error:  # noqa: BLE001  # boundary: other people's code must not break our commands
        click.echo(f"the plugin {found.name!r} is left out: {type(error).__name__}: {error}", err=True)
    yield from group.commands.items()
