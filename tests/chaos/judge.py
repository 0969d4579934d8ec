"""Says from the chat whether every message got exactly one end, in order, and whether each stop was one."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.testing.octo.records import ChatLine
from tests.chaos.keyed import MARK

__all__ = ["DRAIN", "Conversation", "Stop", "Verdict", "answer", "judge"]

TEXTS = Texts()
NOTICES = (TEXTS.failed, TEXTS.timeout, TEXTS.empty, TEXTS.cut_off)
COUNTED = TEXTS.third_failure.partition("%d")[0]
ANNOUNCEMENT = TEXTS.restarting
AT_WORK = (TEXTS.working.partition("%s")[0], TEXTS.paused)
ANSWER = re.compile(r"answer to #(\d+)\b")
LAST_WORD = re.compile(r"end of #(\d+)\b")

DRAIN = "the drain begins"
"""What the launcher writes into the log at that moment, whatever the program does then."""
BEGUN = re.compile(r"turn started runId=(\S+)")
IN_ORDER = (0, 1)
"""Exit codes of a program that was asked to stop: everything came to its end, or turns were cut short."""


def answer(number: int) -> str:
    """Return what the agent answers to a message, for some of them in several pieces."""
    return " ".join(
        [f"answer to #{number}", *["and so on"] * (30 if number % 4 == 0 else 1), f"end of #{number}"]
    )


@dataclass(slots=True)
class Conversation:
    """One conversation as people saw it.

    Attributes:
        name: for the report.
        asked: numbers of the messages that address the bot, in the conversation's order.
        refused: how many messages addressed the bot that somebody wrote who may not; one notice stands for all of them.
        lines: what stands in the chat, oldest first.
        bot: the bot's uid.
        deaths: how many lines stood there at each death of the process.
        keyed: what was sent with keys, each message once.
    """

    name: str
    asked: list[int] = field(default_factory=list)
    refused: int = 0
    lines: Sequence[ChatLine] = ()
    bot: str = ""
    deaths: Collection[int] = ()
    keyed: Collection[str] = ()


@dataclass(slots=True)
class Stop:
    """A process that was asked to stop.

    Attributes:
        name: for the report.
        code: its exit code, ``None`` where it did not end in time.
        log: what it logged in its life.
    """

    name: str
    code: int | None
    log: str


@dataclass(slots=True)
class Verdict:
    """What was wrong, by kind; each entry names the conversation and the message, the stop, or the chunk."""

    silent: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Turns that began after the drain did."""
    unsettled: list[str] = field(default_factory=list)
    """Chunks of settled messages that are neither sent nor given up."""
    unstopped: list[str] = field(default_factory=list)
    """Stops that took too long or ended with a code of their own."""

    @property
    def fine(self) -> bool:
        """Whether nothing was wrong."""
        return not any(self._found().values())

    def __str__(self) -> str:
        return "\n".join(
            f"{len(found)} {name}: {'; '.join(found[:10])}" for name, found in self._found().items()
        )

    def _found(self) -> dict[str, list[str]]:
        return {kind.name: getattr(self, kind.name) for kind in fields(self)}


def judge(
    conversations: Sequence[Conversation], stops: Sequence[Stop] = (), unsettled: Sequence[str] = ()
) -> Verdict:
    """Return what was wrong.

    Args:
        conversations: what people saw.
        stops: the processes that were asked to stop.
        unsettled: chunks in the journal that should have come to an end.

    Notices do not name their message, but a lane is first in, first out: between the answers to two messages there
    must be exactly as many notices as there are unanswered messages between those two.
    """
    verdict = Verdict(unsettled=list(unsettled))
    for conversation in conversations:
        _Walk(conversation, verdict).walk()
    for stop in stops:
        if stop.code not in IN_ORDER:
            verdict.unstopped.append(f"{stop.name}: {'did not end' if stop.code is None else stop.code}")
        _, _, drained = stop.log.partition(DRAIN)
        verdict.late += [f"{stop.name}: run {run_id}" for run_id in BEGUN.findall(drained)]
    return verdict


