"""The commands: write a service down, start it, look at it, take it away."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from openclaw_channel_octo.cli.options import CONFIG_OPTION, OPENCLAW_OPTION
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail
from openclaw_channel_octo.cli.service.launchd import Launchd
from openclaw_channel_octo.cli.service.plan import (
    MARK,
    PROGRAM,
    Call,
    Files,
    Manager,
    Place,
    claim_state,
    plan_for,
)
from openclaw_channel_octo.cli.service.systemd import Systemd
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.files import replace_file

__all__ = ["service"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CREDENTIAL = re.compile(r"(?P<name>[A-Za-z0-9_-][A-Za-z0-9_.-]*):(?P<file>.+)", re.DOTALL)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _named(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter("letters, digits, dots, _ and -, a letter or digit first")
    return name


def _credential(
    _ctx: click.Context, _param: click.Parameter, values: Sequence[str]
) -> list[tuple[str, Path]]:
    found = [_CREDENTIAL.fullmatch(value) for value in values]
    if not all(found):
        raise click.BadParameter("NAME:FILE is expected")
    return [(each["name"], Path(each["file"]).absolute()) for each in found if each]


def _place(command: _Command) -> _Command:
    """Let a command take which service it is about."""
    by_name = click.option(
        "--name",
        default=PROGRAM,
        show_default=True,
        callback=_named,
        help="Its name, where there are several.",
    )
    where = click.option(
        "--system/--user",
        default=None,
        help="A service of the machine, or of this user. Default: of the machine for root, else of this user.",
    )
    return where(by_name(command))


@click.group()
def service() -> None:
    """Have the machine run the bots: as a service of systemd, or of launchd on macOS."""


@service.command()
@CONFIG_OPTION
@OPENCLAW_OPTION
@_place
@click.option(
    "--run-as",
    default="",
    metavar="USER",
    help="Whom a service of the machine runs as. Default: the owner of the configuration.",
)
@click.option(
    "--env-file",
    "env_files",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="A file with environment variables for the service; may be given several times.",
)
@click.option(
    "--credential",
    "credentials",
    multiple=True,
    metavar="NAME:FILE",
    callback=_credential,
    help="A file only the service manager reads; the configuration names it by ${CREDENTIALS_DIRECTORY}/NAME.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="As of 'run'.",
)
@click.option("--print", "only_print", is_flag=True, help="Print what would be written, and change nothing.")
@click.option("--no-start", is_flag=True, help="Write it down only.")
def install(  # noqa: PLR0913  # its options
    *,
    config_file: Path | None,
    openclaw: Path | None,
    system: bool | None,
    name: str,
    run_as: str,
    env_files: Sequence[Path],
    credentials: Sequence[tuple[str, Path]],
    log_format: str,
    only_print: bool,
    no_start: bool,
) -> None:
    """Write the service down, start it, and have it started at every boot; again after a change of its options.

    The configuration is checked as the service will read it: without the variables of this terminal.

    Exit codes: 0 done, 1 the service does not start, 2 nothing was changed.
    """
    place = _placed(name, system=system)
    manager = _manager(place)
    files = _files(config_file, openclaw, env_files, credentials)
    options = ("--log-format", log_format) if log_format != "text" else ()
    try:
        plan = plan_for(place, files, options, run_as)
        text = manager.text(plan)
        if only_print:
            click.echo(text, nl=False)
            return
        _require_ours(manager.file)
        claim_state(plan)
        if manager.file.exists() and not no_start:
            for call in manager.unloads():
                _ran(call)
        _write(manager.file, text)
    except ConfigError as error:
        fail(NOT_TRIED, *error.problems)
    except (HostError, OSError) as error:
        fail(NOT_TRIED, _words(error, place))
    click.echo(f"written: {manager.file}")
    if not no_start:
        _carry_out(*manager.loads(), *manager.starts(), otherwise=manager)
        click.echo(f"{name} runs; look at it with: {_as_typed('status', place)}")
        click.echo(manager.remark, nl=bool(manager.remark))


def _files(
    config_file: Path | None,
    openclaw: Path | None,
    env_files: Sequence[Path],
    credentials: Sequence[tuple[str, Path]],
) -> Files:
    if config_file is None and openclaw is None:
        raise click.UsageError(
            "name a configuration: --config octo.json, or --openclaw openclaw.json, or both"
        )
    return Files(
        config=config_file.absolute() if config_file else None,
        openclaw=openclaw.absolute() if openclaw else None,
        variables=tuple(file.absolute() for file in env_files),
        credentials=tuple(credentials),
    )


@service.command()
@_place
def uninstall(*, system: bool | None, name: str) -> None:
    """End the service and take it away; configuration, state folder and log stay.

    Exit codes: 0 done, 1 it could not be ended, 2 there is none.
    """
    place = _placed(name, system=system)
    manager = _manager(place)
    _require(manager, place)
    try:
        _require_ours(manager.file)
        stopped = [_ran(call) for call in manager.stops()]
        manager.file.unlink()
    except (ConfigError, OSError) as error:
        fail(NOT_TRIED, _words(error, place))
    click.echo(f"removed: {manager.file}")
    _carry_out(*manager.loads(), otherwise=manager)
    if not all(stopped):
        sys.exit(NOT_FINE)


@service.command()
@_place
def status(*, system: bool | None, name: str) -> None:
    """Show whether the service runs, with what its bots do, and the end of its log.

    Exit codes: those of systemctl or launchctl; 2 there is no such service, or nobody to ask.
    """
    place = _placed(name, system=system)
    manager = _manager(place)
    _require(manager, place)
    _become(manager.status())


@service.command()
@_place
@click.option("--lines", type=click.IntRange(min=0), default=50, show_default=True, help="At most so many.")
@click.option("--follow", "-f", is_flag=True, help="Wait for more, until Ctrl-C.")
def logs(*, system: bool | None, name: str, lines: int, follow: bool) -> None:
    """Show the end of the service's log.

    Exit codes: those of journalctl or tail; 2 there is no such service, or nobody to ask.
    """
    place = _placed(name, system=system)
    manager = _manager(place)
    _require(manager, place)
    _become(manager.logs(lines, follow=follow))


def _placed(name: str, *, system: bool | None) -> Place:
    return Place(name=name, system=os.geteuid() == 0 if system is None else system)


def _manager(place: Place) -> Manager:
    return Launchd(place) if sys.platform == "darwin" else Systemd(place)


def _require(manager: Manager, place: Place) -> None:
    """End the program where there is no such service."""
    if not manager.file.exists():
        other = "--user" if place.system else "--system"
        fail(
            NOT_TRIED,
            f"there is no service {place.name}: no {manager.file}; perhaps with {other} or another --name",
        )


def _require_ours(file: Path) -> None:
    """Raise `ConfigError` where somebody else wrote a file, `OSError` where it cannot be read."""
    if file.exists() and MARK not in file.read_text(errors="replace"):
        raise ConfigError(f"{file} was not written by this command: move it away, or choose another --name")


def _write(file: Path, text: str) -> None:
    """Write a service down, for everybody to read: there is no secret in it. Raises `OSError`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, text.encode())
    file.chmod(0o644)


