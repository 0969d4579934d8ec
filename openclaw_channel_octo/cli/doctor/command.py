"""The command: looks at everything at once, and tells the worst first."""

import asyncio
import shlex
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
from msgspec import to_builtins

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.doctor.bot import check_bot
from openclaw_channel_octo.cli.doctor.findings import Finding, Level, error, fine, warning
from openclaw_channel_octo.cli.doctor.host import check_host
from openclaw_channel_octo.cli.doctor.running import Running, find_running
from openclaw_channel_octo.cli.doctor.state import check_file, check_state
from openclaw_channel_octo.cli.options import (
    ACCOUNTS_OPTION,
    CONFIG_OPTION,
    OPENCLAW_OPTION,
    load_named,
    with_files,
)
from openclaw_channel_octo.cli.output import NOT_TRIED, json_text, plain
from openclaw_channel_octo.cli.run.start import not_installed
from openclaw_channel_octo.config.load import Loaded, select_accounts
from openclaw_channel_octo.config.model import BotConfig, OctoConfig
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.observe.logs import Secrets, setup_logging

__all__ = ["doctor"]

_T = TypeVar("_T")

BOTS_AT_ONCE = 8
STATE_WITHIN_S = 20.0
NAMED = 5
"""Most bots that are named in a question."""

_MARKS = {Level.ERROR: "✗", Level.WARNING: "!", Level.FINE: "✓"}


@click.command()
@CONFIG_OPTION
@OPENCLAW_OPTION
@ACCOUNTS_OPTION
@click.option(
    "--register/--no-register",
    default=None,
    help="Log in, or never. Logging in kicks a living connection of the bot: --register asks first. By default it is "
    "done only where no process on this machine runs the bot, and said before.",
)
@click.option("--yes", is_flag=True, help="With --register: do it without asking.")
@click.option(
    "--ask-agent",
    is_flag=True,
    help="Also have the agent answer a word. That is a turn, and may cost something.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(  # noqa: PLR0913  # its options
    config_file: Path | None,
    openclaw: Path | None,
    accounts: Sequence[str],
    *,
    register: bool | None,
    yes: bool,
    ask_agent: bool,
    as_json: bool,
) -> None:
    """Find out why a bot is silent: one line for each thing that was looked at, the worst first, with what to do.

    Works while the bots run, and changes nothing.

    Exit codes: 0 nothing is wrong, 1 there are warnings, 2 something keeps a bot silent.
    """
    setup_logging("CRITICAL")
    secrets = Secrets()
    try:
        loaded = load_named(config_file, openclaw, accounts)
        secrets = Secrets(*loaded.config.secrets())
        bots = select_accounts(loaded.config, accounts)
        if register and bots and not yes:
            _ask_to_log_in(bots)
        examine = partial(
            check_bot, register=register, tell=lambda words: click.echo(secrets.hidden(words), err=True)
        )
        more = with_files("gateway check", config_file, openclaw)
        found = asyncio.run(_look(loaded, bots, examine, ask_agent=ask_agent, more=more))
        for path in filter(None, (config_file, openclaw)):
            found += check_file(path, bots)
    except ConfigError as problems:
        check = f"openclaw-octo config check {shlex.quote(str(config_file))}"
        again = check if config_file else with_files("doctor", None, openclaw)
        advice = f"correct it; {again} tells whether it is right"
        found = [error("configuration", problem, advice) for problem in problems.problems]
    found = sorted(found, key=lambda each: (-each.level, each.skipped))
    worst = max(each.level for each in found)
    if as_json:
        lines = [to_builtins(each) | {"level": each.level.name.lower()} for each in found]
        text = json_text({"worst": worst.name.lower(), "findings": lines})
    else:
        text = "\n".join(_words(each) for each in found)
    click.echo(secrets.hidden(text))
    sys.exit(int(worst))


def _ask_to_log_in(bots: Sequence[BotConfig]) -> None:
    """Have a person at a terminal agree that living connections are kicked; end the program where none does."""
    if not sys.stdin.isatty():
        raise click.UsageError(
            "--register may kick a living connection, and nobody can be asked here: add --yes"
        )
    names = ", ".join(bot.account_id for bot in bots[:NAMED]) + (", …" if bots[NAMED:] else "")
    question = f"Log in as {names}? A living connection is kicked and has to come back by itself."
    if not click.confirm(question, err=True):
        click.echo("nothing was looked at: without --register, bots that run here are left alone", err=True)
        sys.exit(NOT_TRIED)


async def _look(
    loaded: Loaded,
    bots: Sequence[BotConfig],
    examine: Callable[..., Awaitable[list[Finding]]],
    *,
    ask_agent: bool,
    more: str,
) -> list[Finding]:
    found = [warning("configuration", text, "change it, unless it is meant so") for text in loaded.warnings]
    if not bots:
        found.append(error("configuration", "no account is on", "switch one on with enabled: true"))
    at_once = asyncio.Semaphore(BOTS_AT_ONCE)
    running = await _running(loaded.config.host.state_dir)

    async def in_turn(bot: BotConfig) -> list[Finding]:
        async with at_once:
            return await examine(bot, running=running)

    several = await asyncio.gather(
        _part("agent", check_host(loaded.config, ask=ask_agent, more=more)),
        _part("state folder", _state(loaded.config, bots)),
        *(_part(bot.account_id, in_turn(bot)) for bot in bots),
    )
    for problem in not_installed(loaded.config):
        subject, _, words = problem.partition(": ")
        found.append(error(subject, words, "the bots do not start without it"))
    about = fine("version", f"openclaw-channel-octo {__version__}, Python {sys.version.split()[0]}")
    return [*found, *(each for part in several for each in part), about]


async def _part(subject: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
    """Return what one part finds; one that breaks hides none of the others."""
    try:
        return await looking
    except Exception as problem:  # noqa: BLE001  # boundary of a part: its break must not hide what others find
        advice = "doctor has no words for this: please report it, with what it says here"
        return [error(subject, f"{type(problem).__name__}: {problem}", advice)]


async def _running(folder: Path) -> Running:
    try:
        return await _aside(lambda: find_running(folder))
    except TimeoutError:
        return Running()  # the disk hangs: told where the state folder is looked at


async def _state(config: OctoConfig, bots: Sequence[BotConfig]) -> list[Finding]:
    """Return what a look at the disk finds."""
    try:
        return await _aside(lambda: list(check_state(config, bots)))
    except TimeoutError:
        words = f"{config.host.state_dir} is not read within {STATE_WITHIN_S:.0f} s"
        return [
            error("state folder", words, "the disk hangs, or the network behind it: bots wait for it as well")
        ]


async def _aside(look: Callable[[], _T]) -> _T:
    """Return what a look at the disk returns; a disk that hangs does not hang the doctor. Raises `TimeoutError`."""
    told: Future[_T] = Future()
    told.set_running_or_notify_cancel()

    def look_and_tell() -> None:
        try:
            told.set_result(look())
        except Exception as problem:  # noqa: BLE001  # boundary of the thread: raised again where it is waited for
            told.set_exception(problem)

    # A thread of its own: a program cannot end while a thread of the loop's pool still runs.
    threading.Thread(target=look_and_tell, daemon=True).start()
    return await asyncio.wait_for(asyncio.wrap_future(told), STATE_WITHIN_S)


def _words(found: Finding) -> str:
    line = plain(f"{'-' if found.skipped else _MARKS[found.level]} {found.subject}: {found.words}")
    return f"{line}\n    → {found.advice}" if found.advice else line
