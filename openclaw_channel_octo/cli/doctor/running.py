"""The process that has the state folder: asked over its control socket which bots it runs."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, HostError
from openclaw_channel_octo.host.locks import owner_lock
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["Running", "find_running"]

ANSWER_WITHIN_S = 5.0


class Running(Struct, frozen=True):
    """The process that has a state folder.

    Attributes:
        holder: its id, empty where none has it.
        told: what it says of its bots (docs/control.md, ``status``), empty where it cannot be asked.
        problem: why it cannot be asked.
        broken: why nobody can tell whether there is one, empty where that can be told.
    """

    holder: str = ""
    told: Mapping[str, Any] = MappingProxyType({})
    problem: str = ""
    broken: str = ""

    def runs(self, account_id: str) -> bool:
        """Return whether it runs a bot, with a token it could read."""
        connection = self.told.get("bots", {}).get(account_id)
        return connection is not None and connection["state"] != LinkState.NO_TOKEN


def find_running(folder: Path) -> Running:
    """Return the process that has a state folder, and what it says; waits some seconds at most."""
    try:
        holder = owner_lock(folder).holder()
    except HostError as problem:
        return Running(broken=str(problem))
    if not holder:
        return Running()
    try:
        return Running(holder, ask(folder, "status", timeout_s=ANSWER_WITHIN_S))
    except ControlError as problem:
        return Running(holder, problem=str(problem))
