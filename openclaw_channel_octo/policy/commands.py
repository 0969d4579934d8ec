"""What people may tell the channel itself instead of asking the agent, who may, and the forms it is written in."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from openclaw_channel_octo.ids import split_space
from openclaw_channel_octo.policy.access import ANYONE
from openclaw_channel_octo.policy.verdicts import DENY, VERDICTS, Verdict

__all__ = [
    "ALIASES",
    "APPROVE",
    "COMMANDS",
    "DECISIONS",
    "REFUSE",
    "STOP_WORD",
    "STOP_WORDS",
    "Commanders",
    "argument_in",
    "command_in",
    "names_another",
    "plain_words",
    "verdict_in",
]

APPROVE = "/approve"
"""The command that decides what an agent has asked leave for."""
REFUSE = "/deny"
"""The command that denies it."""
DECISIONS = frozenset({APPROVE, REFUSE})
"""The commands that decide, and are none without the words of a decision behind them."""

ALIASES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("/help", "/帮助", "/幫助"), "/help")
    | dict.fromkeys(("/status", "/状态", "/狀態"), "/status")
    | dict.fromkeys(("/reset", "/new", "/重置", "/新对话", "/新對話", "/新会话"), "/reset")
    | dict.fromkeys(("/stop", "/abort", "/cancel", "/停止", "/取消", "/中止"), "/stop")
    | dict.fromkeys(("/whoami", "/我是谁", "/我是誰"), "/whoami")
    | dict.fromkeys((APPROVE, "/批准"), APPROVE)
    | dict.fromkeys((REFUSE, "/拒绝", "/拒絕"), REFUSE)
)
"""The command of each word that is one, in lower case."""

COMMANDS = frozenset(ALIASES.values()) - DECISIONS
"""Commands of every bot that are one word; what follows it does not count."""

STOP_WORD = "stop"
"""Stands for a message that is ``/stop`` while a turn runs, and an ordinary one else: it is one of `STOP_WORDS`."""

STOP_WORDS = frozenset(
    {
        *("stop", "abort", "cancel", "esc", "exit", "halt", "interrupt"),
        *(
            "please stop",
            "stop please",
            "openclaw stop",
            "stop openclaw",
            "stop action",
            "stop current action",
        ),
        *("stop run", "stop current run", "stop agent", "stop the agent", "stop doing anything"),
        *("stop don't do anything", "stop dont do anything", "stop do not do anything", "do not do that"),
        *("停", "停止", "停下", "停一下", "请停止", "取消", "中止", "终止", "終止", "中断", "中斷", "打断"),
        *("やめて", "止めて", "стоп", "остановись", "останови", "остановить", "прекрати"),
        *(
            "anhalten",
            "aufhören",
            "hoer auf",
            "hör auf",
            "stopp",
            "arrete",
            "arrête",
            "abandonner",
            "interrompre",
        ),
        *(
            "detente",
            "deten",
            "detén",
            "detenlo",
            "para",
            "pare",
            "alto",
            "basta",
            "corta",
            "cancela",
            "abortar",
        ),
        *("no sigas", "no hagas nada", "no hagas eso", "no lo hagas", "deja eso"),
        *("रुको", "रुकिए", "बंद करो", "खत्म करो", "निरस्त करें", "बाहर निकलें", "توقف", "قف", "إلغاء", "خروج"),
    }
)
"""Words that stop a turn without a slash, as OpenClaw hosts take them (its "chat commands and stopping" page); newer
releases no longer count "wait". Lower case."""

LONGEST = 500
"""Characters of a message that are looked at; a longer one is no stop word and no approval."""

NO_OTHERS: Mapping[str, str] = MappingProxyType({})
"""No commands beside our own."""

_MOST_ARGUMENTS = 2
_PICTURE_SIGN = "\ufe0f"
"""Behind a sign that is shown as a picture."""


class Commanders(Struct, frozen=True):
    """Who may stop and reset where others take part, or decide what agents ask leave for.

    Attributes:
        owner_uid: whose bot it is, empty when unknown.
        listed: people they have named.
    """

    owner_uid: str
    listed: frozenset[str] = frozenset()

    def include(self, uid: str) -> bool:
        """Return whether somebody may; their uid may carry a space prefix."""
        bare = split_space(uid)[1]
        return bool(bare) and (bare == self.owner_uid or ANYONE in self.listed or bare in self.listed)


def command_in(
    text: str, *, direct: bool, names: Iterable[str] = (), others: Mapping[str, str] = NO_OTHERS
) -> str:
    """Return the command a text is, `STOP_WORD` for a stop word, empty for an ordinary message.

    Case, full-width letters and signs, and punctuation around a word do not count; ``/stop@Name`` is a command of the
    bot of that name.

    Args:
        text: what was said, without the mentions of the bot around it.
        direct: whether it was said in a direct conversation: only there ``approve`` needs no slash, and a command
            with any name behind it is the bot's.
        names: what the bot is called behind a command.
        others: commands beside our own, such as those of the agent host, by each word for them in lower case.
    """
    said = _words(text)
    command, arguments = _command(said, direct=direct, names=names, others=others)
    whole = len(text) <= LONGEST
    if command in DECISIONS:
        return command if whole and _verdict(command, arguments) else ""
    return command or (STOP_WORD if whole and " ".join(said) in _STOP_WORDS else "")


def argument_in(text: str, *, direct: bool, names: Iterable[str] = ()) -> str:
    """Return what stands behind the command a text begins with, in the spelling of `plain_words`; see `command_in`."""
    return " ".join(_read(_words(text), names, anybody=direct)[1])


def plain_words(text: str) -> str:
    """Return a text as arguments of commands are compared: lower case, half-width, no punctuation around its words."""
    return " ".join(_words(text))


def verdict_in(text: str, *, direct: bool, names: Iterable[str] = ()) -> Verdict | None:
    """Return what a text decides that is one of `DECISIONS`, ``None`` for every other; see `command_in`."""
    return _verdict(*_command(_words(text), direct=direct, names=names))


def _command(
    said: Sequence[str], *, direct: bool, names: Iterable[str], others: Mapping[str, str] = NO_OTHERS
) -> tuple[str, Sequence[str]]:
    """Return the command that words begin with, empty for none, and the words behind it."""
    first, arguments = _read(said, names, anybody=direct)
    approves = direct and ALIASES.get(f"/{first}") == APPROVE
    return ALIASES.get(first) or others.get(first) or (APPROVE if approves else ""), arguments


def _verdict(command: str, arguments: Sequence[str]) -> Verdict | None:
    """Return what is decided by a command with its arguments: ``/approve [id] word`` or ``/deny [id]``."""
    if command == REFUSE and len(arguments) < _MOST_ARGUMENTS:
        return Verdict("".join(arguments), DENY)
    if command == APPROVE and 0 < len(arguments) <= _MOST_ARGUMENTS and arguments[-1] in VERDICTS:
        return Verdict("".join(arguments[:-1]), VERDICTS[arguments[-1]])
    return None


def names_another(text: str, names: Iterable[str], others: Mapping[str, str] = NO_OTHERS) -> bool:
    """Return whether a text is a command with another name behind it, such as ``/stop@Other``; see `command_in`."""
    said = _words(text)
    first = _read(said, (), anybody=True)[0]
    return (first in ALIASES or first in others) and not _read(said, names, anybody=False)[0]


def _read(said: Sequence[str], names: Iterable[str], *, anybody: bool) -> tuple[str, Sequence[str]]:
    """Return the first word and those behind it, without the bot's name in ``word@name``.

    With another name behind it the word is empty, unless it may be ``anybody``'s.
    """
    first, at, _ = (said[0] if said else "").partition("@")
    if not at:
        return first, said[1:]
    behind = " ".join(said)[len(first) + 1 :]
    for name in filter(None, (" ".join(_words(name)) for name in names)):
        if behind == name or behind.startswith(f"{name} "):
            return first, behind[len(name) :].split()
    return (first if anybody else ""), said[1:]


def _words(text: str) -> list[str]:
    """Return the words of the beginning of a text in one spelling, without the signs around each."""
    return [word for word in map(_plain, text[:LONGEST].split()) if word]


def _plain(word: str) -> str:
    plain = unicodedata.normalize("NFKC", word).casefold().replace("’", "'")
    start, end = 0, len(plain)
    while start < end and _is_around(plain[start]):
        start += 1
    while start < end and _is_around(plain[end - 1]):
        end -= 1
    return plain[start:end]


def _is_around(sign: str) -> bool:
    """Return whether a sign around a word is no part of it: punctuation, pictures and what shows nothing."""
    return sign not in "/@" and (sign == _PICTURE_SIGN or unicodedata.category(sign)[0] in "PSZC")


_STOP_WORDS = frozenset(" ".join(_words(words)) for words in STOP_WORDS)
