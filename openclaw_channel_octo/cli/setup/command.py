"""`openclaw-octo init`: a configuration for a bot and its agent, asked for, tried and written."""

import os
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace
from pydantic import SecretStr

from openclaw_channel_octo.cli.options import with_files
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail
from openclaw_channel_octo.cli.setup.add import add_bot, existing
from openclaw_channel_octo.cli.setup.agent import KINDS, GivenAgent, Host, chosen_host
from openclaw_channel_octo.cli.setup.bot import Bot, GivenBot, chosen_bot
from openclaw_channel_octo.cli.setup.console import Console, give_up
from openclaw_channel_octo.cli.setup.files import configuration, secret_file, unwritable, write_configuration
from openclaw_channel_octo.cli.setup.finish import look_at, offer_reload, offer_service
from openclaw_channel_octo.cli.setup.openclaw import bots_in, usual_file
from openclaw_channel_octo.observe.logs import setup_logging

__all__ = ["init"]

_FILE = click.Path(path_type=Path)
_NO_TERMINAL = (
    "there is no terminal to ask on: pass --yes, --server URL, and --token-env NAME or --token-file FILE"
)

_ASK = "Ask the agent for a word now? It may cost something"


@click.command()
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=_FILE,
    default="octo.json",
    show_default=True,
    help="Where the configuration goes. A file that exists is never overwritten.",
)
@click.option("--add", is_flag=True, help="Add a bot to the configuration that is there.")
@click.option("--yes", is_flag=True, help="Ask nothing: options and defaults count.")
@click.option("--server", metavar="URL", help="The Octo server.")
@click.option("--token-env", metavar="NAME", help="Take the bot's token from this environment variable, now.")
@click.option("--token-file", metavar="FILE", type=_FILE, help="Take it from this file; - is standard input.")
@click.option("--account", metavar="ID", help="The bot's name in logs and commands.")
@click.option("--agent", "kind", type=click.Choice(list(KINDS)), help="What answers; with --yes an echo.")
@click.option("--base-url", metavar="URL", help="endpoint: its address up to the version, such as …/v1.")
@click.option("--model", metavar="NAME", help="endpoint: the model.")
@click.option("--key-env", metavar="NAME", help="endpoint: take its API key from this variable, now.")
@click.option("--key-file", metavar="FILE", type=_FILE, help="endpoint: take it from this file.")
@click.option("--command", metavar="LINE", help="program: its command line; no shell is used.")
@click.option(
    "--openclaw",
    metavar="FILE",
    type=_FILE,
    help="gateway: its openclaw.json. Its bot is taken where no token is given.",
)
@click.option("--check/--no-check", default=True, help="Try server, token and agent. Default: yes.")
@click.option("--ask-agent/--no-ask-agent", default=None, help="Have the agent answer a word at the end.")
@click.option("--service/--no-service", default=None, help="Run it as a service of this machine.")
@click.option(
    "--reload/--no-reload", default=None, help="With --add: have running bots take it up now. Default: yes."
)
def init(  # noqa: PLR0913  # its options
    *,
    config_file: Path,
    add: bool,
    yes: bool,
    check: bool,
    ask_agent: bool | None,
    service: bool | None,
    reload: bool | None,
    **given: Any,
) -> None:
    """Make a configuration that runs: asks for a bot and an agent, tries both, and writes octo.json.

    Tokens and keys go into files of their own beside it, which only this user can read. Nothing is written before the
    last answer. No bot is logged in, so that none that runs is disturbed.

    Exit codes: 0 written, 1 written, but something keeps the bot silent or is no service, 2 nothing was written.
    """
    setup_logging("CRITICAL")  # what goes wrong is said in words
    console = Console(asks=not yes)
    if not add and (problem := unwritable(config_file)):
        fail(NOT_TRIED, f"nothing was written: {problem}")
    if console.asks and not sys.stdin.isatty():
        give_up(_NO_TERMINAL)
    if service and add:
        raise click.UsageError(
            "--service: not with --add; the service that runs the other bots runs the new one"
        )
    try:
        make = _added if add else _made
        costs = make(console, config_file, given, check=check)
    except click.Abort:
        fail(NOT_TRIED, "", "ended: nothing was written")
    except OSError as error:
        give_up(f"{config_file} cannot be written: {error.strerror}")
    console.say("", f"✓ {config_file} is written; secrets are in {config_file.stem}.secrets")
    fine, serves, taken_up = True, False, False
    try:
        taken_up = add and offer_reload(console, config_file, reload)
        ask = costs and console.agrees(ask_agent, _ASK, default=True)
        fine = not check or look_at(config_file, ask_agent=ask)
        serves = fine and not add and offer_service(console, config_file, service)
        fine = fine and (serves or not service)
    except click.Abort:
        console.say("")
    console.say("", *_next(config_file, taken_up=taken_up, serves=serves))
    sys.exit(0 if fine else NOT_FINE)


