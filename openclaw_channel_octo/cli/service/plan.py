"""What a service runs, as whom and with what, checked as the service will see it."""

import os
import pwd
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from openclaw_channel_octo.cli.run.start import not_installed
from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.load import Loaded, load_config
from openclaw_channel_octo.config.model import CommandAgentConfig, EmbeddedHostConfig
from openclaw_channel_octo.config.variables import dotenv
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.observe.notify import CLOSING_S

__all__ = [
    "MARK",
    "Call",
    "Files",
    "Manager",
    "Place",
    "Plan",
    "claim_state",
    "plan_for",
]

PROGRAM = "openclaw-octo"

VAR_LIB = Path("/var/lib")

MARK = "Written by openclaw-octo service install"
"""Stands in what is written: a file without it is somebody else's."""

Call = tuple[str, ...]
"""A program and its arguments."""


class Place(Struct, frozen=True, kw_only=True):
    """Which service.

    Attributes:
        name: its name.
        system: whether it is the machine's, or this user's.
    """

    name: str = PROGRAM
    system: bool = False


class Files(Struct, frozen=True, kw_only=True):
    """What a service is made from; all paths are absolute.

    Attributes:
        config: our configuration, ``None`` where the gateway's says it all.
        openclaw: a gateway's configuration, ``None`` for none.
        variables: files with environment variables for the service.
        credentials: files that only the service manager can read, by the name the service knows them by.
    """

    config: Path | None
    openclaw: Path | None = None
    variables: tuple[Path, ...] = ()
    credentials: tuple[tuple[str, Path], ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """A service to be written down.

    Attributes:
        place: which service.
        files: what it is made from.
        command: program and arguments.
        user: whom it runs as.
        group: that user's group.
        home: that user's home folder.
        folder: where it runs.
        path: where it looks for programs, such as agents.
        state_dir: the one folder it writes to.
        stop_s: longest time it takes to stop, in seconds.
        runs_programs: whether its agent is a program, which may need more of the machine than this package does.
    """

    place: Place
    files: Files
    command: tuple[str, ...]
    user: str
    group: str
    home: Path
    folder: Path
    path: str
    state_dir: Path
    stop_s: float
    runs_programs: bool

    @property
    def state_in_var_lib(self) -> str:
        """The state folder below ``/var/lib``, where systemd makes it for a service of the machine; empty elsewhere."""
        inside = self.place.system and self.state_dir != VAR_LIB and self.state_dir.is_relative_to(VAR_LIB)
        return str(self.state_dir.relative_to(VAR_LIB)) if inside else ""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything of it that has to be there while it runs, agents not counted."""
        return (Path(self.command[0]), self.folder, self.state_dir)


class Manager(Protocol):
    """What runs services on a kind of system."""

    @property
    def file(self) -> Path:
        """Where the service is written down."""
        ...

    def text(self, plan: Plan) -> str:
        """Return what is written there. Raises `ConfigError` where that cannot hold the plan."""
        ...

    def unloads(self) -> tuple[Call, ...]:
        """Return the commands before the service is written anew; they fail where it was not there."""
        ...

    def loads(self) -> tuple[Call, ...]:
        """Return the commands after the file was written or removed."""
        ...

    def starts(self) -> tuple[Call, ...]:
        """Return the commands that start the service, now and at every boot."""
        ...

    def stops(self) -> tuple[Call, ...]:
        """Return the commands that end the service, now and at every boot."""
        ...

    def status(self) -> Call:
        """Return the command that shows how the service is."""
        ...

    def logs(self, lines: int, *, follow: bool) -> Call:
        """Return the command that shows the end of the log."""
        ...

    @property
    def remark(self) -> str:
        """Return what else somebody has to know, empty for nothing."""
        ...


def plan_for(place: Place, files: Files, options: Sequence[str], run_as: str = "") -> Plan:
    """Return the plan of a service.

    Args:
        place: which service.
        files: what it is made from.
        options: further options of ``run``.
        run_as: the user it runs as; empty for the owner of the configuration, or for this user where the service is
            this user's.

    Raises:
        ConfigError: the service would not start; holds every reason.
    """
    named = files.config or files.openclaw
    if named is None:
        raise ConfigError("name a configuration")
    user = _user(place, named, run_as)
    path = os.environ.get("PATH") or os.defpath
    try:
        loaded = _checked(files, {"HOME": user.pw_dir, "USER": user.pw_name, "PATH": path})
    except ConfigError as error:
        problems = (f"{named}: {problem}" for problem in error.problems)
        raise ConfigError(*problems, *_remark(files, named.parent)) from None
    if not any(bot.enabled for bot in loaded.config.accounts.values()):
        raise ConfigError("no account is on: there is nothing to run")
    if missing := not_installed(loaded.config):
        raise ConfigError(*missing)
    host = loaded.config.host
    given = (("--config", files.config), ("--openclaw", files.openclaw))
    words = [word for option, file in given if file is not None for word in (option, str(file))]
    return Plan(
        place=place,
        files=files,
        command=(str(_program()), "run", *words, *options),
        user=user.pw_name,
        group=str(user.pw_gid),
        home=Path(user.pw_dir),
        folder=named.parent,
        path=path,
        state_dir=host.state_dir,
        stop_s=host.drain_seconds + CLOSING_S,
        runs_programs=isinstance(host, EmbeddedHostConfig) and isinstance(host.agent, CommandAgentConfig),
    )


def _checked(files: Files, env: Mapping[str, str]) -> Loaded:
    """Return the configuration as the service will read it: with its own variables, not those of this terminal.

    Args:
        files: what the service is made from.
        env: variables that every service has.

    Raises:
        ConfigError: it would not do, or a bot's token could not be read.
    """
    findings = Findings()
    variables = dict(env)
    for file in files.variables:
        variables |= dotenv(file, findings)
    if findings.warnings:
        raise ConfigError(*findings.warnings)
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.credentials:
            Path(folder, name).symlink_to(file)
        if files.credentials:
            variables["CREDENTIALS_DIRECTORY"] = folder
        loaded = load_config(files.config, openclaw=files.openclaw, env=variables, run_programs=False)
    if loaded.unreadable:
        raise ConfigError(*loaded.causes, *loaded.unreadable)
    return loaded


def _remark(files: Files, folder: Path) -> tuple[str, ...]:
    """Return what to do where the configuration would do with the variables of this terminal, else nothing."""
    try:
        loaded = load_config(files.config, openclaw=files.openclaw, run_programs=False)
    except ConfigError:
        return ()
    if loaded.unreadable:
        return ()
    place = f"{folder / '.env'} (chmod 600)"
    return (
        f"A service has no variables of this terminal: write them into {place}, or name a file by --env-file.",
    )


def claim_state(plan: Plan) -> None:
    """Make the state folder as the user of the service, unless the service manager does.

    Raises:
        ConfigError: that user cannot read the configuration.
        HostError: that user cannot have this folder.
    """
    with _acting_as(plan.user):
        for file in filter(None, (plan.files.config, plan.files.openclaw)):
            try:
                file.open("rb").close()
            except OSError as error:
                raise ConfigError(f"{file} cannot be read by {plan.user}: {error.strerror}") from None
        if not plan.state_in_var_lib:
            claim_state_folder(plan.state_dir)


@contextmanager
def _acting_as(name: str) -> Iterator[None]:
    """Let this process, where it is root's, touch files as another user meanwhile."""
    user = pwd.getpwnam(name)
    if os.geteuid() == user.pw_uid:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _user(place: Place, config: Path, run_as: str) -> pwd.struct_passwd:
    """Return the user a service runs as. Raises `ConfigError`."""
    try:
        uid = config.stat().st_uid if place.system else os.geteuid()
        user = pwd.getpwnam(run_as) if run_as else pwd.getpwuid(uid)
    except OSError as error:
        raise ConfigError(f"{config}: cannot be read: {error.strerror}") from None
    except KeyError:
        raise ConfigError(f"there is no user {run_as or 'that owns the configuration'}") from None
    if place.system and user.pw_uid == 0 and run_as != user.pw_name:
        raise ConfigError(f"{config} belongs to root: name the user the bots run as with --run-as")
    if user.pw_uid != os.geteuid() and (os.geteuid() or not place.system):
        raise ConfigError("only a service of the machine, installed by root, runs as another user")
    return user


def _program() -> Path:
    """Return this program, as it was called where that can be known: an update may put another one there."""
    called = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == PROGRAM else None
    return Path(called).absolute() if called else Path(sysconfig.get_path("scripts")) / PROGRAM
