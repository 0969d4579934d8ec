"""What `init` asks and says: on a terminal of a person, or for scripts that answer with options."""

from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit

import click
from msgspec import Struct
from pydantic import SecretStr, TypeAdapter

from openclaw_channel_octo.cli.output import NOT_TRIED, fail, plain
from openclaw_channel_octo.config.base import HttpBase

__all__ = ["Console", "Unusable", "give_up", "http_address", "one_word"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Unusable(Exception):  # no error of ours: somebody's answer does not work
    """An answer does not work; the message says why, without a secret.

    Attributes:
        about_secret: whether the token or key is to blame, and the address is right.
    """

    def __init__(self, text: str, *, about_secret: bool = False) -> None:
        super().__init__(text)
        self.about_secret = about_secret


def http_address(text: str, example: str) -> str:
    """Return an address without a trailing slash; without a scheme it is ``https``, on this machine ``http``.

    Args:
        text: what somebody typed.
        example: a right one, for the message.

    Raises:
        Unusable: that is no address.
    """
    text = text.strip()
    try:
        if "://" not in text:
            local = (urlsplit(f"//{text}").hostname or "") in _LOCAL
            text = f"http://{text}" if local else f"https://{text}"
        address: str = TypeAdapter(HttpBase).validate_python(text)
    except ValueError:  # pydantic's own is one
        raise Unusable(f"an address is like {example}, without user, query or fragment") from None
    return address


def one_word(secret: SecretStr) -> SecretStr:
    """Return a token or key if it can travel in a header, as the configuration wants it; else raise `Unusable`."""
    text = secret.get_secret_value()
    if not text or " " in text or not (text.isascii() and text.isprintable()):
        raise Unusable("a token or key is one word of printable ASCII", about_secret=True)
    return secret


class Console(Struct, frozen=True):
    """Asks for what no option said.

    Attributes:
        asks: whether there is somebody to ask; else defaults count, and what has none ends the program.
    """

    asks: bool

    def text(self, given: str | None, label: str, option: str, default: str | None = None) -> str:
        """Return a line of text.

        Args:
            given: what an option said; it is not asked for then.
            label: the question.
            option: the option that answers it.
            default: what an empty answer means, ``None`` where there has to be one.
        """
        if given is not None:
            return given
        if self.asks:
            answer: str = click.prompt(label, default=default)
            return answer.strip()
        if default is None:
            give_up(f"pass {option}")
        return default

    def secret(self, label: str, *, empty: str | None = None) -> str:
        """Return what somebody types unseen; ``empty`` is what no input means, ``None`` where there has to be some."""
        answer: str = click.prompt(label, default=empty, hide_input=True, show_default=False)
        return answer.strip()

    def choice(self, label: str, names: Sequence[tuple[str, str]], default: int = 0) -> int:
        """Return the place of what somebody chooses by its number.

        Args:
            label: the question.
            names: what there is: a name, and a word on it.
            default: the place that an empty answer means.
        """
        width = max(len(name) for name, _ in names)
        for number, (name, word) in enumerate(names, 1):
            self.say(f"  {number:>2}  {name:<{width}}  {word}".rstrip())
        chosen: int = click.prompt(label, default=default + 1, type=click.IntRange(1, len(names)))
        return chosen - 1

    def agrees(self, given: bool | None, label: str, *, default: bool) -> bool:
        """Return yes or no: what an option said, else the answer to a question; for scripts without one no."""
        if given is not None:
            return given
        return self.asks and click.confirm(label, default=default)

    def refuse(self, problem: str) -> None:
        """Tell what is wrong with an answer, so that it is asked for again; for scripts this is the end."""
        if not self.asks:
            give_up(problem)
        self.say(f"✗ {problem}")

    def say(self, *lines: str) -> None:
        """Print lines; nothing in them is a command to the terminal."""
        for line in lines:
            click.echo(plain(line))


def give_up(reason: str) -> NoReturn:
    """End the program, before anything was written."""
    fail(NOT_TRIED, plain(f"nothing was written: {reason}"))
