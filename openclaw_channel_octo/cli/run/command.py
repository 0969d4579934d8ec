"""`openclaw-octo run`: the bots of a configuration file, until somebody stops them."""

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw_channel_octo.cli.options import ACCOUNTS_OPTION, CONFIG_OPTION, OPENCLAW_OPTION, load_named
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, TRY_LATER
from openclaw_channel_octo.cli.run.hangup import has_terminal, note_hangups, was_noted
from openclaw_channel_octo.cli.run.hosts import Hosts
from openclaw_channel_octo.cli.run.reload import Hidden, Reloader
from openclaw_channel_octo.cli.run.start import (
    agent_warnings,
    claim_descriptors,
    extras_for,
    mcp_served,
    metrics_served,
    once_there_is_room,
    probes_served,
    what_is_left,
    what_runs,
)
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import Loaded, select_accounts
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.health import Health, reported
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.errors import ConfigError, HostError, OctoError
from openclaw_channel_octo.host.configure import host_from_config
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.observe.logs import setup_logging
from openclaw_channel_octo.observe.notify import CLOSING_S, ServiceManager
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.transport import Tap

if TYPE_CHECKING:
    from openclaw_channel_octo.control.prometheus import PrometheusMeter

__all__ = ["controlled", "run"]

_log = logging.getLogger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM)


@click.command()
@CONFIG_OPTION
@OPENCLAW_OPTION
@ACCOUNTS_OPTION
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Lowest level of log lines on standard error. DEBUG shows message texts.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, or one JSON object a line.",
)
@click.option(
    "--record",
    "record_to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Record what the bots send and receive, for 'capture' and 'replay'. Tokens never reach the disk.",
)
@click.option("--mask-text", is_flag=True, help="Record x in place of what people and bots write.")
@click.option(
    "--record-mb", type=click.IntRange(min=1), default=100, show_default=True, help="Megabytes for each bot."
)
@click.option(
    "--record-minutes",
    type=click.IntRange(min=1),
    default=1440,
    show_default=True,
    help="How long to record.",
)
def run(  # noqa: PLR0913  # its options
    *,
    config_file: Path | None,
    openclaw: Path | None,
    accounts: Sequence[str],
    log_level: str,
    log_format: str,
    record_to: Path | None,
    mask_text: bool,
    record_mb: int,
    record_minutes: int,
) -> None:
    """Run the enabled bots until SIGINT or SIGTERM, on the host that octo.json names or in an OpenClaw gateway.

    On the first signal no new messages are taken, running turns may end (host.drainSeconds), and what waits is kept
    for the next start. A second signal ends at once.

    SIGHUP has the configuration read again, as "openclaw-octo reload" does; of a program in a terminal it is the end.

    Exit codes: 0 stopped in order, 1 turns were cut short, 2 the configuration is wrong, 75 could not start, but may be
    able to later.
    """
    note_hangups()
    named, as_json = config_file or openclaw, log_format == "json"
    read = partial(_read, config_file, openclaw, accounts)
    if as_json:
        setup_logging(log_level.upper(), as_json=True)  # for what is wrong before the secrets are known
    try:
        loaded = read()
        meter = extras_for(loaded.config)
    except ConfigError as error:
        for problem in error.problems:
            _say(logging.ERROR, f"{named}: {problem}", as_json=as_json)
        sys.exit(TRY_LATER if error.retryable else NOT_TRIED)
    hidden = Hidden(loaded.config.secrets(), partial(setup_logging, log_level.upper(), as_json=as_json))
    for warning in (*loaded.warnings, *agent_warnings(loaded.config)):
        _say(logging.WARNING, f"{named}: warning: {warning}", as_json=as_json)
    for problem in loaded.unreadable:
        _log.error("this bot does not run, the others do: %s; a reload or a restart reads it again", problem)
    recorder = partial(_recorder, record_mb, record_minutes, hidden, mask_text=mask_text)
    tap = partial(recorder, record_to) if record_to else None
    channel = OctoChannel(loaded.config, tap=tap, meter=meter)
    claim_descriptors(loaded.config.host, select_accounts(loaded.config, accounts))
    try:
        code = _run(channel, read, hidden, accounts, meter)
    except OctoError as error:
        _say(logging.ERROR, f"cannot start: {error}", as_json=as_json)
        sys.exit(NOT_TRIED if isinstance(error, ConfigError) else TRY_LATER)
    _log.info("stopped: %s", what_is_left(loaded.config.host.state_dir, drained=code == 0))
    sys.exit(code)


def _run(
    channel: OctoChannel,
    read: Callable[[], Loaded],
    hidden: Hidden,
    accounts: Sequence[str],
    meter: "PrometheusMeter | None",
) -> int:
    hosts = Hosts(host_from_config(channel.config.host, secrets=hidden.secrets), channel)
    reloader = Reloader(read, hosts, hidden, ServiceManager.from_environment(), accounts)
    return asyncio.run(_serve(hosts, reloader, meter))


def _read(config_file: Path | None, openclaw: Path | None, accounts: Sequence[str]) -> Loaded:
    """Return the configuration, of which there is something to run. Raises `ConfigError`."""
    loaded = load_named(config_file, openclaw, accounts)
    if not select_accounts(loaded.config, accounts):
        raise ConfigError("no account is on: there is nothing to run")
    return loaded


