"""A gateway's ``openclaw.json`` with the plugin's settings in it, and without them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import read_json
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.files import replace_file
from openclaw_channel_octo.host.plugin.files import PLUGIN
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["Settings", "read_settings"]

VALIDATE_WITHIN_S = 120.0
_PLAIN = {"enabled": True}
"""The block ``channels.octo`` of a gateway that keeps no settings of bots: its program knows the channel by it."""
_BACKUPS = 1_000


class Settings(Struct, frozen=True, kw_only=True):
    """The content of a gateway's file.

    Attributes:
        file: where it is.
        raw: its content, variables and includes as they are written.
        text: its text.
        commented: whether it is JSON5, whose comments are lost where it is written.
    """

    file: Path
    raw: Mapping[str, Any]
    text: str
    commented: bool

    @property
    def elsewhere(self) -> str:
        """Name of a key whose content stands in another file, empty where all that is changed stands in this one."""
        blocks = {"": self.raw, "plugins": self.raw.get("plugins"), "channels": self.raw.get("channels")}
        found = (
            name or "the file itself" for name, block in blocks.items() if _includes(block, deep=bool(name))
        )
        return next(found, "")

    def media_folders(self, state_dir: Path) -> list[Path]:
        """Return from where the gateway's agents send files: its own copies, and their workspaces.

        Args:
            state_dir: the gateway's state folder.
        """
        agents = self.raw.get("agents")
        block = agents if isinstance(agents, Mapping) else {}
        several = block.get("entries") or {}
        each = list(several.values()) if isinstance(several, Mapping) else []
        each += listed if isinstance(listed := block.get("list"), list) else []
        defaults = block.get("defaults")
        usual = {
            "workspace": str(state_dir / "workspace"),
            **(defaults if isinstance(defaults, Mapping) else {}),
        }
        named = [agent.get("workspace") for agent in (usual, *each) if isinstance(agent, Mapping)]
        folders = [
            Path(name).expanduser() for name in named if isinstance(name, str) and name and "${" not in name
        ]
        return list(dict.fromkeys([state_dir / "media" / "outbound", *folders]))

    def with_plugin(self, socket: Path, accounts: Sequence[str]) -> dict[str, Any]:
        """Return the content of a gateway that loads the plugin.

        Args:
            socket: the control socket of the bots.
            accounts: their names.

        Raises:
            ConfigError: a block that is to be changed is none.
        """
        raw = deepcopy(dict(self.raw))
        plugins = _inside(raw, "plugins")
        entry = _inside(plugins, "entries", PLUGIN)
        entry |= {"enabled": True, "config": wanted(socket, accounts)}
        for key, needed in (("allow", True), ("deny", False)):
            names = plugins.get(key)
            if isinstance(names, list) and names and (PLUGIN in names) is not needed:
                plugins[key] = [*names, PLUGIN] if needed else [name for name in names if name != PLUGIN]
        _inside(raw, "channels").setdefault(CHANNEL, dict(_PLAIN))
        return raw

    def without_plugin(self) -> dict[str, Any]:
        """Return the content of a gateway that knows nothing of the plugin.

        Raises:
            ConfigError: ``channels.octo`` holds settings of bots, with which a gateway without a plugin does not start.
        """
        raw = deepcopy(dict(self.raw))
        plugins, channels = (
            block if isinstance(block := raw.get(key), dict) else {} for key in ("plugins", "channels")
        )
        if channels.get(CHANNEL, _PLAIN) != _PLAIN:
            raise ConfigError(
                f"channels.{CHANNEL} holds the settings of bots, and without a plugin the gateway does not start with "
                "it: move the block to a file of the bots' own, --config octo.json, first"
            )
        for block, key in ((plugins.get("entries"), PLUGIN), (channels, CHANNEL)):
            if isinstance(block, dict):
                block.pop(key, None)
        if isinstance(plugins.get("allow"), list):
            plugins["allow"] = [name for name in plugins["allow"] if name != PLUGIN]
        _drop_empty(plugins, "entries")
        _drop_empty(raw, "plugins", "channels")
        return raw

    def write(self, content: Mapping[str, Any], state_dir: Path) -> Path:
        """Put other content into the file once the gateway's own program takes it; return where the old one is kept.

        Args:
            content: the new one.
            state_dir: the gateway's state folder.

        Raises:
            ConfigError: the gateway would not start with it.
            OSError: it cannot be written.
        """
        data = (json.dumps(content, indent=self._indent(), ensure_ascii=False) + "\n").encode()
        _validate(self.file, data, state_dir)
        backup = _backup(self.file)
        was = self.file.stat()

        def keep_owner(place: Path) -> None:
            beside = place.with_name(f"{place.name}.tmp")  # made for this user alone: the file holds secrets
            os.chown(beside, was.st_uid, was.st_gid)
            beside.chmod(was.st_mode & 0o777)

        for place, content_of in ((backup, self.file.read_bytes()), (self.file, data)):
            replace_file(place, content_of, before_rename=partial(keep_owner, place.resolve()))
        return backup

    def _indent(self) -> int:
        found = re.search(r"\n( +)\S", self.text)
        return len(found[1]) if found else 2


def read_settings(file: Path) -> Settings:
    """Return the content of a gateway's file. Raises `ConfigError` where it cannot be read."""
    try:
        raw = read_json(file, Findings())
    except ConfigError as error:
        raise ConfigError(*(f"{file}: {problem}" for problem in error.problems)) from None
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{file}: this is no JSON object")
    text = file.read_text(encoding="utf-8-sig")
    try:
        json.loads(text)
    except ValueError:
        return Settings(file=file, raw=raw, text=text, commented=True)
    return Settings(file=file, raw=raw, text=text, commented=False)


def wanted(socket: Path, accounts: Sequence[str]) -> dict[str, Any]:
    """Return the plugin's own settings."""
    return {"socket": str(socket), "accounts": sorted(accounts)}


def _inside(block: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return an object in a block, made where it is missing."""
    for key in keys:
        block = block.setdefault(key, {})
        if not isinstance(block, dict):
            raise ConfigError(f"{key} is no object")
    return block


def _drop_empty(block: Any, *keys: str) -> None:
    for key in keys:
        if isinstance(block, dict) and block.get(key) == {}:
            del block[key]


def _includes(block: Any, *, deep: bool) -> bool:
    if not isinstance(block, Mapping):
        return False
    return "$include" in block or (deep and any(_includes(inner, deep=True) for inner in block.values()))


def _backup(file: Path) -> Path:
    names = ["octo-backup", *(f"octo-backup.{number}" for number in range(1, _BACKUPS))]
    places = (file.with_name(f"{file.name}.{name}") for name in names)
    return next(place for place in places if not os.path.lexists(place))


def _validate(file: Path, data: bytes, state_dir: Path) -> None:
    """Have the gateway's own program judge a copy beside the file; nothing where the program is not installed."""
    program = shutil.which("openclaw")
    if program is None:
        return
    copy = file.with_name(f".{file.name}.octo-check.json")
    try:
        replace_file(copy, data)
        places = {"OPENCLAW_CONFIG_PATH": str(copy), "OPENCLAW_STATE_DIR": str(state_dir)}
        said = subprocess.run(
            [program, "config", "validate"],
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VALIDATE_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"openclaw config validate took more than {VALIDATE_WITHIN_S:.0f} s") from None
    finally:
        copy.unlink(missing_ok=True)
    if said.returncode != 0:
        first = next(
            filter(None, map(str.strip, (said.stderr + said.stdout).splitlines())), "it says nothing"
        )
        raise ConfigError(f"openclaw config validate does not take it: {first.replace(str(copy), str(file))}")
