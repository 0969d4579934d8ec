"""The ``config`` commands: what a configuration file means, or everything that is wrong with it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import click

from openclaw_channel_octo.cli.options import JSON_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, json_text, refuse
from openclaw_channel_octo.cli.run.start import agent_warnings, not_installed
from openclaw_channel_octo.config.environment import looks_secret
from openclaw_channel_octo.config.files import UnreadableConfigError
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import CommandAgentConfig, EmbeddedHostConfig, OctoConfig
from openclaw_channel_octo.config.report import report, report_text
from openclaw_channel_octo.errors import ConfigError

__all__ = ["config"]


@click.group()
def config() -> None:
    """Look at the configuration file."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
@JSON_OPTION
@click.option("--resolve", is_flag=True, help="Also run the programs that secrets come from.")
def check(file: Path, *, as_json: bool, resolve: bool) -> None:
    """Show the effective settings of FILE, or every mistake in it. Never shows a secret.

    Exit code: 0 fine (perhaps with warnings), 1 mistakes, 2 not readable or not JSON.
    """
    try:
        loaded = load_config(file, run_programs=resolve)
    except UnreadableConfigError as error:
        refuse(NOT_TRIED, error.problems, f"{file}: {' '.join(error.problems)}", as_json=as_json)
    except ConfigError as error:
        _refuse(file, error.problems, as_json=as_json)
    if loaded.unreadable:
        _refuse(file, (*loaded.causes, *loaded.unreadable), as_json=as_json)
    warnings = [*loaded.warnings, *not_installed(loaded.config), *agent_warnings(loaded.config)]
    variables = _variables_of_agent(loaded.config)
    if as_json:
        told = {"ok": True, "warnings": warnings, **report(loaded.config), "agentVariables": variables}
        click.echo(json_text(told, indent=2))
    else:
        _print_settings(file, loaded.config, warnings, variables)


def _refuse(file: Path, problems: Sequence[str], *, as_json: bool) -> NoReturn:
    head = f"{file}: {len(problems)} mistake{'s' if len(problems) != 1 else ''}"
    refuse(NOT_FINE, problems, head, *(f"  - {problem}" for problem in problems), as_json=as_json)


def _variables_of_agent(config: OctoConfig) -> dict[str, list[str]] | None:
    """Return the names of variables that look like secrets, by what becomes of them; ``None`` without a program."""
    agent = config.host.agent if isinstance(config.host, EmbeddedHostConfig) else None
    if not isinstance(agent, CommandAgentConfig):
        return None
    seen = agent.inheritance.of(os.environ)
    held = os.environ.keys() - seen.keys() - agent.env.keys()
    return {
        "seen": sorted(name for name in {*seen, *agent.env} if looks_secret(name)),
        "withheld": sorted(name for name in held if looks_secret(name) or name in agent.inheritance.withheld),
    }


def _print_settings(
    file: Path, config: OctoConfig, warnings: Sequence[str], variables: Mapping[str, Sequence[str]] | None
) -> None:
    bots = config.accounts.values()
    on = sum(bot.enabled for bot in bots)
    click.echo(f"{file}: fine, {len(bots)} account{'s' if len(bots) != 1 else ''}, {on} on")
    for warning in warnings:
        click.echo(f"  warning: {warning}")
    click.echo(f"\n{report_text(config)}")
    if variables is not None:
        click.echo("\nvariables of this environment that look like secrets")
        click.echo(f"  the agent's program sees              {', '.join(variables['seen']) or 'none'}")
        click.echo(f"  withheld from it                      {', '.join(variables['withheld']) or 'none'}")