class _Walk:
    """Goes through one conversation line by line."""

    def __init__(self, conversation: Conversation, verdict: Verdict) -> None:
        self._talk = conversation
        self._verdict = verdict
        self._next = 0
        self._notices = 0
        self._answered: set[int] = set()
        self._ended: set[int] = set()
        self._words: list[str] = []
        self._announced_at: int | None = None

    def walk(self) -> None:
        for position, line in enumerate(self._talk.lines):
            if line.from_uid == self._talk.bot:
                self._line(position, line.text)
        self._close(len(self._talk.asked), "the end")
        self._count_refusals()
        self._count_keyed()
        for number in sorted(self._answered - self._ended):
            self._verdict.silent.append(f"{self._talk.name}: the answer to #{number} stops midway")

    def _count_refusals(self) -> None:
        found = sum(
            line.from_uid == self._talk.bot and line.text == TEXTS.refused for line in self._talk.lines
        )
        problem = f"{self._talk.name}: {found} refusals for {self._talk.refused} messages"
        if found > 1:
            self._verdict.doubled.append(problem)
        elif self._talk.refused and not found:
            self._verdict.silent.append(problem)

    def _count_keyed(self) -> None:
        said = Counter(line.text for line in self._talk.lines if line.text.startswith(MARK))
        for text in {*said, *self._talk.keyed}:
            kind = self._verdict.twice if said[text] > 1 else self._verdict.silent
            if said[text] != (text in self._talk.keyed):
                kind.append(f"{self._talk.name}: {text[:20]} stands there {said[text]} times")

    def _line(self, position: int, text: str) -> None:
        if text in NOTICES or COUNTED in text:
            self._notices += 1
            self._announced_at = None
        elif text == ANNOUNCEMENT:
            self._announcement(position)
        elif text in {TEXTS.refused, TEXTS.worked} or text.startswith(MARK):
            return
        elif text.startswith(AT_WORK):
            self._verdict.silent.append(f"{self._talk.name}: somebody is at work at line {position} for ever")
            return
        elif match := ANSWER.match(text):
            self._answer(int(match[1]))
            self._announced_at = None
            self._words = []
        self._words += text.split()
        if match := LAST_WORD.search(text):
            self._end(int(match[1]))

    def _end(self, number: int) -> None:
        if number in self._ended:
            self._verdict.twice.append(f"{self._talk.name}: the end of #{number} twice")
        self._ended.add(number)
        whole = answer(number).split()
        if len(self._words) > len(whole):
            self._verdict.twice.append(f"{self._talk.name}: a piece of #{number}")
        elif self._words != whole:
            self._verdict.silent.append(f"{self._talk.name}: #{number} is not whole")

    def _announcement(self, position: int) -> None:
        """Two announcements with no end between them belong to two failed runs only if a process died between them."""
        since = self._announced_at
        if since is not None and not any(since < death <= position for death in self._talk.deaths):
            self._verdict.doubled.append(
                f"{self._talk.name}: announced at line {since} and again at {position}"
            )
        self._announced_at = position

    def _answer(self, number: int) -> None:
        if number in self._answered:
            self._verdict.twice.append(f"{self._talk.name}: #{number}")
            return
        self._answered.add(number)
        index = self._talk.asked.index(number)
        if index < self._next:
            self._verdict.disordered.append(f"{self._talk.name}: #{number} behind a later one")
            return
        self._close(index, f"#{number}")
        self._next = index + 1

    def _close(self, index: int, until: str) -> None:
        """Hold the notices since the last answer against the messages they have to stand for."""
        unanswered = self._talk.asked[self._next : index]
        if self._notices < len(unanswered):
            missing = ", ".join(f"#{number}" for number in unanswered)
            self._verdict.silent.append(
                f"{self._talk.name}: {self._notices} notices for {missing} before {until}"
            )
        elif self._notices > len(unanswered):
            self._verdict.doubled.append(
                f"{self._talk.name}: {self._notices} notices for {len(unanswered)} messages before {until}"
            )
        self._notices = 0
