"""Options that several commands take."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from openclaw_channel_octo.config.load import Loaded, load_config

__all__ = [
    "ACCOUNTS_OPTION",
    "ACCOUNT_OPTION",
    "CONFIG_OPTION",
    "JSON_LINES_OPTION",
    "JSON_OPTION",
    "LIMIT_OPTION",
    "OPENCLAW_OPTION",
    "STORE_OPTION",
    "load_named",
    "store_folder",
]

_FILE = click.Path(path_type=Path, readable=False)  # said by who reads it, in its own form

CONFIG_OPTION = click.option(
    "--config", "config_file", metavar="FILE", type=_FILE, help="The configuration, octo.json."
)
OPENCLAW_OPTION = click.option(
    "--openclaw",
    metavar="FILE",
    type=_FILE,
    help="An OpenClaw gateway's openclaw.json: turns run in that gateway. It is only read.",
)
ACCOUNT_OPTION = click.option("--account", default="", metavar="ID", help="Only this bot.")
ACCOUNTS_OPTION = click.option(
    "--account", "accounts", multiple=True, metavar="ID", help="Only this bot; may be given several times."
)
LIMIT_OPTION = click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="At most so many."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
JSON_LINES_OPTION = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line, for programs."
)


def store_folder() -> Path:
    """Return the default state folder, where the bots keep theirs unless configured otherwise."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "openclaw-octo"


STORE_OPTION = click.option(
    "--store",
    metavar="STATEDIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=store_folder,
    help="The bots' state folder, host.stateDir in the configuration.",
)


def load_named(config_file: Path | None, openclaw: Path | None, accounts: Sequence[str] = ()) -> Loaded:
    """Return the configuration in the files somebody named.

    Args:
        config_file: ours.
        openclaw: a gateway's.
        accounts: the only accounts to look at; none for all.

    Raises:
        click.UsageError: neither was named.
        ConfigError: something in them is wrong; holds every mistake.
    """
    if config_file is None and openclaw is None:
        raise click.UsageError(
            "name a configuration: --config octo.json, or --openclaw openclaw.json, or both"
        )
    return load_config(config_file, openclaw=openclaw, accounts=accounts)
