"""Log lines people grep for: one prefix, one trace id a message, and no secret in any of them (design §9)."""

import json
import logging
import re
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

__all__ = [
    "BotLog",
    "JsonLines",
    "Redaction",
    "Secrets",
    "TextLines",
    "on_one_line",
    "redacted",
    "setup_logging",
    "trace_scope",
]

_PACKAGE = "openclaw_channel_octo"
_COVERED = (_PACKAGE, "asyncio", "aiohttp", "mcp", "websockets")
"""Top loggers of what speaks for a bot: this package, and the libraries that carry its tokens."""

_trace: ContextVar[str] = ContextVar("octo_trace", default="")

_TOKEN = re.compile(r"(?:bf|app|uk)_[A-Za-z0-9]{16,}|\b(?:bf|app|uk)_[A-Za-z0-9]{8,}|(?<=Bearer )\S+")
_HIDDEN = "[hidden]"
_FIELDS = ("octo_account", "octo_trace")
_MARGIN = "    "
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""What ends a line, steers a terminal, turns the direction of text, or cannot be written at all."""


def on_one_line(text: str) -> str:
    r"""Return a text with an escape such as ``\x1b`` for every control character, line end and sign of direction."""
    if text.isascii() and text.isprintable():  # most lines are: ten times as fast
        return text
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@contextmanager
def trace_scope(trace: str) -> Iterator[None]:
    """Give every `BotLog` line written inside, by this task and those it starts, the message's trace id."""
    reset = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(reset)


class BotLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that writes ``[octo] [<account>]`` before and the trace id behind each line.

    Args:
        logger: where the lines go.
        account: the bot they are about.
    """

    def __init__(self, logger: logging.Logger, account: str) -> None:
        super().__init__(logger, {})
        self.account = account

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """Return the line with prefix and trace id, and the same as fields for structured handlers."""
        trace = _trace.get()
        kwargs["extra"] = {**kwargs.get("extra", {}), "octo_account": self.account, "octo_trace": trace}
        suffix = f" trace={trace}" if trace else ""
        return f"[octo] [{self.account}] {msg}{suffix}", kwargs


class Secrets:
    """What must never be written down: values that are known, and whatever looks like a token or a bearer header.

    Args:
        secrets: known values; short ones are ignored, they would blank ordinary words.
    """

    _SHORTEST = 6

    def __init__(self, *secrets: SecretStr) -> None:
        values = {secret.get_secret_value() for secret in secrets}
        self._values = sorted(
            (value for value in values if len(value) >= self._SHORTEST), key=len, reverse=True
        )

    def hidden(self, text: str, mark: str = _HIDDEN) -> str:
        """Return ``text`` with ``mark`` in place of every secret."""
        for value in self._values:
            text = text.replace(value, mark)
        # beginnings of all that the expression finds: to look for them takes a fiftieth of its time
        begins = "Bearer " in text or ("_" in text and ("bf_" in text or "app_" in text or "uk_" in text))
        return _TOKEN.sub(mark, text) if begins else text


class Redaction(logging.Filter):
    """Replaces bot tokens, bearer headers and the secrets it is given in every record that passes.

    Args:
        secrets: values that must never appear; see `Secrets`.
    """

    def __init__(self, *secrets: SecretStr) -> None:
        super().__init__()
        self._secrets = Secrets(*secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text, its traceback included; always lets it pass.

        The text comes out on one line (`on_one_line`). An error that holds a secret is left to the record as text
        only, because handlers may show the error itself.
        """
        record.msg = on_one_line(self._secrets.hidden(_message(record)))
        record.args = ()
        for name in _FIELDS:
            if value := getattr(record, name, ""):
                setattr(record, name, self._secrets.hidden(str(value)))
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            clean = self._secrets.hidden(record.exc_text)
            record.exc_info = record.exc_info if clean == record.exc_text else None
            record.exc_text = clean
        if record.stack_info:
            record.stack_info = self._secrets.hidden(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # logging itself would print text and arguments as they are
        return f"{record.msg} {record.args}"


_active: list[Redaction] = []


class _CleaningFactory:
    """Makes records as ``make`` does, those of a bot cleaned while `redacted` is in force."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self.make = make

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.make(name, *args, **kwargs)
        if name.partition(".")[0] in _COVERED:
            for redaction in tuple(_active):
                redaction.filter(record)
        return record


@contextmanager
def redacted(*secrets: SecretStr) -> Iterator[None]:
    """Clean what this package and its libraries log, tracebacks included, before any handler of the host sees it.

    It holds for loggers made before and after, whatever handlers and levels they have: records are cleaned where
    they are made. Scopes may overlap and end in any order.

    Args:
        secrets: values to hide besides what looks like a token.
    """
    redaction = Redaction(*secrets)
    _active.append(redaction)
    if not isinstance(factory := logging.getLogRecordFactory(), _CleaningFactory):
        logging.setLogRecordFactory(_CleaningFactory(factory))
    try:
        yield
    finally:
        _active.remove(redaction)
        if not _active and isinstance(factory := logging.getLogRecordFactory(), _CleaningFactory):
            logging.setLogRecordFactory(factory.make)


class TextLines(logging.Formatter):
    """Writes a record as one line of text; a traceback follows, every line of it set in."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line of a record whose text was formatted."""
        return on_one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line and its traceback."""
        first, *more = super().format(record).split("\n")
        return "\n".join([first, *(f"{_MARGIN}{on_one_line(line)}" for line in more)])


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, account, trace, message, exception if there is one.

    Account and trace are empty for lines that are about no bot, or no message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; prefix and trace id of the text form are fields of their own here."""
        account, trace = (on_one_line(getattr(record, f"octo_{name}", "")) for name in ("account", "trace"))
        message = on_one_line(record.getMessage())
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": on_one_line(record.name),
            "account": account,
            "trace": trace,
            "message": message.removeprefix(f"[octo] [{account}] ").removesuffix(f" trace={trace}"),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = "\n".join(map(on_one_line, record.exc_text.split("\n")))
        return json.dumps(line, ensure_ascii=False)


def setup_logging(level: str, *secrets: SecretStr, as_json: bool = False) -> None:
    """Send log lines to standard error: this package's, and what its libraries complain about.

    For programs, not for hosts that configure logging.

    Args:
        level: lowest level shown, such as ``INFO``.
        secrets: values to hide wherever they appear.
        as_json: one JSON object a line (`JsonLines`) instead of text.
    """
    # what no line of ours shows is not looked up for each (Python's logging HOWTO, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001  # the name that the HOWTO gives
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else TextLines())
    handler.addFilter(Redaction(*secrets))
    for name in _COVERED:
        root = logging.getLogger(name)
        root.handlers[:] = [handler]
        root.propagate = False
    logging.getLogger(_PACKAGE).setLevel(level)
