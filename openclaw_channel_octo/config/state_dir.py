"""Where the state folder is: ``host.stateDir``, which commands need without the secrets of a configuration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import TOO_DEEP, UnreadableConfigError, read_json, with_includes
from openclaw_channel_octo.config.model import HostConfig
from openclaw_channel_octo.config.secrets import SecretContext
from openclaw_channel_octo.config.variables import beside, filled, settled
from openclaw_channel_octo.errors import ConfigError

__all__ = ["read_file", "state_dir_in", "state_dir_of"]


def read_file(path: Path, env: Mapping[str, str], findings: Findings) -> Any:
    """Return the content of our file with what it includes, and variables not yet filled in.

    Raises:
        UnreadableConfigError: it cannot be read or is not JSON.
    """
    raw = read_json(path, findings)
    try:
        return with_includes(raw, path.absolute(), env, findings)
    except RecursionError:
        raise UnreadableConfigError(TOO_DEEP) from None


def state_dir_of(host: Mapping[str, Any], around: SecretContext) -> object:
    """Return the state folder that a ``host`` block names, absolute, else the user's own; what is no path as it is.

    Args:
        host: the block, variables filled in.
        around: home folder, and where relative paths start.
    """
    named = around.process.get("XDG_STATE_HOME", "")
    home = named if named.startswith("/") else "~/.local/state"
    raw = host.get("stateDir", f"{home}/openclaw-octo")
    return around.path(raw) if isinstance(raw, str) and raw else raw


def state_dir_in(path: Path, env: Mapping[str, str] = os.environ) -> Path:
    """Return the state folder that the configuration in a file names; nothing else in it has to be right.

    Args:
        path: the file.
        env: environment variables.

    Raises:
        ConfigError: the file cannot be read, or what it says of the folder is wrong.
    """
    findings = Findings()
    around = SecretContext(
        base=path.absolute().parent, env=beside(path.absolute().parent, env, findings), process=env
    )
    raw = read_file(path, around.env, findings)
    host = raw.get("host", {}) if isinstance(raw, Mapping) else raw
    found: HostConfig | None = None
    if findings.is_object(host, "host"):
        block = settled(
            filled({key: host[key] for key in ("stateDir",) if key in host}, around.env), "host", findings
        )
        found = findings.validate(HostConfig, {"stateDir": state_dir_of(block, around)}, "host")
    wrong = [problem for problem in findings.problems if problem.startswith("host")]
    if found is None or wrong:
        raise ConfigError(*findings.causes, *wrong)
    return found.state_dir
