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


def test_setting_up_twice_writes_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        setup_logging("WARNING")
        logger.warning("once")
        logger.info("never")

    (line,) = written(monkeypatch, write, as_json=False).splitlines()
    assert line.endswith("once")


def test_a_host_that_configures_logging_itself_gets_clean_records_while_it_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("openclaw_channel_octo.observe.test")
    with redacted(SecretStr("sk-planted-secret")):
        logger.error("the key %s is wrong", "sk-planted-secret")
    logger.error("afterwards")
    assert caplog.messages == ["the key [hidden] is wrong", "afterwards"]
    assert logging.getLogRecordFactory() is logging.LogRecord


@pytest.mark.parametrize("name", ["openclaw_channel_octo.late", "websockets.x", "aiohttp.client", "asyncio"])
def test_loggers_made_late_and_those_of_libraries_are_clean_whatever_handlers_they_have(name: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    with redacted(SecretStr("sk-planted-secret")):
        logger = logging.getLogger(f"{name}.made.{name}")
        logger.propagate = False
        logger.addHandler(handler)
        try:
            logger.error("the key %s is wrong", "sk-planted-secret", stack_info=True)
            fail("sk-planted-secret")
        except ValueError as error:
            logger.exception("failed: %s", error)  # noqa: TRY401  # its words as an argument too
        finally:
            logger.removeHandler(handler)
            logger.propagate = True
    assert "sk-planted-secret" not in stream.getvalue()
    assert stream.getvalue().count("[hidden]") >= 3


def fail(secret: str) -> None:
    raise ValueError(secret)


def test_an_error_that_holds_a_secret_reaches_no_handler_as_an_object(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("openclaw_channel_octo.observe.errors")
    with redacted(SecretStr("sk-planted-secret")):
        for words in ("sk-planted-secret", "harmless"):
            try:
                fail(words)
            except ValueError:
                logger.exception("failed")
    secret, harmless = caplog.records
    assert secret.exc_info is None
    assert "ValueError: [hidden]" in (secret.exc_text or "")
    assert harmless.exc_info is not None


def test_scopes_may_overlap_and_end_in_any_order(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("openclaw_channel_octo.observe.overlap")
    first, second = redacted(SecretStr("first-secret")), redacted(SecretStr("second-secret"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    logger.error("first-secret second-secret")
    second.__exit__(None, None, None)
    assert caplog.messages == ["first-secret [hidden]"]
    assert logging.getLogRecordFactory() is logging.LogRecord


FORGED = (
    "bye\r\n2026-01-01 00:00:00,000 INFO    [octo] [boss] turn ended\x1b[2J\x9b1m\u2028x\u202ey\udcff\x7f\0"
)


def test_a_text_line_stays_one_line_and_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        try:
            fail(FORGED)
        except ValueError:
            BotLog(logger, FORGED).exception("kicked: %s", FORGED)

    first, *more = written(monkeypatch, write, as_json=False).rstrip("\n").split("\n")
    assert "[octo] [bye\\r\\n2026" in first
    assert "kicked: bye\\r\\n2026" in first
    assert "ended\\x1b[2J\\x9b1m\\u2028x\\u202ey\\udcff\\x7f\\x00" in first
    assert all(line.startswith("    ") for line in more)
    assert all(line.isprintable() for line in (first, *more))


def test_a_json_line_has_no_control_character_in_any_field(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        with trace_scope(FORGED):
            BotLog(logger.getChild(FORGED), FORGED).error("%s", FORGED)

    line = json_line(monkeypatch, write)
    assert line["message"] == line["account"] == line["trace"]
    assert all(str(value).isprintable() for value in line.values())


def test_a_line_whose_arguments_do_not_fit_is_written_and_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(logger: logging.Logger) -> None:
        logger.error("%d of %s", "sk-planted-secret\n")  # noqa: PLE1206  # what is tested

    assert json_line(monkeypatch, write, SecretStr("sk-planted-secret"))["message"].startswith(
        "%d of %s ('[hid"
    )


def written(
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[logging.Logger], None],
    *secrets: SecretStr,
    as_json: bool,
) -> str:
    """Return what a program writes."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    setup_logging("INFO", *secrets, as_json=as_json)
    write(logging.getLogger("openclaw_channel_octo.test"))
    return stream.getvalue()


def json_line(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[logging.Logger], None], *secrets: SecretStr
) -> Any:
    """Return the one line that a program with JSON logs writes."""
    (line,) = written(monkeypatch, write, *secrets, as_json=True).splitlines()
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
        "message": "deliver: ok\\nnext",
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
