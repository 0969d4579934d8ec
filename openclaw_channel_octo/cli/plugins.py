"""Commands of other installed plugins (`openclaw_register_commands`).

Most installations have no other plugin, and importing importlib.metadata and pluggy takes as long as the rest of the
help: both are imported only where a file of entry points names a plugin, or where plugins may be described elsewhere.
"""

import os
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["commands_of_plugins"]

_GROUP = "openclaw"
"""The same as `hookspecs.PROJECT`, without importing it."""

_OWN = "openclaw_channel_octo.plugin"
_DESCRIBES = (".dist-info", ".egg-info", "EGG-INFO")
"""Ends of the names of folders that describe a distribution."""


def commands_of_plugins(taken: AbstractSet[str]) -> dict[str, click.Command]:
    """Return the commands that other installed plugins bring, by name.

    A plugin that breaks, and a second command of a name, are told of on standard error and left out.

    Args:
        taken: names that no plugin may bring.
    """
    brought: dict[str, click.Command] = {}
    if not any(map(_may_have_plugins, sys.path)):
        return brought
    from importlib.metadata import entry_points  # noqa: PLC0415  # see the module

    others = (found for found in entry_points(group=_GROUP) if found.value != _OWN)
    for name, command in chain.from_iterable(map(_commands_of, others)):
        if name in taken or name in brought:
            click.echo(f"a plugin brings a second command {name!r}: it is ignored", err=True)
        else:
            brought[name] = command
    return brought


def _may_have_plugins(place: str) -> bool:
    """Tell whether a place of the import path may describe a plugin that is not ours; a zip file may."""
    try:
        names = os.listdir(place or os.curdir)  # noqa: PTH208  # pathlib takes time to import
    except OSError:
        return os.path.isfile(place)  # noqa: PTH113  # likewise
    return any(_names_a_plugin(f"{place or os.curdir}/{name}") for name in names if name.endswith(_DESCRIBES))


def _names_a_plugin(folder: str) -> bool:
    try:
        with open(f"{folder}/entry_points.txt", encoding="utf-8") as file:  # noqa: PTH123  # likewise
            _, _, group = file.read().partition(f"[{_GROUP}]")
    except (OSError, ValueError):
        return False
    lines = group.partition("\n[")[0].splitlines()
    return any(value and value.strip() != _OWN for _, _, value in (line.partition("=") for line in lines))


def _commands_of(found: "EntryPoint") -> Iterator[tuple[str, click.Command]]:
    import pluggy  # noqa: PLC0415  # see the module

    from openclaw_channel_octo import hookspecs  # noqa: PLC0415  # likewise

    plugins, group = pluggy.PluginManager(hookspecs.PROJECT), click.Group()
    plugins.add_hookspecs(hookspecs)
    try:
        plugins.register(found.load(), name=found.name)
        plugins.hook.openclaw_register_commands(group=group)
    except Exception as error:  # noqa: BLE001  # boundary: other people's code must not break our commands
        click.echo(f"the plugin {found.name!r} is left out: {type(error).__name__}: {error}", err=True)
    yield from group.commands.items()
