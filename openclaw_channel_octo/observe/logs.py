"""Log lines people grep for: one prefix, one trace id a message, and no secret in any of them (design §9)."""

import json
import logging
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

__all__ = ["BotLog", "JsonLines", "Redaction", "Secrets", "redacted", "setup_logging", "trace_scope"]

_PACKAGE = "openclaw_channel_octo"

_trace: ContextVar[str] = ContextVar("octo_trace", default="")

_TOKEN = re.compile(r"(?:bf|app|uk)_[A-Za-z0-9]{16,}|\b(?:bf|app|uk)_[A-Za-z0-9]{8,}|(?<=Bearer )\S+")
_HIDDEN = "[hidden]"


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
        return _TOKEN.sub(mark, text)


class Redaction(logging.Filter):
    """Replaces bot tokens, bearer headers and the secrets it is given in every record that passes.

    Args:
        secrets: values that must never appear; see `Secrets`.
    """

    def __init__(self, *secrets: SecretStr) -> None:
        super().__init__()
        self._secrets = Secrets(*secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text, its traceback included; always lets it pass."""
        record.msg = self._secrets.hidden(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._secrets.hidden(record.exc_text)
        return True


@contextmanager
def redacted(*secrets: SecretStr) -> Iterator[None]:
    """Clean what this package logs, its tracebacks included, before any handler of the host sees it.

    Args:
        secrets: values to hide besides what looks like a token.
    """
    names = [name for name in logging.root.manager.loggerDict if name.startswith(f"{_PACKAGE}.")]
    loggers = [logging.getLogger(name) for name in names]
    redaction = Redaction(*secrets)
    for logger in loggers:
        logger.addFilter(redaction)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redaction)


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, account, trace, message, exception if there is one.

    Account and trace are empty for lines that are about no bot, or no message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; prefix and trace id of the text form are fields of their own here."""
        account, trace = getattr(record, "octo_account", ""), getattr(record, "octo_trace", "")
        message = record.getMessage().removeprefix(f"[octo] [{account}] ").removesuffix(f" trace={trace}")
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "account": account,
            "trace": trace,
            "message": message,
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False)


def setup_logging(level: str, *secrets: SecretStr, as_json: bool = False) -> None:
    """Send log lines to standard error: this package's, and what the event loop and the HTTP library complain about.

    For programs, not for hosts that configure logging.

    Args:
        level: lowest level shown, such as ``INFO``.
        secrets: values to hide wherever they appear.
        as_json: one JSON object a line (`JsonLines`) instead of text.
    """
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(JsonLines() if as_json else text)
    handler.addFilter(Redaction(*secrets))
    for name in (_PACKAGE, "asyncio", "aiohttp"):
        root = logging.getLogger(name)
        root.handlers[:] = [handler]
        root.propagate = False
    logging.getLogger(_PACKAGE).setLevel(level)
