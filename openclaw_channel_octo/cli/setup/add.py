"""One more bot in a configuration that exists."""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

from msgspec import Struct

from openclaw_channel_octo.cli.setup.bot import Bot
from openclaw_channel_octo.cli.setup.console import give_up
from openclaw_channel_octo.cli.setup.files import secret_file, write_secrets
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.files import dump_json, replace_file

__all__ = ["Existing", "add_bot", "existing"]


class Existing(Struct, frozen=True):
    """A configuration that a bot is added to.

    Attributes:
        raw: its content as it stands in the file.
        accounts: its bots, by their names in lower case.
    """

    raw: dict[str, Any]
    accounts: Mapping[str, BotConfig]

    @property
    def server(self) -> str | None:
        """The server of its bots, ``None`` where they have several."""
        servers = {bot.api_url for bot in self.accounts.values()}
        return servers.pop() if len(servers) == 1 else None


def existing(file: Path) -> Existing:
    """Return the configuration in a file; the program ends where that cannot be changed here."""
    try:
        if file.stat().st_uid != os.geteuid():
            give_up(f"{file} belongs to another user: add the bot as that user")
        raw = json.loads(file.read_text(encoding="utf-8-sig"))
        accounts = load_config(file).config.accounts
    except OSError as error:
        give_up(f"{file} cannot be read: {error.strerror}")
    except ValueError:
        give_up(
            f"{file} is no plain JSON, and would lose its comments: add the bot to channels.octo.accounts by hand"
        )
    except ConfigError as error:
        give_up(f"{file} has to be right first: {'; '.join(error.problems)}")
    if "$include" in json.dumps(raw):
        give_up(f"{file} includes other files: add the bot by hand, to channels.octo.accounts")
    return Existing(raw, accounts)


def add_bot(file: Path, found: Existing, bot: Bot) -> None:
    """Write a bot into a configuration, everything else in it kept.

    A token of the channel that served its only bot goes to that bot, whose name is ``default``: beside others it would
    serve none.

    Args:
        file: the configuration.
        found: its content.
        bot: the bot.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    for name, other in found.accounts.items():
        if (other.api_url, other.token) == (bot.api_url, bot.token):
            give_up(f"this is the bot {name}, which {file} has already")
    token_file = secret_file(file, f"{bot.account}.token")
    content = _with_bot(found.raw, bot, token_file)
    with ExitStack() as undo:
        write_secrets(file.parent, {token_file: bot.token}, undo)
        replace_file(file, dump_json(content, indent=2))
        undo.pop_all()


def _with_bot(raw: Mapping[str, Any], bot: Bot, token_file: str) -> dict[str, Any]:
    content = deepcopy(dict(raw))
    channel = content.setdefault("channels", {}).setdefault(
        "octo", {}
    )  # it may all stand in a gateway's file
    accounts = channel.setdefault("accounts", {})
    if "botToken" in channel and len(accounts) <= 1:
        only = next(iter(accounts.values())) if accounts else accounts.setdefault("default", {})
        only.setdefault("botToken", channel.pop("botToken"))
    own = {} if channel.get("apiUrl") == bot.api_url else {"apiUrl": bot.api_url}
    accounts[bot.account] = {**own, "botToken": {"source": "file", "id": token_file}}
    return content