def _recorder(
    megabytes: int, minutes: int, hidden: Hidden, folder: Path, account: str, *, mask_text: bool
) -> Tap:
    """Return the recorder of a bot; few runs record, so that it is loaded for those only."""
    from openclaw_channel_octo.capture.record import Recorder, RecordLimits  # noqa: PLC0415  # see above

    limits = RecordLimits(max_bytes=megabytes * 1024 * 1024, max_s=minutes * 60.0)
    clock, secrets = SystemClock(), hidden.secrets
    return Recorder(folder, account, clock, limits=limits, secrets=secrets, mask_text=mask_text)


def _say(level: int, text: str, *, as_json: bool) -> None:
    """Tell what is wrong at the start: people in plain words, programs in a log line like all others."""
    if as_json:
        _log.log(level, "%s", text)
    else:
        click.echo(text, err=True)


async def _start(
    started: AsyncExitStack, hosts: Hosts, reloader: Reloader, meter: "PrometheusMeter | None", health: Health
) -> None:
    """Start host, control socket, metrics, probes and bots; ``started`` takes what ends them."""
    channel, config = hosts.channel, hosts.channel.config
    async with reloader.turn:
        started.push_async_exit(await once_there_is_room(partial(_begun, config, hosts), SystemClock()))
        started.push_async_callback(channel.stop, 0)
        await started.enter_async_context(controlled(config, channel, reloader))
        serving = metrics_served(config.metrics, meter, channel.status, health)
        metrics = await started.enter_async_context(serving)
        await started.enter_async_context(probes_served(config.health, health))
        await started.enter_async_context(mcp_served(config.mcp, channel, reloader.hidden.hidden))
        bots = select_accounts(config, reloader.accounts)
        for bot in (each for each in bots if not each.token_problem):
            await channel.start(bot.account_id, hosts.current)
        _log.info("started: %s", what_runs(config, bots, metrics))
    health.begun = True


async def _serve(hosts: Hosts, reloader: Reloader, meter: "PrometheusMeter | None") -> int:
    channel = hosts.channel
    manager, clock = reloader.manager, SystemClock()
    if manager.watchdog_s:
        faulthandler.enable()  # the watchdog's SIGABRT leaves in the log where the loop hung
    health = Health(channel.status, reloader.hidden.hidden)
    with _signals(reloader) as signals:
        async with reported(health, manager, clock), AsyncExitStack() as started:
            starting = asyncio.ensure_future(_start(started, hosts, reloader, meter, health))
            told = await _unless_told(starting, signals)
            if not starting.cancelled():
                starting.result()
            told = told or await signals.get()
            _log.info("%s: stopping; once more to end at once", told.name)
            health.ending = told.name
            await reloader.close()
            manager.stopping(health.line, channel.config.host.drain_seconds + CLOSING_S)
            stopping = asyncio.ensure_future(channel.stop())
            await _unless_told(stopping, signals)
            drained = not stopping.cancelled() and stopping.result()
    return 0 if drained else NOT_FINE


@asynccontextmanager
async def controlled(
    config: OctoConfig, channel: OctoChannel, reloader: Reloader | None = None
) -> AsyncIterator[None]:
    """Answer on the control socket meanwhile; the bots run without it where there can be none."""
    hide = reloader.hidden if reloader else Hidden(config.secrets())
    server = ControlServer(config.host.state_dir, SystemClock(), hide.hidden)
    register_calls(server, channel, config.host.kind, reloader.reload if reloader else None)
    try:
        await server.start()
    except (HostError, OSError) as error:
        _log.warning("no control socket, 'sessions repair' and 'status' cannot ask this process: %s", error)
    try:
        yield
    finally:
        await server.stop()


async def _begun(config: OctoConfig, hosts: Hosts) -> AsyncExitStack:
    """Own the state folder, start the host, and return what ends both. Raises `HostError`, leaving nothing behind."""
    async with AsyncExitStack() as begun:
        if config.host.kind == "gateway":  # the embedded host owns it itself
            claim_state_folder(config.host.state_dir)
            lock = owner_lock(config.host.state_dir)
            lock.acquire()
            begun.callback(lock.release)
        begun.push_async_callback(hosts.stop)
        await hosts.current.start()
        return begun.pop_all()


@contextmanager
def _signals(reloader: Reloader) -> Iterator["asyncio.Queue[signal.Signals]"]:
    """Collect the signals that ask the process to stop, instead of dying of them, and reload on SIGHUP.

    A process with a terminal stops on SIGHUP, which tells it that the terminal goes. Where SIGHUP is ignored, as below
    nohup, it stays so. Afterwards all of them are ignored.
    """
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    handlers: dict[signal.Signals, Callable[[signal.Signals], None]]
    handlers = dict.fromkeys(STOPPING, signals.put_nowait)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = signals.put_nowait if has_terminal() else reloader.on_signal
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler, number)
    if was_noted():  # what was read may be older; after the start, which takes the turn first
        loop.call_soon(reloader.on_signal, signal.SIGHUP)
    try:
        yield signals
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # the process ends: one more signal must not change how


async def _unless_told(
    work: "asyncio.Future[Any]", signals: "asyncio.Queue[signal.Signals]"
) -> signal.Signals | None:
    """Wait for ``work`` to end; a signal that comes first ends it, and is returned."""
    told = asyncio.ensure_future(signals.get())
    try:
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, told):
            task.cancel()
        await asyncio.wait({work, told})
    return None if told.cancelled() else told.result()
