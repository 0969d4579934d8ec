"""The bot: its server and its token, asked for until they work together."""

import asyncio
from collections.abc import Iterator
from itertools import count

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.cli.setup.console import Console, Unusable, give_up
from openclaw_channel_octo.cli.setup.server import Accepted, accepted, addresses
from openclaw_channel_octo.config.channel import is_account_id

__all__ = ["Bot", "GivenBot", "chosen_bot"]

_WHERE_FROM = (
    "Octo's BotFather makes a bot: write /newbot to it there. It answers with the token, bf_…, and the API server.",
    "For a bot there is already: /mybots and /token.",
)
_USER_KEY = "this is a user's API key (uk_…), which runs no bot: give the bot's token (BotFather: /token)"


class GivenBot(Struct, frozen=True, kw_only=True):
    """What options say of the bot; ``None`` for what is asked for."""

    server: str | None = None
    token: SecretStr | None = None
    account: str | None = None
    likely_server: str | None = None
    """The server where no other is named."""


class Bot(Struct, frozen=True, kw_only=True):
    """A bot as it is written down.

    Attributes:
        account: its name in the configuration, in logs and commands; lower case.
        api_url: base of the bot API.
        token: its token.
    """

    account: str
    api_url: str
    token: SecretStr


def chosen_bot(console: Console, given: GivenBot, *, check: bool, taken: frozenset[str] = frozenset()) -> Bot:
    """Return the bot that somebody names; where it does not work and nobody can be asked, the program ends.

    Args:
        console: asks.
        given: what options say.
        check: whether the server is asked about the token.
        taken: names of bots that the configuration has already, lower case.
    """
    if console.asks and given.token is None:
        console.say(*_WHERE_FROM)
    found, token = _that_works(console, given, check=check)
    if check:
        console.say(*_words(found))
    return Bot(account=_account(console, given.account, taken), api_url=found.api_url, token=token)


def _that_works(console: Console, given: GivenBot, *, check: bool) -> tuple[Accepted, SecretStr]:
    """Return a server and a token that it takes."""
    server, token, suggested = given.server, given.token, given.likely_server
    while True:
        server = console.text(server, "Server's address", "--server URL", suggested)
        token = token or _token(console)
        try:
            return _looked_at(server, token, check=check), token
        except Unusable as refusal:
            console.refuse(str(refusal))
            suggested = server
            server, token = (server, None) if refusal.about_secret else (None, token)


def _looked_at(server: str, token: SecretStr, *, check: bool) -> Accepted:
    if token.get_secret_value().startswith("uk_"):
        raise Unusable(_USER_KEY, about_secret=True)
    if check:
        return asyncio.run(accepted(server, token))
    return Accepted(addresses(server)[0], None)


def _token(console: Console) -> SecretStr:
    if not console.asks:
        give_up("pass --token-env NAME or --token-file FILE (- for standard input)")
    return SecretStr(console.secret("Bot's token (it is not shown)"))


def _words(found: Accepted) -> list[str]:
    lines = [f"✓ {found.api_url} takes the token"]
    if found.groups == 0:
        lines.append("! the bot is in no group yet: until somebody adds it, only direct messages reach it")
    return lines


def _account(console: Console, given: str | None, taken: frozenset[str]) -> str:
    default = next(name for name in _names() if name not in taken)
    while True:
        name = console.text(given, "Name for the bot in logs and commands", "--account ID", default).lower()
        if name in taken:
            problem = f"there is a bot {name} already"
        elif not is_account_id(name):
            problem = "a name has at most 64 letters, digits, _ and -, no - first"
        else:
            return name
        console.refuse(problem)
        given = None


def _names() -> Iterator[str]:
    yield "bot"
    yield from (f"bot-{number}" for number in count(2))