def _made(console: Console, config_file: Path, given: dict[str, Any], *, check: bool) -> bool:
    """Write a new configuration; return whether a word of its agent may cost something. Raises `OSError`."""
    asked, agent = _given_bot(given), _given_agent(given)
    if console.asks:
        asked = replace(asked, openclaw=asked.openclaw or usual_file())
        console.say(
            f"{config_file} is written when everything is answered; Ctrl-C ends without a trace.",
            "",
            "THE BOT",
        )
    bot = chosen_bot(console, asked, check=check)
    if console.asks:
        console.say("", "THE AGENT")
    host = chosen_host(console, agent, config_file, check=check)
    token_file = secret_file(config_file, f"{bot.account}.token")
    content = configuration(config_file, _channel(bot, token_file, host), host.block)
    write_configuration(config_file, content, {token_file: bot.token, **host.secrets})
    return host.costs


def _channel(bot: Bot, token_file: str, host: Host) -> dict[str, Any]:
    """Return the block ``channels.octo``.

    It is laid over that of a gateway's file: there the bot may be off, since this program runs it, and others be on.
    """
    account: dict[str, Any] = {"botToken": {"source": "file", "id": token_file}}
    if (file := host.block.get("openclawConfig")) is None:
        return {"apiUrl": bot.api_url, "accounts": {bot.account: account}}
    there = bots_in(Path(file))
    name = next((each for each in there if each.lower() == bot.account.lower()), bot.account)
    others = {each: {"enabled": False} for each, on in there.items() if on and each != name}
    return {
        "enabled": True,
        "apiUrl": bot.api_url,
        "accounts": {name: {"enabled": True, **account}, **others},
    }


def _added(console: Console, config_file: Path, given: dict[str, Any], *, check: bool) -> bool:
    """Add a bot to a configuration; return false: its agent is not asked again. Raises `OSError`."""
    if any(
        given[name] for name in ("kind", "base_url", "model", "key_env", "key_file", "command", "openclaw")
    ):
        raise click.UsageError(
            "--add: the bots of a configuration share its agent; leave out the agent's options"
        )
    asked, found = _given_bot(given), existing(config_file)
    asked = replace(asked, likely_server=found.server)
    bot = chosen_bot(console, asked, check=check, taken=frozenset(found.accounts))
    add_bot(config_file, found, bot)
    return False


def _given_bot(given: dict[str, Any]) -> GivenBot:
    token = _secret("token", given["token_env"], given["token_file"])
    return GivenBot(server=given["server"], token=token, account=given["account"], openclaw=given["openclaw"])


def _given_agent(given: dict[str, Any]) -> GivenAgent:
    key = _secret("key", given["key_env"], given["key_file"])
    names = ("kind", "base_url", "model", "command", "openclaw")
    return GivenAgent(key=key, **{name: given[name] for name in names})


def _secret(what: str, variable: str | None, file: Path | None) -> SecretStr | None:
    """Return a secret from where options say that it is, ``None`` where none does; the program ends where it is not."""
    if variable and file:
        raise click.UsageError(f"name the {what} once: --{what}-env or --{what}-file")
    if variable:
        text = os.environ.get(variable, "").strip()
        return SecretStr(text) if text else give_up(f"the environment variable {variable} is not set")
    if file is None:
        return None
    try:
        text = (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        give_up(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")
    return SecretStr(text) if text else give_up(f"there is nothing in {file}")


def _next(config_file: Path, *, taken_up: bool, serves: bool) -> list[str]:
    """Return the lines on what to do now."""
    if serves:
        return ["The bot runs as a service: openclaw-octo service status"]
    lines = [] if taken_up else [f"Next: {with_files('run', config_file, None)}"]
    return [*lines, "Then mention the bot in a group it is in, or write to it."]
