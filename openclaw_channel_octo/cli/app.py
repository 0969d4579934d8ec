"""The command group: our commands, each loaded when it is used, and those of other installed plugins."""

import io
import sys
from importlib import import_module
from typing import Any

import click

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli import INTERRUPTED
from openclaw_channel_octo.cli.examples import with_examples

__all__ = ["main"]

_COMMANDS = {
    "init": ("setup.command", "Make a configuration: a bot, an agent, both tried."),
    "run": ("run.command", "Run the bots of a configuration."),
    "doctor": ("doctor.command", "Find out why a bot is silent."),
    "demo": ("demo.command", "See the failure this package cures, and the cure."),
    "playground": ("playground.command", "Try an agent in a group chat in your browser."),
    "double": ("playground.command", "Serve a stand-in for an Octo server."),
    "replay": ("captures", "Run recordings through the receive path."),
    "capture": ("captures", "Show, check and clean recordings."),
    "config": ("config", "Check a configuration."),
    "status": ("operate.status", "Show what each bot is doing now."),
    "reload": ("operate.reload", "Have running bots read their configuration again."),
    "journal": ("operate.journal", "Look up what became of messages."),
    "message": ("operate.message", "Send, read and look up things in the chat."),
    "mcp": ("operate.mcp", "Offer the same to an agent program as MCP tools."),
    "sessions": ("sessions.command", "Look at sessions, and repair them."),
    "pairing": ("operate.pairing", "Let people write to a bot."),
    "service": ("service.command", "Have the machine run the bots: systemd, launchd."),
    "gateway": ("gateway.command", "Check an OpenClaw gateway, put Octo into it."),
}
"""By name, in the order of the help: the module below `cli` with the command of that name, and what it does, in so
many words that a terminal of 80 columns shows them whole."""


class LazyGroup(click.Group):
    """A group that loads a command when it is used, and that also has the commands of installed plugins.

    Plugins are looked for only where help is asked for or a command is not one of the group's own, so that nothing
    else waits for them. A plugin that breaks is named on standard error, and everything else works without it.
    """

    _others: dict[str, click.Command] | None = None

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command that was asked for; Ctrl-C while it is loaded or works is one line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.parent is not None:
                raise  # a host's own command line knows what to do
            click.echo("openclaw-octo: interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, the group's own first."""
        return [*_COMMANDS, *sorted(self._brought(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, ``None`` where there is none."""
        if cmd_name not in _COMMANDS:
            return self._brought(ctx).get(cmd_name)
        module = import_module(f"openclaw_channel_octo.cli.{_COMMANDS[cmd_name][0]}")
        return with_examples(cmd_name, getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without loading our own."""
        own = [(name, summary) for name, (_, summary) in _COMMANDS.items()]
        others = sorted(self._brought(ctx).items())
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, command.get_short_help_str()) for name, command in others)])

    def _brought(self, ctx: click.Context) -> dict[str, click.Command]:
        if ctx.parent is not None:
            return {}  # mounted in a host's own command line, which asks the plugins itself
        if self._others is None:
            from openclaw_channel_octo.cli.plugins import commands_of_plugins  # noqa: PLC0415  # see the class

            self._others = commands_of_plugins(frozenset(_COMMANDS))
        return self._others


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openclaw-octo")
def main() -> None:
    """Octo bots for an OpenClaw-style agent host: no message to the bot ends in silence.

    Begin with "openclaw-octo demo". Installed plugins may bring more commands. Exit codes: 0 fine, 1 the thing checked
    is not fine, 2 it could not be tried.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # chats hold what an old terminal's encoding does not
