"""The command: looks at everything at once, and tells the worst first."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.doctor.bot import check_bot
from openclaw_channel_octo.cli.doctor.findings import Finding, Level, error, fine, warning
from openclaw_channel_octo.cli.doctor.host import check_host
from openclaw_channel_octo.cli.doctor.state import check_state
from openclaw_channel_octo.cli.files import CONFIG_OPTION, OPENCLAW_OPTION, load_named
from openclaw_channel_octo.config.load import Loaded, select_accounts
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.observe.logs import Secrets, setup_logging

__all__ = ["doctor"]

_MARKS = {Level.ERROR: "✗", Level.WARNING: "!", Level.FINE: "✓"}


@click.command()
@CONFIG_OPTION
@OPENCLAW_OPTION
@click.option(
    "--account", "accounts", multiple=True, metavar="ID", help="Only this bot; may be given several times."
)
@click.option(
    "--register/--no-register",
    default=None,
    help="Log in, or never. Logging in kicks a living connection of the bot; by default it is done only where no "
    "process on this machine runs the bot.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(
    config_file: Path | None,
    openclaw: Path | None,
    accounts: Sequence[str],
    register: bool | None,
    as_json: bool,
) -> None:
    """Find out why a bot is silent: one line for each thing that was looked at, the worst first, with what to do.

    Works while the bots run, and changes nothing.

    Exit codes: 0 nothing is wrong, 1 there are warnings, 2 something keeps a bot silent.
    """
    setup_logging("CRITICAL")
    secrets = Secrets()
    try:
        loaded = load_named(config_file, openclaw)
        secrets = Secrets(*loaded.config.secrets())
        found = asyncio.run(_look(loaded, accounts, register))
    except ConfigError as problems:
        advice = "correct it; openclaw-octo config check tells whether it is right"
        found = [error("configuration", problem, advice) for problem in problems.problems]
    found = sorted(found, key=lambda each: (-each.level, each.skipped))
    worst = max(each.level for each in found)
    if as_json:
        lines = [asdict(each) | {"level": each.level.name.lower()} for each in found]
        text = json.dumps({"worst": worst.name.lower(), "findings": lines}, ensure_ascii=False)
    else:
        text = "\n".join(_words(each) for each in found)
    click.echo(secrets.hidden(text))
    sys.exit(int(worst))


async def _look(loaded: Loaded, accounts: Sequence[str], register: bool | None) -> list[Finding]:
    bots = select_accounts(loaded.config, accounts)
    found = [warning("configuration", text, "without effect as it stands") for text in loaded.warnings]
    if not bots:
        found.append(error("configuration", "no account is on", "switch one on with enabled: true"))
    several = await asyncio.gather(
        check_host(loaded.config),
        asyncio.to_thread(check_state, loaded.config.host.state_dir),
        *(check_bot(bot, register=register) for bot in bots),
    )
    about = fine("version", f"openclaw-channel-octo {__version__}, Python {sys.version.split()[0]}")
    return [*found, *(each for part in several for each in part), about]


def _words(found: Finding) -> str:
    line = f"{'-' if found.skipped else _MARKS[found.level]} {found.subject}: {found.words}"
    return f"{line}\n    → {found.advice}" if found.advice else line
