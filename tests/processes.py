"""Processes as everybody on the machine sees them, where the system shows them in ``/proc``."""

from pathlib import Path

from tests.until import until

__all__ = ["alive", "gone", "processes_with"]


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


def alive(pid: int) -> bool:
    """Return whether a process lives; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(*pids: int) -> bool:
    """Return once none of the processes lives any more, or fail."""
    return await until(lambda: not any(alive(pid) for pid in pids), f"the end of {pids}")
