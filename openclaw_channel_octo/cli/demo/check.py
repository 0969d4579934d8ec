"""What the demo claims, checked against what really was said."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

__all__ = ["Heard", "Question", "check"]


class Question(Struct, frozen=True):
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


def check(heard: Heard) -> dict[str, list[str]]:
    """Return every claim of the demo in words, each with a line for all that contradicts it."""
    missing = [each for each in heard.asked if each.answer not in heard.lines.get(each.place, ())]
    answered = len(heard.asked) - len(missing)
    return {
        f"without the guard: {len(heard.unguarded)} messages after the failure, 0 answers": [
            f"the bot said: {line}" for line in heard.unguarded_lines
        ],
        f"with the guard: {len(heard.asked)} messages, {answered} answers": [
            f"UNANSWERED: {each.who} in the {each.place}: {each.text}" for each in missing
        ],
        f"one announcement, before the first answer, none in the {heard.direct}": list(
            _announcement_faults(heard)
        ),
        "answers in the order of the questions, none twice": list(_order_faults(heard)),
        f"all {len(heard.statuses)} sessions done": [
            f"{place}: {status}" for place, status in heard.statuses.items() if status != "done"
        ],
    }


def _announcement_faults(heard: Heard) -> Iterator[str]:
    times = sum(line == heard.announcement for lines in heard.lines.values() for line in lines)
    if times != 1:
        yield f"it was announced {times} times"
    if heard.announcement in heard.lines.get(heard.direct, ()):
        yield f"it was announced in the {heard.direct}"
    recovered = heard.asked[0].place
    if list(heard.lines.get(recovered, ()))[:1] != [heard.announcement]:
        yield f"the first thing said in the {recovered} was something else"


def _order_faults(heard: Heard) -> Iterator[str]:
    for place, lines in heard.lines.items():
        expected = [each.answer for each in heard.asked if each.place == place and each.answer in lines]
        said = [line for line in lines if line != heard.announcement]
        if said != expected:
            yield f"in the {place} the bot said: {' | '.join(said)}"
