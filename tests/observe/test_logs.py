"""Log lines: the prefix people grep for, one trace id a message, no secret."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from pydantic import SecretStr

from openclaw_channel_octo.observe.logs import BotLog, Redaction, redacted, setup_logging, trace_scope


def test_a_line_carries_prefix_and_account(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        BotLog(logging.getLogger("octo-test"), "helper").info("typing sent %s", "OK")
    assert caplog.messages == ["[octo] [helper] typing sent OK"]


async def test_every_line_of_a_message_carries_its_trace_also_in_tasks_it_starts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = BotLog(logging.getLogger("octo-test"), "helper")

    async def speak(word: str) -> None:
        log.info(word)

    with caplog.at_level(logging.INFO):
        with trace_scope("38278145"):
            log.info("first")
            task = asyncio.create_task(speak("later"))
        await task
        log.info("outside")
    assert caplog.messages == [
        "[octo] [helper] first trace=38278145",
        "[octo] [helper] later trace=38278145",
        "[octo] [helper] outside",
    ]
    assert [getattr(record, "octo_trace", None) for record in caplog.records] == ["38278145", "38278145", ""]


@pytest.mark.parametrize(
    "line",
    [
        "token=bf_0123456789abcdef0123456789abcdef",
        "Authorization: Bearer whatever-this-is",
        "key sk-planted-secret in a sentence",
        "app_0123456789abcdef uk_0123456789abcdef",
        "令牌bf_0123456789abcdef无效",
        "bf_0123456789abcdef_suffix prefixbf_0123456789abcdef",
    ],
)
def test_secrets_are_hidden_wherever_they_stand(line: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (line,), None)
    assert Redaction(SecretStr("sk-planted-secret")).filter(record)
    shown = record.getMessage()
    assert "[hidden]" in shown
    for secret in ("0123456789abcdef", "whatever-this-is", "sk-planted-secret"):
        assert secret not in shown


def test_a_traceback_is_cleaned_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Redaction(SecretStr("sk-planted-secret")))
    logger = logging.Logger("octo-test-traceback")  # noqa: LOG001  # one that nobody else shares
    logger.addHandler(handler)
    try:
        int("the key sk-planted-secret is wrong")
    except ValueError:
        logger.exception("failed")
    assert "sk-planted-secret" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_short_and_empty_secrets_do_not_blank_ordinary_words() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a cat sat", (), None)
    Redaction(SecretStr(""), SecretStr("cat")).filter(record)
    assert record.getMessage() == "a cat sat"


def test_setting_up_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    loggers = [logging.getLogger(name) for name in ("openclaw_channel_octo", "asyncio")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        setup_logging("INFO")
        setup_logging("WARNING")
        logging.getLogger("openclaw_channel_octo.x").warning("once")
        logging.getLogger("openclaw_channel_octo.x").info("never")
    finally:
        for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
            logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate
    assert capsys.readouterr().err.count("once") == 1


def test_a_host_that_configures_logging_itself_gets_clean_records_while_it_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("openclaw_channel_octo.observe.test")
    with redacted(SecretStr("sk-planted-secret")):
        logger.error("the key %s is wrong", "sk-planted-secret")
    logger.error("afterwards")
    assert caplog.messages == ["the key [hidden] is wrong", "afterwards"]
    assert logger.filters == []


def json_line(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[logging.Logger], None], *secrets: SecretStr
) -> Any:
    """Return the one line that a program with JSON logs writes."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    package = logging.getLogger("openclaw_channel_octo")
    before = package.handlers[:], package.propagate, package.level
    try:
        setup_logging("INFO", *secrets, as_json=True)
        write(logging.getLogger("openclaw_channel_octo.test"))
    finally:
        package.handlers[:], package.propagate, package.level = before
        logging.getLogger("asyncio").handlers.clear()
        logging.getLogger("asyncio").propagate = True
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_json_line_has_prefix_and_trace_as_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        with trace_scope("38278145"):
            BotLog(logger, "helper").info("deliver: %s", "ok\nnext")

    line = json_line(monkeypatch, write)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "INFO",
        "logger": "openclaw_channel_octo.test",
        "account": "helper",
        "trace": "38278145",
        "message": "deliver: ok\nnext",
    }


def test_a_json_line_holds_its_traceback_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        try:
            raise ValueError("with sk-planted-secret \udcff inside")  # noqa: TRY301  # what is to be logged
        except ValueError:
            logger.exception("it broke for bf_0123456789abcdef")

    line = json_line(monkeypatch, write, SecretStr("sk-planted-secret"))
    assert (line["account"], line["trace"]) == ("", "")
    assert "ValueError: with [hidden]" in line["exception"]
    assert "0123456789abcdef" not in json.dumps(line)
    assert "sk-planted-secret" not in line["exception"]
