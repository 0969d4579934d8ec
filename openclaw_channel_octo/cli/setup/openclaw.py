"""An OpenClaw gateway's own file: the bots in it, and the gateway itself. It is only read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import read_json
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ConfigError

__all__ = ["bot_of", "bots_in", "usual_file"]


def usual_file() -> Path:
    """Return where the file of this user's gateway is, if there is one."""
    named = os.environ.get("OPENCLAW_CONFIG_PATH", "").strip()
    folder = os.environ.get("OPENCLAW_STATE_DIR", "").strip() or "~/.openclaw"
    return Path(named or f"{folder}/openclaw.json").expanduser()


def bots_in(file: Path) -> dict[str, bool]:
    """Return the names of the bots of Octo in a gateway's file, as they are written there, and whether each is on.

    None where it cannot be used: whoever needs it is told why by others. No secret in it is followed.
    """
    try:
        bots = load_config(None, openclaw=file, connecting=False).config.accounts
        written = {name.lower(): name for name in _accounts(read_json(file, Findings()))}
    except ConfigError:
        return {}
    return {written.get(name, name): bot.enabled for name, bot in bots.items()}


def bot_of(file: Path, name: str) -> BotConfig:
    """Return one bot of a gateway's file with its token.

    Raises:
        ConfigError: the token cannot be read.
    """
    return load_config(None, openclaw=file, accounts=(name,)).config.accounts[name.lower()]


def _accounts(raw: Any) -> Mapping[str, Any]:
    """Return the accounts in the decoded file, none where they stand in a file that it includes."""
    found = raw
    for key in ("channels", "octo", "accounts"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
