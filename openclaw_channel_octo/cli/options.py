"""Options that several commands take."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from openclaw_channel_octo.cli.output import NOT_TRIED, fail
from openclaw_channel_octo.config.load import Loaded, load_config
from openclaw_channel_octo.config.state_dir import state_dir_in
from openclaw_channel_octo.errors import ConfigError

__all__ = [
    "ACCOUNTS_OPTION",
    "ACCOUNT_OPTION",
    "CONFIG_OPTION",
    "JSON_LINES_OPTION",
    "JSON_OPTION",
    "LIMIT_OPTION",
    "OPENCLAW_OPTION",
    "STORE_OPTION",
    "gateway_check",
    "load_named",
    "store_folder",
    "with_files",
    "with_store",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FOLDER = f"{__name__}.folder"
_NAMED = f"{__name__}.file"
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


def _configured(ctx: click.Context, _param: click.Parameter, file: Path | None) -> None:
    """Note the state folder that a configuration names."""
    if file is None or ctx.resilient_parsing:
        return
    ctx.meta[_NAMED] = file
    try:
        ctx.meta[_FOLDER] = state_dir_in(file)
    except ConfigError as error:
        fail(NOT_TRIED, *(f"{file}: {problem}" for problem in error.problems))


def _chosen(ctx: click.Context, _param: click.Parameter, store: Path | None) -> Path:
    configured: Path | None = ctx.meta.get(_FOLDER)
    if store is not None and configured is not None:
        raise click.UsageError("name the state folder once: with --store, or with --config")
    return store or configured or store_folder()


def STORE_OPTION(command: _Command) -> _Command:  # noqa: N802  # stands with the options
    """Let a command take the bots' state folder, by its name or by that of their configuration, as ``store``."""
    by_name = click.option(
        "--store",
        metavar="STATEDIR",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_chosen,
        help="The bots' state folder, host.stateDir in the configuration.",
    )
    by_config = click.option(
        "--config",
        metavar="FILE",
        type=_FILE,
        expose_value=False,
        is_eager=True,
        callback=_configured,
        help="The configuration, octo.json, in the place of --store.",
    )
    return by_name(by_config(command))


def with_store(command: str, store: Path) -> str:
    """Return a command of ours as it can be pasted: with the state folder, unless it is the default one."""
    place = "" if store == store_folder() else f" --store {shlex.quote(str(store))}"
    return f"openclaw-octo {command}{place}"


def with_files(command: str, config_file: Path | None, openclaw: Path | None) -> str:
    """Return a command of ours as it can be pasted: with the files it is to read."""
    named = (("--config", config_file), ("--openclaw", openclaw))
    files = [f" {option} {shlex.quote(str(file))}" for option, file in named if file is not None]
    return f"openclaw-octo {command}{''.join(files) or ' --config octo.json'}"


def gateway_check() -> str:
    """Return the command that tells of a gateway, with the configuration that the command in hand was given."""
    ctx = click.get_current_context(silent=True)
    return with_files("gateway check", ctx.meta.get(_NAMED) if ctx else None, None)


def load_named(
    config_file: Path | None, openclaw: Path | None, accounts: Sequence[str] = (), *, patient: bool = False
) -> Loaded:
    """Return the configuration in the files somebody named.

    Args:
        config_file: ours.
        openclaw: a gateway's.
        accounts: the only accounts to look at; none for all.
        patient: whether secrets that cannot be read now are no mistakes, see `load_config`.

    Raises:
        click.UsageError: neither was named.
        ConfigError: something in them is wrong; holds every mistake.
    """
    if config_file is None and openclaw is None:
        raise click.UsageError(
            "name a configuration: --config octo.json, or --openclaw openclaw.json, or both"
        )
    return load_config(config_file, openclaw=openclaw, accounts=accounts, patient=patient)
