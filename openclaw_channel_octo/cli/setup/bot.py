"""The bot: its server and its token, asked for until they work together."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.cli.setup.console import Console, Unusable, give_up, one_word
from openclaw_channel_octo.cli.setup.openclaw import bot_of, bots_in
from openclaw_channel_octo.cli.setup.server import accepted, addresses
from openclaw_channel_octo.config.channel import is_account_id
from openclaw_channel_octo.errors import ConfigError

__all__ = ["Bot", "GivenBot", "chosen_bot"]

_WHERE_FROM = (
    "Octo's BotFather makes a bot: write /newbot to it there. It answers with the token, bf_…, and the API server.",
    "For a bot there is already: /mybots and /token.",
)
_ONE_CONNECTION = "! the gateway's own plugin must leave this bot alone: two connections throw each other off"
_USER_KEY = "this is a user's API key (uk_…), which runs no bot: give the bot's token (BotFather: /token)"


class GivenBot(Struct, frozen=True, kw_only=True):
    """What is said of the bot beforehand; ``None`` for what is asked for.

    Attributes:
        server: its server.
        token: its token.
        account: its name.
        likely_server: the server where no other is named.
        openclaw: a gateway's file that may have it.
    """

    server: str | None = None
    token: SecretStr | None = None
    account: str | None = None
    likely_server: str | None = None
    openclaw: Path | None = None


class Bot(Struct, frozen=True, kw_only=True):
    """A bot as it is written down.

    Attributes:
        account: its name in the configuration, in logs and commands.
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
    given = _taken_over(console, given)
    if console.asks and given.token is None:
        console.say(*_WHERE_FROM)
    api_url, token = _that_works(console, given, check=check)
    if check:
        console.say(f"✓ {api_url} takes the token")
    return Bot(account=_account(console, given.account, taken), api_url=api_url, token=token)


def _taken_over(console: Console, given: GivenBot) -> GivenBot:
    """Return what is known once a bot of a gateway's file is taken, if there are some and somebody wants one."""
    if given.openclaw is None or given.token or given.server:
        return given
    bots = [name for name, on in bots_in(given.openclaw).items() if on]
    if not bots:
        return given
    name = next((each for each in bots if each.lower() == (given.account or "").lower()), None)
    if name is None and console.asks:
        console.say(f"{given.openclaw} has bots of Octo:")
        names = [*((each, "its server and token are taken from there") for each in bots), ("another", "")]
        name = [*bots, None][console.choice("Which bot", names)]
        if name is None:
            return given
    elif name is None and given.account is None and len(bots) == 1:
        name = bots[0]
    elif name is None:
        give_up(f"--account: which of {', '.join(bots)}")
    try:
        bot = bot_of(given.openclaw, name)
    except ConfigError as error:
        console.refuse("; ".join(error.problems))
        return given
    console.say(_ONE_CONNECTION)
    return replace(given, server=bot.api_url, token=bot.token, account=name)


def _that_works(console: Console, given: GivenBot, *, check: bool) -> tuple[str, SecretStr]:
    """Return the API of a server, and a token that it takes."""
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


def _looked_at(server: str, token: SecretStr, *, check: bool) -> str:
    if one_word(token).get_secret_value().startswith("uk_"):
        raise Unusable(_USER_KEY, about_secret=True)
    return asyncio.run(accepted(server, token)) if check else addresses(server)[0]


def _token(console: Console) -> SecretStr:
    if not console.asks:
        give_up("pass --token-env NAME or --token-file FILE (- for standard input)")
    return SecretStr(console.secret("Bot's token (it is not shown)"))


def _account(console: Console, given: str | None, taken: frozenset[str]) -> str:
    default = next(name for name in _names() if name not in taken)
    while True:
        name = console.text(given, "Name for the bot in logs and commands", "--account ID", default)
        if name.lower() in taken:
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
