"""Processes as everybody on the machine sees them, where the system shows them in ``/proc``."""

from pathlib import Path

__all__ = ["processes_with"]


def processes_with(variable: str) -> dict[str, str]:
    """Return the command lines, by process id, of the processes that have a variable in their environment.

    Args:
        variable: ``NAME=value``.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (folder / "environ").read_text(errors="replace").split("\0"):
                found[folder.name] = (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return found
