"""`openclaw-octo playground`: a chat with the bot in a browser, and what happens behind it."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from openclaw_channel_octo.cli.options import CONFIG_OPTION, VERBOSE_OPTION, port_option
from openclaw_channel_octo.cli.output import NOT_TRIED, fail, stop_event
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import ConfigError, OctoError
from openclaw_channel_octo.observe.logs import setup_logging

__all__ = ["playground"]


@click.command()
@CONFIG_OPTION
@click.option(
    "--account", default="", metavar="ID", help="Which bot of the configuration; the first by default."
)
@port_option(8091)
@VERBOSE_OPTION
def playground(config_file: Path | None, account: str, port: int, *, verbose: bool) -> None:
    """Serve a page on this machine: a group with two people and the bot, and what happens behind it.

    The Octo server is a stand-in inside this process. Without --config the bot's agent is an echo; with it, agent and
    settings of that bot answer, and its real server and sessions stay untouched. Buttons make the next turn fail, hang
    or stay empty, cut the connection, and switch the guard off. Nothing is kept when it ends.

    Exit codes: 0 stopped, 2 could not start.
    """
    if account and config_file is None:
        raise click.UsageError("--account names a bot of a configuration: give that with --config")
    try:
        config = load_config(config_file).config if config_file else None
        setup_logging("INFO" if verbose else "ERROR", *(config.secrets() if config else ()))
        with TemporaryDirectory(prefix="octo-playground-") as folder:
            asyncio.run(_serve(config, account, port, Path(folder)))
    except ConfigError as error:
        fail(NOT_TRIED, *(f"{config_file}: {problem}" for problem in error.problems))
    except (OctoError, OSError) as error:
        fail(NOT_TRIED, f"cannot start on port {port}: {error}")


async def _serve(config: OctoConfig | None, account: str, port: int, state_dir: Path) -> None:
    from openclaw_channel_octo.cli.playground.app import configured, plain  # noqa: PLC0415  # as above
    from openclaw_channel_octo.cli.playground.server import served  # noqa: PLC0415  # a whole server: only here

    settings = configured(config, state_dir, account) if config else plain(state_dir)
    stopped = stop_event()
    async with served(settings, SystemClock(), port) as octo:
        click.echo(f"page       {octo.api_url}")
        click.echo(f"stateDir   {state_dir} (for status, sessions, journal in another terminal)")
        click.echo("Ctrl-C ends it.")
        await stopped.wait()