def _words(error: Exception, place: Place) -> str:
    if isinstance(error, PermissionError) and place.system and os.geteuid():
        return f"{error.filename}: {error.strerror}: a service of the machine needs root, sudo {PROGRAM} service …"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


def _carry_out(*calls: Call, otherwise: Manager) -> None:
    """Carry out commands of the service manager; where one fails, say what is left to call, and end the program."""
    for number, call in enumerate(calls):
        if not _ran(call):
            left = "; ".join(map(shlex.join, calls[number:]))
            fail(
                NOT_FINE,
                f"failed: {shlex.join(call)}",
                f"  why: {shlex.join(otherwise.logs(20, follow=False))}",
                f"  once that is right: {left}",
            )


def _ran(call: Call) -> bool:
    """Carry out a command; return whether it was done."""
    if shutil.which(call[0]) is None:
        click.echo(f"there is no {call[0]} on this machine", err=True)
        return False
    return subprocess.run(call, check=False).returncode == 0


def _become(call: Call) -> None:
    """Carry out a command in place of this program."""
    if shutil.which(call[0]) is None:
        fail(NOT_TRIED, f"there is no {call[0]} on this machine; where it is: {shlex.join(call)}")
    sys.stdout.flush()
    os.execvp(call[0], call)  # noqa: S606  # its output and its exit code are what was asked for


def _as_typed(command: str, place: Place) -> str:
    """Return a command of this group as it can be pasted."""
    named = () if place.name == PROGRAM else ("--name", place.name)
    default = place.system == (os.geteuid() == 0)
    where = () if default else ("--system" if place.system else "--user",)
    return shlex.join((PROGRAM, "service", command, *named, *where))
