"""A service of launchd, on macOS: its property list (launchd.plist(5)), and the commands that look after it."""

import os
import plistlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.cli.service.plan import MARK, Call, Place, Plan
from openclaw_channel_octo.errors import ConfigError

__all__ = ["Launchd"]


class Launchd(Struct, frozen=True):
    """The manager of the machine, or of this user.

    Attributes:
        place: which service.
    """

    place: Place

    @property
    def file(self) -> Path:
        """Where the property list lies."""
        base = Path("/Library/LaunchDaemons") if self.place.system else Path.home() / "Library/LaunchAgents"
        return base / f"{self.place.name}.plist"

    def text(self, plan: Plan) -> str:
        """Return the property list. Raises `ConfigError` where it cannot hold the plan."""
        if plan.files.variables or plan.files.credentials:
            raise ConfigError(
                f"launchd reads no files with variables or credentials: write them to {plan.folder / '.env'}"
            )
        log = str(plan.home / "Library/Logs" / f"{self.place.name}.log")
        content: dict[str, Any] = {
            "Label": self.place.name,
            "ProgramArguments": list(plan.command),
            "WorkingDirectory": str(plan.folder),
            "EnvironmentVariables": {"PATH": plan.path},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 15,
            "ExitTimeOut": round(plan.stop_s),
            "ProcessType": "Background",
            "StandardOutPath": log,
            "StandardErrorPath": log,
        }
        if self.place.system:
            content["UserName"] = plan.user
        try:
            text = plistlib.dumps(content, sort_keys=False).decode()
        except ValueError:
            raise ConfigError(
                "a path holds characters that cannot be printed: a property list cannot hold it"
            ) from None
        return text.replace("<dict>", f"<!-- {MARK} -->\n<dict>", 1)

    def unloads(self) -> tuple[Call, ...]:
        """Return the commands before the service is written anew; they fail where it was not there."""
        return self.stops()

    def loads(self) -> tuple[Call, ...]:
        """Return the commands after the file was written or removed: none."""
        return ()

    def starts(self) -> tuple[Call, ...]:
        """Return the commands that start the service, now and at every boot."""
        return (
            ("launchctl", "enable", self._target),
            ("launchctl", "bootstrap", self._domain, str(self.file)),
        )

    def stops(self) -> tuple[Call, ...]:
        """Return the commands that end the service."""
        return (("launchctl", "bootout", self._target),)

    def status(self) -> Call:
        """Return the command that shows how the service is."""
        return ("launchctl", "print", self._target)

    def logs(self, lines: int, *, follow: bool) -> Call:
        """Return the command that shows the end of the log."""
        log = Path.home() / "Library/Logs" / f"{self.place.name}.log"
        with suppress(OSError, ValueError, KeyError, TypeError):  # as it was written, where it can be read
            log = Path(plistlib.loads(self.file.read_bytes())["StandardErrorPath"])
        return ("tail", "-n", str(lines), *(("-F",) if follow else ()), str(log))

    @property
    def remark(self) -> str:
        """Return what else somebody has to know, empty for nothing."""
        return f"The log grows without end: docs/deployment.md tells how {self.logs(0, follow=False)[-1]} is rotated"

    @property
    def _domain(self) -> str:
        return "system" if self.place.system else f"gui/{os.getuid()}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{self.place.name}"
