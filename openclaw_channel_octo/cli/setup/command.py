"""`openclaw-octo init`: a configuration for a bot and its agent, asked for, tried and written."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail
from openclaw_channel_octo.cli.setup.agent import KINDS, GivenAgent, chosen_host
from openclaw_channel_octo.cli.setup.bot import GivenBot, chosen_bot
from openclaw_channel_octo.cli.setup.console import Console, give_up
from openclaw_channel_octo.cli.setup.files import configuration, secret_file, unwritable, write_configuration

__all__ = ["init"]

_FILE = click.Path(path_type=Path)


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
@click.option("--yes", is_flag=True, help="Ask nothing: options and defaults count.")
@click.option("--server", metavar="URL", help="The Octo server.")
@click.option("--token-env", metavar="NAME", help="Read the bot's token from this environment variable, now.")
@click.option(
    "--token-file", metavar="FILE", type=_FILE, help="Read it from this file, - for standard input."
)
@click.option("--account", metavar="ID", help="Name for the bot in logs and commands.")
@click.option(
    "--agent", "kind", type=click.Choice(list(KINDS)), help="What answers; without it and --yes, echo."
)
@click.option("--base-url", metavar="URL", help="endpoint: its address up to the version, such as …/v1.")
@click.option("--model", metavar="NAME", help="endpoint: the model.")
@click.option("--key-env", metavar="NAME", help="endpoint: read its API key from this variable, now.")
@click.option("--key-file", metavar="FILE", type=_FILE, help="endpoint: read it from this file.")
@click.option("--command", "command", metavar="LINE", help="program: the command line; no shell is used.")
@click.option("--openclaw", metavar="FILE", type=_FILE, help="gateway: its openclaw.json.")
@click.option(
    "--check/--no-check", default=True, help="Try server, token and agent before anything is written."
)
@click.option("--ask-agent/--no-ask-agent", default=None, help="Have the agent answer a word at the end.")
def init(
    *,
    config_file: Path,
    yes: bool,
    check: bool,
    ask_agent: bool | None,
    **given: Any,
) -> None:
    """Make a configuration that runs: asks for a bot and an agent, tries both, and writes octo.json.

    Tokens and keys go into files of their own beside it, which only this user can read. Nothing is written before the
    last answer; Ctrl-C leaves nothing behind. No bot is logged in, so that none that runs is disturbed.

    Exit codes: 0 written, 1 written, but doctor finds what keeps the bot silent, 2 nothing was written.
    """
    console = Console(asks=not yes)
    if problem := unwritable(config_file):
        fail(NOT_TRIED, f"{problem}: name another with --config FILE")
    if console.asks and not sys.stdin.isatty():
        give_up(
            "there is no terminal to ask on: pass --yes, --server URL, and --token-env NAME or --token-file FILE"
        )
    try:
        _write(console, config_file, given, check=check)
    except click.Abort:
        fail(NOT_TRIED, "\nended: nothing was written")
    _finish(console, config_file, check=check, ask_agent=ask_agent)


def _write(console: Console, config_file: Path, given: dict[str, Any], *, check: bool) -> None:
    token = _secret("token", given["token_env"], given["token_file"])
    key = _secret("key", given["key_env"], given["key_file"])
    agent = GivenAgent(
        kind=given["kind"],
        base_url=given["base_url"],
        model=given["model"],
        key=key,
        command=given["command"],
        openclaw=given["openclaw"],
    )
    asked = GivenBot(server=given["server"], token=token, account=given["account"])
    if console.asks:
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
    try:
        reference = {"source": "file", "id": token_file}
        content = configuration(config_file, bot.api_url, {bot.account: reference}, host.block)
        write_configuration(config_file, content, {token_file: bot.token, **host.secrets})
    except OSError as error:
        give_up(f"{config_file} cannot be written: {error.strerror}")


def _secret(what: str, variable: str | None, file: Path | None) -> SecretStr | None:
    """Return a secret from where options say that it is, ``None`` where none does; end the program where it is not."""
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


def _finish(console: Console, config_file: Path, *, check: bool, ask_agent: bool | None) -> None:
    """Have the doctor look at what was written, and name the next command."""
    console.say("", f"✓ {config_file} is written, secrets in {config_file.stem}.secrets/", "")
    fine = True
    if check:
        ask = console.agrees(ask_agent, "Ask the agent for a word now? It may cost something", default=True)
        fine = (
            _run("doctor", "--config", str(config_file), "--no-register", *(["--ask-agent"] if ask else []))
            < NOT_TRIED
        )
    config = shlex.quote(str(config_file))
    console.say("", f"Next: openclaw-octo run --config {config}")
    sys.exit(0 if fine else NOT_FINE)


def _run(*words: str) -> int:
    """Carry out another command of this program; return its exit code."""
    from openclaw_channel_octo.cli.app import main  # noqa: PLC0415  # which loads this module

    try:
        main.main(words, prog_name="openclaw-octo", standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
