"""`openclaw-octo pairing`: letting people in to a bot's direct messages."""

import asyncio
import json
import sys
from pathlib import Path

import click
from msgspec import to_builtins

from openclaw_channel_octo.cli.options import ACCOUNT_OPTION, JSON_LINES_OPTION, STORE_OPTION, with_store
from openclaw_channel_octo.cli.output import NOT_FINE, StoreGroup, age, journal_in, plain
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.control.client import ask
from openclaw_channel_octo.errors import ControlError, NotRunning
from openclaw_channel_octo.ids import split_space
from openclaw_channel_octo.store.pairing import MOST_MISSES, Approval, Verdict

__all__ = ["pairing"]

SLOW_S = 5.0
"""Seconds a code takes once `MOST_MISSES` wrong ones were tried within an hour: guessing is hopeless, typing is not."""

_UNKNOWN = (
    "nobody waits with this code: it is mistyped, used, or older than an hour. "
    "Whoever asked gets a fresh one by writing to the bot again, once the hour is over."
)


@click.group(cls=StoreGroup)
def pairing() -> None:
    """Let people write to a bot that has dmPolicy "pairing"; works while the bots run.

    Somebody the bot does not know gets a code for their owner, good for an hour. Whoever is let in may write to the bot
    directly, and nothing else: groups go by groupPolicy.
    """


@pairing.command("list")
@STORE_OPTION
@ACCOUNT_OPTION
@JSON_LINES_OPTION
def list_people(store: Path, account: str, as_json: bool) -> None:
    """Show who waits, and who was let in."""
    now_ms = SystemClock().wall_ms()
    found = journal_in(store).pairings(account=account.lower(), now_ms=now_ms)
    for one in found:
        code = f"  code {one.code}" if one.code else ""
        line = f"{age(one.since, now_ms):>7}  {one.state:<8}  {one.account:<12.12}  {plain(one.uid)}{code}"
        click.echo(json.dumps(to_builtins(one)) if as_json else line)
    if not found and not as_json:
        click.echo("Nobody waits, and nobody was let in.")
    elif waiting := [one for one in found if one.code and not as_json]:
        click.echo(f"To let one in: {with_store(f'pairing approve {waiting[0].code}', store)}")


@pairing.command()
@click.argument("code")
@STORE_OPTION
@ACCOUNT_OPTION
@JSON_LINES_OPTION
def approve(code: str, store: Path, account: str, as_json: bool) -> None:
    """Let in the person with this CODE, from their next message on; a running bot tells them.

    Exit code 1 when there is none. After ten wrong codes within an hour each takes five seconds.
    """
    clock = SystemClock()
    reader = journal_in(store)
    if reader.wrong_codes(clock.wall_ms()) >= MOST_MISSES:
        click.echo(f"{MOST_MISSES} wrong codes within the last hour: this takes {SLOW_S:.0f} s.", err=True)
        asyncio.run(clock.sleep(SLOW_S))
    found = reader.approve(code, account=account.lower(), now_ms=clock.wall_ms())
    approved = found.verdict is Verdict.APPROVED
    untold = _tell(store, found) if approved else ""
    if as_json:
        answer = {"verdict": found.verdict, "account": found.account, "uid": found.uid}
        click.echo(json.dumps(answer | {"told": approved and not untold}))
    elif approved:
        told = f"could not be told ({untold})" if untold else "was told so"
        click.echo(f"{plain(found.uid)} may now write to {found.account}, and {told}")
    else:
        click.echo(_UNKNOWN, err=True)
    sys.exit(0 if approved else NOT_FINE)


@pairing.command()
@click.argument("uid")
@STORE_OPTION
@ACCOUNT_OPTION
@JSON_LINES_OPTION
def revoke(uid: str, store: Path, account: str, as_json: bool) -> None:
    """Let the person UID no longer write to the bots. Exit code 1 when they never could."""
    accounts = journal_in(store).revoke(split_space(uid)[1], account=account.lower())
    if as_json:
        click.echo(json.dumps({"uid": uid, "accounts": accounts}))
    elif accounts:
        click.echo(f"{plain(uid)} may no longer write to {', '.join(accounts)}")
    else:
        told = with_store("pairing list", store)
        click.echo(f"{plain(uid)} was not let in by a code; {told} shows who was", err=True)
    sys.exit(0 if accounts else NOT_FINE)


def _tell(store: Path, found: Approval) -> str:
    """Have the bot tell somebody that they were let in; return why it could not, empty when it has."""
    try:
        ask(store, "pairing.tell", {"account": found.account, "uid": found.uid})
    except NotRunning:
        return "the bot does not run"
    except ControlError as error:
        return str(error)
    return ""
