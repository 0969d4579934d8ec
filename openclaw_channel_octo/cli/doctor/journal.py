"""What the journal knows: whether turns fail and why, who got no answer, and who waits to be let in."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from openclaw_channel_octo.cli.doctor.findings import Finding, error, fine, skipped, warning
from openclaw_channel_octo.cli.options import with_store
from openclaw_channel_octo.cli.output import age, journal_in
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.errors import OtherVersion, StoreError
from openclaw_channel_octo.policy.access import NOT_PAIRED
from openclaw_channel_octo.policy.gate import DecisionKind
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.states import RowState

__all__ = ["check_journal"]

LATEST = 20
"""Turns of a bot that are looked at, the newest first."""

DAY_MS = 24 * 3_600_000
SUBJECT = "journal"
_MEANT = frozenset({DecisionKind.TURN, DecisionKind.COMMAND})
_UNMEANT = frozenset({DecisionKind.CONTEXT, DecisionKind.REFUSED})


def check_journal(folder: Path, bots: Sequence[BotConfig] | None) -> Iterator[Finding]:
    """Yield what is found about the journal of a state folder.

    Args:
        folder: the folder.
        bots: those that work with it; ``None`` for all it knows.
    """
    file, reader = folder / "octo.sqlite", journal_in(folder)
    begun = _begun(file)
    if not begun:
        yield skipped(SUBJECT, "this user cannot reach it") if begun is None else fine(SUBJECT, "none yet")
        return
    try:
        names = reader.accounts() if bots is None else [bot.account_id for bot in bots]
        turns = [*_turns(reader, folder, names), *_unmeant(reader, names)]
        yield from [*turns, *_dead(reader, folder), *_pairings(reader, folder, bots)]
    except OtherVersion as problem:
        words = f"{file} was written by another version of this package"
        if problem.older:
            yield warning(SUBJECT, words, "the next start of the bots brings it up to date")
        else:
            yield error(SUBJECT, words, "install that version again; this one cannot work with the file")
    except StoreError as problem:
        advice = "stop the bots and move the file away; what it remembers is lost with it"
        if "locked" in str(problem):
            advice = (
                "end the program that holds it, such as a database browser or a backup: the bots wait as well"
            )
        yield error(SUBJECT, str(problem), advice)


def _begun(file: Path) -> bool | None:
    """Return whether a journal was begun, ``None`` where this user cannot tell or not use it."""
    try:
        size = file.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return None
    return None if size and not os.access(file, os.R_OK | os.W_OK) else bool(size)


def _turns(reader: JournalAdmin, folder: Path, names: Iterable[str]) -> Iterator[Finding]:
    """Yield for each bot whose latest turns failed why they did."""
    for name in names:
        latest = reader.latest_turns(name, LATEST)
        failed = list(takewhile(lambda row: row.state != RowState.ANSWERED, latest))
        if not failed:
            continue
        newest, count = failed[0], f"{len(failed)}{'' if len(failed) < LATEST else ' or more'}"
        when = age(newest.updated_at, SystemClock().wall_ms())
        last = "the last turn" if len(failed) == 1 else f"the last {count} turns"
        words = f"{last} gave no answer, the latest {when} ago: {newest.detail}"
        advice = f"put that right; {with_store(f'journal show {newest.message_id}', folder)} tells more"
        tell = error if len(failed) == len(latest) or len(failed) > 1 else warning
        yield tell(f"{name}: turns", words, advice)


def _unmeant(reader: JournalAdmin, names: Iterable[str]) -> Iterator[Finding]:
    """Yield for each bot that hears messages, and was meant by none of them, why it was not."""
    since_ms = SystemClock().wall_ms() - DAY_MS
    for name in names:
        heard = reader.verdicts(name, since_ms)
        unmeant = {
            (kind, reason): count
            for (kind, reason), count in heard.items()
            if kind in _UNMEANT and reason != NOT_PAIRED  # these are told of as people who wait
        }
        if not unmeant or any(kind in _MEANT for kind, _ in heard):
            continue
        why = ", ".join(f"{count} {kind} ({reason})" for (kind, reason), count in unmeant.items())
        advice = (
            "people mention it with @, unless requireMention is false; who may talk to it is set by dmPolicy, "
            "groupPolicy, groups and blockFrom"
        )
        yield warning(f"{name}: messages", f"none of the last day was for it: {why}", advice)


def _dead(reader: JournalAdmin, folder: Path) -> Iterator[Finding]:
    if dead := reader.counts().get(RowState.DEAD, 0):
        advice = f"{with_store('journal dead', folder)} tells why, and how to have them answered after all"
        yield warning(SUBJECT, f"messages without an answer or a notice: {dead}", advice)
    opened = [row for bot in reader.overview().values() if (row := bot.oldest_open)]
    if opened:
        oldest = min(opened, key=lambda row: row.received_at)
        since = age(oldest.received_at, SystemClock().wall_ms())
        yield fine(
            SUBJECT, f"oldest without an end: message {oldest.message_id}, {oldest.state}, came {since} ago"
        )
    elif not dead:
        yield fine(SUBJECT, "no message went without an end")


def _pairings(reader: JournalAdmin, folder: Path, bots: Sequence[BotConfig] | None) -> Iterator[Finding]:
    asked = [bot.account_id for bot in bots or () if bot.dm_policy == "pairing"]
    now_ms = SystemClock().wall_ms()
    known = [one for name in asked for one in reader.pairings(account=name, now_ms=now_ms)]
    if waiting := [one for one in known if one.code]:
        words = f"people who wait to be let in: {len(waiting)}"
        advice = f"{with_store('pairing list', folder)} shows them, and how one is let in"
        yield warning("pairing", words, advice)
