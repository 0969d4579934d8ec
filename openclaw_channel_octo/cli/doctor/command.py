"""The command: looks at everything at once, and tells the worst first."""

import asyncio
import errno
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import click
from msgspec import Struct, field, to_builtins

from openclaw_channel_octo.cli.doctor.findings import Finding, Level, error
from openclaw_channel_octo.cli.doctor.fixes import mend
from openclaw_channel_octo.cli.doctor.look import Look
from openclaw_channel_octo.cli.doctor.state import check_file
from openclaw_channel_octo.cli.options import (
    ACCOUNTS_OPTION,
    CONFIG_OPTION,
    OPENCLAW_OPTION,
    load_named,
    with_files,
)
from openclaw_channel_octo.cli.output import NOT_TRIED, json_text, plain
from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.config.state_dir import state_dir_in
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.observe.logs import Secrets, setup_logging

__all__ = ["doctor"]

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
@click.option(
    "--ask-agent",
    is_flag=True,
    help="Also have the agent answer a word. That is a turn, and may cost something.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="First put right what is safe: permissions of the state folder and of files with secrets, failed and stuck "
    "sessions. Shown and asked before it is done.",
)
@click.option("--yes", is_flag=True, help="With --register or --fix: do it without asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(  # noqa: PLR0913  # its options
    config_file: Path | None,
    openclaw: Path | None,
    accounts: Sequence[str],
    *,
    register: bool | None,
    ask_agent: bool,
    fix: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Find out why a bot is silent: one line for each thing that was looked at, the worst first, with what to do.

    Works while the bots run, and changes nothing without --fix.

    Exit codes: 0 nothing is wrong, 1 there are warnings, 2 something keeps a bot silent.
    """
    setup_logging("CRITICAL")
    told = _Told(asks=bool(register) and not yes)
    look = Look(told.meanwhile, register, ask_agent, with_files("gateway check", config_file, openclaw))
    mending = partial(mend, told.meanwhile, yes=yes) if fix else None
    try:
        found = _looked(look, told, mending, config_file, openclaw, accounts)
    except ConfigError as problems:
        found = _looked_beside(look, mending, config_file, openclaw, problems)
    found = sorted(found, key=lambda each: (-each.level, each.skipped))
    worst = max(each.level for each in found)
    if as_json:
        lines = [to_builtins(each) | {"level": each.level.name.lower()} for each in found]
        text = json_text({"worst": worst.name.lower(), "findings": lines})
    else:
        text = "\n".join(_words(each) for each in found)
    click.echo(told.secrets.hidden(text))
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


class _Told(Struct):
    """What is told and asked meanwhile, without the secrets that are known by then."""

    asks: bool
    secrets: Secrets = field(default_factory=Secrets)

    def meanwhile(self, words: str) -> None:
        click.echo(plain(self.secrets.hidden(words)), err=True)


_Mending = Callable[[Path | None, Iterable[Path]], None]


def _looked(  # what there is to look at
    look: Look,
    told: _Told,
    mending: _Mending | None,
    config_file: Path | None,
    openclaw: Path | None,
    accounts: Sequence[str],
) -> list[Finding]:
    """Return what is found about a configuration, its repairs made before. Raises `ConfigError`."""
    loaded = load_named(config_file, openclaw, accounts, patient=True)
    told.secrets = Secrets(*loaded.config.secrets())
    bots = select_accounts(loaded.config, accounts)
    if told.asks and bots:
        _ask_to_log_in(bots)
    if mending is not None:
        mending(loaded.config.host.state_dir, [*_open(config_file, bots), *loaded.open_files])
        loaded = load_named(config_file, openclaw, accounts, patient=True)
    found = asyncio.run(look.around(loaded, bots))
    for path in filter(None, (config_file, openclaw)):
        found += check_file(path, bots)
    return found


def _looked_beside(
    look: Look,
    mending: _Mending | None,
    config_file: Path | None,
    openclaw: Path | None,
    problems: ConfigError,
) -> list[Finding]:
    """Return what is wrong with a configuration, and what is found beside it."""
    folder = _folder_in(config_file)
    if mending is not None:
        mending(folder, _open(config_file, None))
    check = f"openclaw-octo config check {shlex.quote(str(config_file))}"
    again = check if config_file else with_files("doctor", None, openclaw)
    otherwise = f"correct it; {again} tells whether it is right"
    found = [
        error("configuration", words, _advice(words, config_file, otherwise)) for words in problems.problems
    ]
    for path in _open(config_file, None):
        found += check_file(path, None)
    return found + asyncio.run(look.without_configuration(folder))


def _advice(problem: str, config_file: Path | None, otherwise: str) -> str:
    """Return what to do about a problem with a configuration that is no mistake in it, else the other advice."""
    if problem.startswith("there is no account "):  # of `select_accounts`, which names those there are
        return "name one of those with --account, or leave --account out to look at all"
    if problem == f"cannot be read: {os.strerror(errno.ENOENT)}" and config_file:
        return f"name the file there is, or make one: {with_files('init', config_file, None)}"
    if problem.endswith(f"cannot be read: {os.strerror(errno.EACCES)}"):
        return "let this user read it, and into the folders above it: its owner or its mode (chmod, chown)"
    return otherwise


def _open(config_file: Path | None, bots: Sequence[BotConfig] | None) -> list[Path]:
    """Return the configuration file where others can read tokens in it; ``bots`` as in `check_file`."""
    return [config_file] if config_file and any(check_file(config_file, bots)) else []


def _folder_in(config_file: Path | None) -> Path | None:
    """Return the state folder that a configuration names which may be wrong otherwise."""
    try:
        return state_dir_in(config_file) if config_file else None
    except ConfigError:
        return None


def _words(found: Finding) -> str:
    line = plain(f"{'-' if found.skipped else _MARKS[found.level]} {found.subject}: {found.words}")
    return f"{line}\n    → {found.advice}" if found.advice else line
