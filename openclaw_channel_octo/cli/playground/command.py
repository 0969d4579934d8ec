"""`openclaw-octo playground` and `double`: a stand-in for an Octo server, with a bot that answers or with none."""

import asyncio
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from openclaw_channel_octo.cli.options import CONFIG_OPTION, with_files
from openclaw_channel_octo.cli.output import NOT_TRIED, fail
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import ConfigError, OctoError
from openclaw_channel_octo.observe.logs import setup_logging

__all__ = ["double", "playground", "write_config"]


@click.command()
@CONFIG_OPTION
@click.option(
    "--account", default="", metavar="ID", help="Which bot of the configuration; the first by default."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8091, show_default=True, help="0 takes any free one."
)
@click.option("-v", "--verbose", is_flag=True, help="Also print the operator's log lines, on standard error.")
def playground(config_file: Path | None, account: str, port: int, *, verbose: bool) -> None:
    """Serve a page on this machine: a group with two people and the bot, and what happens behind it.

    The Octo server is a stand-in inside this process. Without --config the bot's agent is an echo; with it, agent and
    settings of that bot answer, and its real server and sessions stay untouched. Buttons make the next turn fail, hang,
    stay empty, say too much or hit its model's length limit, cut the connection, switch the guard off, and slow sending
    down, so that there is time to write /stop. Nothing is kept when it ends.

    Exit codes: 0 stopped, 2 could not start.
    """
    if account and config_file is None:
        raise click.UsageError("--account names a bot of a configuration: give that with --config")
    try:
        config = load_config(config_file, connecting=False).config if config_file else None
        setup_logging("INFO" if verbose else "ERROR", *(config.secrets() if config else ()))
        with TemporaryDirectory(prefix="octo-playground-") as folder:
            asyncio.run(_serve(config, account, port, Path(folder)))
    except ConfigError as error:
        fail(NOT_TRIED, *(f"{config_file}: {problem}" for problem in error.problems))
    except (OctoError, OSError) as error:
        fail(NOT_TRIED, f"cannot start on port {port}: {error}")


def _stop_event() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set from now on; they do nothing else any more."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _serve(config: OctoConfig | None, account: str, port: int, state_dir: Path) -> None:
    from openclaw_channel_octo.cli.playground.app import configured, plain  # noqa: PLC0415  # as above
    from openclaw_channel_octo.cli.playground.server import served  # noqa: PLC0415  # a whole server: only here
    from openclaw_channel_octo.testing.web.markdown import MISSING, can_render  # noqa: PLC0415  # as above

    settings = configured(config, state_dir, account) if config else plain(state_dir)
    stopped = _stop_event()
    async with served(settings, SystemClock(), port) as octo:
        click.echo(f"page       {octo.api_url}")
        click.echo(f"stateDir   {state_dir} (for status, sessions, journal in another terminal)")
        if not can_render():
            click.echo(MISSING)
        click.echo("Ctrl-C ends it.")
        await stopped.wait()


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 takes any free one."
)
@click.option("--token", default="bf_double", show_default=True, help="The bot's token.")
@click.option("--bot", "uid", default="helper_bot", show_default=True, help="The bot's uid.")
@click.option(
    "--config-out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a configuration for 'run' with this server, the bot and an echo. Nothing is overwritten.",
)
def double(port: int, token: str, uid: str, config_out: Path | None) -> None:
    """Serve a stand-in for an Octo server on this machine, until it is stopped.

    It speaks the bot API and WuKongIM's socket as version 2.2.4 does. In it are a bot, two people, a group, a thread.
    Its page lets people talk and things go wrong; a script does the same with POST /_double/do/NAME, and what can be
    done stands in GET /_double/actions. Nothing is kept when it ends.

    Exit codes: 0 stopped, 2 the port is taken, or the configuration cannot be written.
    """
    try:
        asyncio.run(_serve_double(port, token, uid, config_out))
    except ConfigError as error:
        fail(NOT_TRIED, str(error))
    except OSError as error:
        fail(NOT_TRIED, f"cannot listen on port {port}: {error.strerror or error}")


async def _serve_double(port: int, token: str, uid: str, config_out: Path | None) -> None:
    from openclaw_channel_octo.testing.octo.double import FOR_PROGRAMS, OctoDouble  # noqa: PLC0415  # a whole server: only here
    from openclaw_channel_octo.testing.octo.remote import PREFIX, Remote  # noqa: PLC0415  # as above

    clock, stopped = SystemClock(), _stop_event()
    made = OctoDouble(
        clock, port=port, also=lambda octo, app: Remote(octo, clock).add_to(app), bounds=FOR_PROGRAMS
    )
    async with made as octo:
        octo.add_person("ann", "Ann")
        octo.add_person("ben", "Ben")
        octo.add_bot(uid, token, name="Helper", owner="ann")
        group = octo.add_group("g1", ["ann", "ben", uid], name="Group")
        octo.add_thread(group.id, "2039626171074744320")
        if config_out:
            write_config(config_out, octo.api_url, token)
        click.echo(f"apiUrl     {octo.api_url}")
        click.echo(f"socket     {octo.ws_url}")
        click.echo(f"botToken   {token} ({uid}, in the group {group.id} with ann and ben)")
        click.echo(f"page       {octo.api_url}{PREFIX}")
        said = f'{{"from":"ann","channel":"{group.id}","text":"hello","mention":["{uid}"]}}'
        click.echo(
            f"script     curl -H 'Content-Type: application/json' -d '{said}' {octo.api_url}{PREFIX}/do/say"
        )
        if config_out:
            click.echo(f"bot        {with_files('run', config_out, None)}")
        click.echo("Ctrl-C ends it.")
        await stopped.wait()


def write_config(file: Path, api_url: str, token: str) -> None:
    """Write a configuration for the double; one that says the same, of an earlier double, is left as it is.

    Raises:
        ConfigError: it cannot be written, or something else has that name.
    """
    from openclaw_channel_octo.cli.setup.files import configuration, create  # noqa: PLC0415  # only where it is asked for
    from openclaw_channel_octo.host.files import dump_json  # noqa: PLC0415  # as above

    channel = {"apiUrl": api_url, "accounts": {"helper": {"botToken": token}}}
    content = dump_json(configuration(file, channel, {"agent": {"kind": "echo"}}), indent=2)
    try:
        create(file, content)
    except FileExistsError:
        if not file.is_file() or file.read_bytes() != content:
            raise ConfigError(
                f"{file} exists and says something else: name another file, or remove it"
            ) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
