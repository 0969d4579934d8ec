"""What `init` does once the configuration is written: a look at it, a service, the next command."""

import sys
from pathlib import Path

from openclaw_channel_octo.cli.output import NOT_TRIED
from openclaw_channel_octo.cli.setup.console import Console

__all__ = ["look_at", "offer_reload", "offer_service", "service_offered"]

_NAME = "openclaw-octo"


def look_at(file: Path, *, ask_agent: bool) -> bool:
    """Print what the doctor finds about a configuration; return whether nothing in it keeps a bot silent.

    Args:
        file: the configuration. Its bots are not logged in.
        ask_agent: whether the agent is asked for a word.
    """
    return (
        _run("doctor", "--config", str(file), "--no-register", *(["--ask-agent"] if ask_agent else []))
        < NOT_TRIED
    )


def offer_reload(console: Console, file: Path, given: bool | None) -> bool:
    """Have bots that run with a configuration go by it as it is now; return whether they do.

    Args:
        console: asks.
        file: the configuration.
        given: what an option says; for scripts without one yes.
    """
    from openclaw_channel_octo.cli.doctor.running import find_running  # noqa: PLC0415  # the doctor comes later
    from openclaw_channel_octo.config.state_dir import state_dir_in  # noqa: PLC0415  # as above

    if not find_running(state_dir_in(file)).told:
        return False
    wanted = given if given is not None or console.asks else True
    question = "Bots run with this configuration. Have them take up the new one now"
    return console.agrees(wanted, question, default=True) and not _run("reload", "--config", str(file))


def offer_service(console: Console, file: Path, given: bool | None) -> bool:
    """Have the machine run the bots, if somebody wants that; return whether it does now.

    Args:
        console: asks.
        file: the configuration.
        given: what an option says.
    """
    if given is None and not service_offered():
        return False
    wanted = console.agrees(given, "Run it as a service of this machine, from now on", default=False)
    return wanted and not _run("service", "install", "--config", str(file))


def service_offered() -> bool:
    """Return whether it makes sense to offer a service: there is a manager that runs here."""
    return sys.platform == "darwin" or Path("/run/systemd/system").is_dir()


def _run(*words: str) -> int:
    """Carry out another command of this program; return its exit code."""
    from openclaw_channel_octo.cli.app import main  # noqa: PLC0415  # which loads this package

    try:
        main.main(words, prog_name=_NAME, standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
