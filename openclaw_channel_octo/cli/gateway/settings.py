"""A gateway's ``openclaw.json`` with the plugin's settings in it, and without them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import read_json, with_includes
from openclaw_channel_octo.config.variables import filled, gateway_environment, inline_variables, unset_in
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.files import replace_file
from openclaw_channel_octo.host.plugin.files import PLUGIN
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["Settings", "read_settings"]

VALIDATE_WITHIN_S = 120.0
_PLAIN = {"enabled": True}
"""The block ``channels.octo`` of a gateway that keeps no settings of bots: its program knows the channel by it."""
_BACKUPS = 1_000
_CHANGED = ("plugins", "channels")
"""The keys whose content `install` and `uninstall` change."""


class Settings(Struct, frozen=True, kw_only=True):
    """The content of a gateway's file.

    Attributes:
        file: where it is.
        raw: its content, variables as they are written; with the content of other files where it includes them in what
            is to be changed. Such a file is not written.
        text: its text.
        commented: whether it is JSON5, whose comments are lost where it is written.
        elsewhere: name of a key whose content stands in another file, empty where all that is changed stands here.
        agents: the block of the gateway's agents, with what it includes and its variables filled in.
    """

    file: Path
    raw: Mapping[str, Any]
    text: str
    commented: bool
    elsewhere: str
    agents: Mapping[str, Any]

    def media_folders(self, state_dir: Path) -> list[Path]:
        """Return from where the gateway's agents send files: its own copies, and their workspaces.

        Args:
            state_dir: the gateway's state folder.
        """
        defaults = _object(self.agents.get("defaults")).get("workspace") or ""
        agents = list(_roster(self.agents))
        usual = next((name for name, agent in agents if agent.get("default")), agents[0][0] if agents else "")
        named = [defaults or str(state_dir / "workspace")]
        for name, agent in agents:
            own = defaults if name == usual or defaults else str(state_dir / f"workspace-{name.lower()}")
            named.append(agent.get("workspace") or own)
        known = [
            Path(each).expanduser() for each in named if isinstance(each, str) and each and not unset_in(each)
        ]
        return list(dict.fromkeys([state_dir / "media" / "outbound", *known]))

    def with_plugin(self, socket: Path, accounts: Sequence[str]) -> dict[str, Any]:
        """Return the content of a gateway that loads the plugin.

        Args:
            socket: the control socket of the bots.
            accounts: their names.

        Raises:
            ConfigError: a block that is to be changed is none, or the gateway would not use the plugin all the same.
        """
        raw = deepcopy(dict(self.raw))
        plugins = self._inside(raw, "plugins")
        if plugins.get("enabled") is False:
            raise ConfigError(
                f"{self.file}: plugins.enabled is false: the gateway loads no plugin; set it to true first"
            )
        entry = self._inside(plugins, "entries", PLUGIN)
        entry |= {"enabled": True, "config": wanted(socket, accounts)}
        for key, needed in (("allow", True), ("deny", False)):
            names = plugins.get(key)
            if isinstance(names, list) and names and (PLUGIN in names) is not needed:
                plugins[key] = [*names, PLUGIN] if needed else [name for name in names if name != PLUGIN]
        channel = self._inside(raw, "channels", CHANNEL)
        if channel in ({}, {"enabled": False}):
            channel |= _PLAIN
        if channel.get("enabled") is False:
            raise ConfigError(
                f"{self.file}: channels.{CHANNEL}.enabled is false: the gateway would not use the plugin; set it to "
                "true, or move the block to a file of the bots' own, --config octo.json"
            )
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
                f"{self.file}: channels.{CHANNEL} holds the settings of bots, and without a plugin the gateway does "
                "not start with it: move the block to a file of the bots' own, --config octo.json, first"
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

    def _inside(self, block: dict[str, Any], *keys: str) -> dict[str, Any]:
        """Return an object in a block, made where it is missing."""
        for key in keys:
            block = block.setdefault(key, {})
            if not isinstance(block, dict):
                raise ConfigError(f"{self.file}: {key} is no object")
        return block

    def _indent(self) -> int:
        found = re.search(r"\n( +)\S", self.text)
        return len(found[1]) if found else 2


def read_settings(file: Path, env: Mapping[str, str] = os.environ) -> Settings:
    """Return the content of a gateway's file. Raises `ConfigError` where it, or what it includes, cannot be read."""
    findings = Findings()
    try:
        raw = read_json(file, Findings())
    except ConfigError as error:
        raise ConfigError(*(f"{file}: {problem}" for problem in error.problems)) from None
    around = gateway_environment(file, env, Path.cwd(), Findings())
    whole = with_includes(raw, file, around, findings, only=(*_CHANGED, "agents", "env"))
    if findings.problems:
        raise ConfigError(*(f"{file}: {problem}" for problem in findings.problems))
    if not isinstance(raw, Mapping) or not isinstance(whole, Mapping):
        raise ConfigError(f"{file}: this is no JSON object")
    elsewhere = _elsewhere(raw)
    text = file.read_text(encoding="utf-8-sig")
    return Settings(
        file=file,
        raw={**raw, **{key: whole[key] for key in _CHANGED if key in whole}} if elsewhere else raw,
        text=text,
        commented=_is_json5(text),
        elsewhere=elsewhere,
        agents=_object(filled(whole.get("agents"), inline_variables(whole.get("env"), around))),
    )


def wanted(socket: Path, accounts: Sequence[str]) -> dict[str, Any]:
    """Return the plugin's own settings."""
    return {"socket": str(socket), "accounts": sorted(accounts)}


def _is_json5(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return True
    return False


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _roster(agents: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the agents of a gateway by name: ``entries`` of newer releases, ``list`` of older ones."""
    for name, agent in _object(agents.get("entries")).items():
        yield str(name), _object(agent)
    listed = agents.get("list")
    for agent in map(_object, listed if isinstance(listed, list) else ()):
        yield str(agent.get("id", "")), agent


def _elsewhere(raw: Mapping[str, Any]) -> str:
    blocks = {"": raw, **{key: raw.get(key) for key in _CHANGED}}
    found = (name or "the file itself" for name, block in blocks.items() if _includes(block, deep=bool(name)))
    return next(found, "")


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
