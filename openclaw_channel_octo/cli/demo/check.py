"""What the demo claims, checked against what really was said."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

__all__ = ["Claim", "Heard", "Question", "check"]


class Question(Struct, frozen=True, kw_only=True):
    """A message to the bot, and what its agent has to say to it.

    Attributes:
        place: the conversation, in words: ``group``, ``direct chat``, ``thread``.
        who: the sender's name.
        text: the message.
        answer: the agent's answer, different for each question.
    """

    place: str
    who: str
    text: str
    answer: str


class Heard(Struct, frozen=True, kw_only=True):
    """Everything the claims are about.

    Attributes:
        unguarded: messages to the bot after its session had failed, the guard switched off.
        unguarded_lines: what the bot said from then on until it was stopped.
        asked: messages to the bot with the guard on, in the order they were sent.
        lines: what the bot said with the guard on, by place, oldest first.
        statuses: the sessions' status at the end, by place.
        announcement: the words that tell of a restart.
        direct: the place in which no restart is told of.
    """

    unguarded: Sequence[Question]
    unguarded_lines: Sequence[str]
    asked: Sequence[Question]
    lines: Mapping[str, Sequence[str]]
    statuses: Mapping[str, str]
    announcement: str
    direct: str


class Claim(Struct, frozen=True):
    """One thing the demo claims.

    Attributes:
        text: the claim, in words.
        holds: whether it is true.
        details: what contradicts it, a line each.
    """

    text: str
    holds: bool
    details: tuple[str, ...] = ()


def check(heard: Heard) -> list[Claim]:
    """Return every claim of the demo, each held against what was heard."""
    return [
        _silence_without_guard(heard),
        _all_answered(heard),
        _announced_once(heard),
        _order_kept(heard),
        _sessions_done(heard),
    ]


def _silence_without_guard(heard: Heard) -> Claim:
    return Claim(
        f"without the guard: {len(heard.unguarded)} messages after the failure, 0 answers",
        not heard.unguarded_lines,
        tuple(f"the bot said: {line}" for line in heard.unguarded_lines),
    )


def _all_answered(heard: Heard) -> Claim:
    missing = [each for each in heard.asked if each.answer not in heard.lines.get(each.place, ())]
    answered = len(heard.asked) - len(missing)
    return Claim(
        f"with the guard: {len(heard.asked)} messages, {answered} answers",
        not missing,
        tuple(f"UNANSWERED: {each.who} in the {each.place}: {each.text}" for each in missing),
    )


def _announced_once(heard: Heard) -> Claim:
    wrong = tuple(_announcement_faults(heard))
    return Claim(f"one announcement, before the first answer, none in the {heard.direct}", not wrong, wrong)


def _announcement_faults(heard: Heard) -> Iterator[str]:
    times = sum(line == heard.announcement for lines in heard.lines.values() for line in lines)
    if times != 1:
        yield f"it was announced {times} times"
    if heard.announcement in heard.lines.get(heard.direct, ()):
        yield f"it was announced in the {heard.direct}"
    recovered = heard.asked[0].place
    if list(heard.lines.get(recovered, ()))[:1] != [heard.announcement]:
        yield f"the first thing said in the {recovered} was something else"


def _order_kept(heard: Heard) -> Claim:
    wrong: list[str] = []
    for place, lines in heard.lines.items():
        expected = [each.answer for each in heard.asked if each.place == place and each.answer in lines]
        said = [line for line in lines if line != heard.announcement]
        if said != expected:
            wrong.append(f"in the {place} the bot said: {' | '.join(said)}")
    return Claim("answers in the order of the questions, none twice", not wrong, tuple(wrong))


def _sessions_done(heard: Heard) -> Claim:
    wrong = [f"{place}: {status}" for place, status in heard.statuses.items() if status != "done"]
    return Claim(f"all {len(heard.statuses)} sessions done", not wrong, tuple(wrong))
