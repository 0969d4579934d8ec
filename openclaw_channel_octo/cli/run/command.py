"""`openclaw-octo run`: the bots of a configuration file, until somebody stops them."""

import asyncio
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
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED
from openclaw_channel_octo.cli.run.start import (
    claim_descriptors,
    meter_for,
    metrics_served,
    once_there_is_room,
)
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import BotConfig, OctoConfig
from openclaw_channel_octo.control.calls import register_calls
from openclaw_channel_octo.control.server import ControlServer
from openclaw_channel_octo.errors import ConfigError, HostError, OctoError
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.host.configure import host_from_config
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.observe.logs import Secrets, setup_logging
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.connection.transport import Tap

if TYPE_CHECKING:
    from openclaw_channel_octo.control.prometheus import PrometheusMeter

__all__ = ["controlled", "run"]

_log = logging.getLogger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """Run the enabled bots until SIGINT, SIGTERM or SIGHUP, on the host that octo.json names or in an OpenClaw gateway.

    On the first signal no new messages are taken, running turns may end (host.drainSeconds), and what waits is kept
    for the next start. A second signal ends at once.

    Exit codes: 0 stopped in order, 1 turns were cut short, 2 could not start.
    """
    named, as_json = config_file or openclaw, log_format == "json"
    if as_json:
        setup_logging(log_level.upper(), as_json=True)  # for what is wrong before the secrets are known
    try:
        loaded = load_named(config_file, openclaw, accounts)
        bots = _chosen(loaded.config, accounts)
        meter = meter_for(loaded.config.metrics)
    except ConfigError as error:
        for problem in error.problems:
            _say(logging.ERROR, f"{named}: {problem}", as_json=as_json)
        sys.exit(NOT_TRIED)
    setup_logging(log_level.upper(), *loaded.config.secrets(), as_json=as_json)
    for warning in loaded.warnings:
        _say(logging.WARNING, f"{named}: warning: {warning}", as_json=as_json)
    for problem in loaded.unreadable:
        _log.error("this bot does not run, the others do: %s; it is read again at the next start", problem)
    recorder = _recorder(record_to, record_mb, record_minutes, loaded.config) if record_to else None
    tap = partial(recorder, mask_text=mask_text) if recorder else None
    claim_descriptors(loaded.config.host, bots)
    try:
        sys.exit(asyncio.run(_serve(loaded.config, bots, tap, meter)))
    except OctoError as error:
        _say(logging.ERROR, f"cannot start: {error}", as_json=as_json)
        sys.exit(NOT_TRIED)


def _recorder(folder: Path, megabytes: int, minutes: int, config: OctoConfig) -> Callable[..., Tap]:
    """Return what makes the recorder of a bot; few runs record, so that it is loaded for those only."""
    from openclaw_channel_octo.capture.record import Recorder, RecordLimits  # noqa: PLC0415  # see above

    limits = RecordLimits(max_bytes=megabytes * 1024 * 1024, max_s=minutes * 60.0)
    return partial(Recorder, folder, clock=SystemClock(), limits=limits, secrets=config.secrets())


def _say(level: int, text: str, *, as_json: bool) -> None:
    """Tell what is wrong at the start: people in plain words, programs in a log line like all others."""
    if as_json:
        _log.log(level, "%s", text)
    else:
        click.echo(text, err=True)


def _chosen(config: OctoConfig, accounts: Sequence[str]) -> Sequence[BotConfig]:
    bots = select_accounts(config, accounts)
    if not bots:
        raise ConfigError("no account is on: there is nothing to run")
    return bots


async def _serve(
    config: OctoConfig,
    bots: Sequence[BotConfig],
    tap: Callable[[str], Tap] | None,
    meter: "PrometheusMeter | None",
) -> int:
    host = host_from_config(config.host, secrets=config.secrets())
    channel = OctoChannel(config, tap=tap, meter=meter)

    async def start() -> None:
        started.push_async_exit(await once_there_is_room(partial(_begun, config, host), SystemClock()))
        started.push_async_callback(channel.stop, 0)
        await started.enter_async_context(controlled(config, channel))
        await started.enter_async_context(metrics_served(config.metrics, meter, channel.status))
        for bot in (each for each in bots if not each.token_problem):
            await channel.start(bot.account_id, host)

    with _stop_signals() as signals:
        async with AsyncExitStack() as started:
            starting = asyncio.ensure_future(start())
            told = await _unless_told(starting, signals)
            if not starting.cancelled():
                starting.result()
            told = told or await signals.get()
            _log.info("%s: stopping; once more to end at once", told.name)
            stopping = asyncio.ensure_future(channel.stop())
            await _unless_told(stopping, signals)
            drained = not stopping.cancelled() and stopping.result()
    return 0 if drained else NOT_FINE


@asynccontextmanager
async def controlled(config: OctoConfig, channel: OctoChannel) -> AsyncIterator[None]:
    """Answer on the control socket meanwhile; the bots run without it where there can be none."""
    hide = Secrets(*config.secrets()).hidden
    server = ControlServer(config.host.state_dir, SystemClock(), hide)
    register_calls(server, channel, config.host.kind)
    try:
        await server.start()
    except (HostError, OSError) as error:
        _log.warning("no control socket, 'sessions repair' and 'status' cannot ask this process: %s", error)
    try:
        yield
    finally:
        await server.stop()


async def _begun(config: OctoConfig, host: AgentHost) -> AsyncExitStack:
    """Own the state folder, start the host, and return what ends both. Raises `HostError`, leaving nothing behind."""
    async with AsyncExitStack() as begun:
        if config.host.kind == "gateway":  # the embedded host owns it itself
            claim_state_folder(config.host.state_dir)
            lock = owner_lock(config.host.state_dir)
            lock.acquire()
            begun.callback(lock.release)
        begun.push_async_callback(host.stop)
        await host.start()
        return begun.pop_all()


@contextmanager
def _stop_signals() -> Iterator["asyncio.Queue[signal.Signals]"]:
    """Collect the signals that ask the process to stop, instead of dying of them; nohup's SIGHUP stays ignored.

    Afterwards they are ignored.
    """
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heeded = [number for number in STOPPING if not (ignored and number is signal.SIGHUP)]
    for number in heeded:
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        yield signals
    finally:
        for number in heeded:
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
