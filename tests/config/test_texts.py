"""What people read: one table for each language, and no text for them anywhere else."""

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic.alias_generators import to_camel

from openclaw_channel_octo.config import texts as module
from openclaw_channel_octo.config.report import report
from openclaw_channel_octo.config.texts import CHINESE, Reason, Texts
from openclaw_channel_octo.session.status import Status
from tests.config.conftest import Parse, Problems

TOKEN = "bf_0123456789abcdef"
PACKAGE = Path(__file__).parents[2] / "openclaw_channel_octo"
ENGLISH = Texts().model_dump(exclude={"language"})
SIGN = re.compile("%.")
WORDS = re.compile(r"[a-z][\s.!…]|\s[a-z]")

SINKS: dict[str, tuple[int, ...]] = {
    "conclude": (2,),
    "announce": (1,),
    "post": (1,),
    "send_text": (1,),
    "reply": (2,),
    "_notify": (1,),
    "_if_guarded": (1,),
    "Told": (0,),
    "file_note": (0, 2),
    "FileRefused": (0,),
    "SourceChanged": (0,),
    "Part": (),
    "Notice": (),
}
"""Calls that bring words before people, and which of their arguments do; ``text`` always does."""


def test_the_languages_have_the_same_keys_and_placeholders() -> None:
    assert list(CHINESE) == list(ENGLISH)
    for key, text in CHINESE.items():
        assert SIGN.findall(text) == SIGN.findall(ENGLISH[key]), key
        assert re.search("[一-鿿]", text), key
        assert not re.search("[一-鿿]", ENGLISH[key]), key
    assert Texts(language="zh").model_dump(exclude={"language"}) == dict(CHINESE)


def test_every_status_and_every_reason_has_a_text() -> None:
    assert {f"session_{status}" for status in (*Status, "new")} == {
        key for key in ENGLISH if key[:8] == "session_"
    }
    reasons = {key for key in ENGLISH if key.startswith("file_")} - {"file_failed"}
    assert set(get_args(module._ReasonKey)) == reasons
    assert Texts(language="zh").session("odd") == "odd"


def test_a_reason_is_told_in_the_language_and_logged_in_english() -> None:
    reason = Reason("file_too_large", "20 MB")
    assert (reason.said(Texts(language="zh")), str(reason)) == ("超过 20 MB", "it is larger than 20 MB")


@pytest.mark.parametrize("given", ["zh", {"language": "zh"}])
def test_a_language_is_named_in_short_or_beside_own_texts(parse: Parse, given: Any) -> None:
    bot = parse({"botToken": TOKEN, "texts": given}).config.accounts["default"]
    assert (bot.texts, bot.restart_notice) == (Texts(language="zh"), CHINESE["restarting"])
    assert bot.texts.changed() == {}


@pytest.mark.parametrize(
    ("channel", "account", "language", "failed"),
    [
        ("zh", {"failed": "oops"}, "zh", "oops"),
        ({"failed": "oops"}, "zh", "zh", "oops"),
        ("zh", "en", "en", ENGLISH["failed"]),
        ({"language": "zh", "failed": "oops"}, {"failed": "again"}, "zh", "again"),
        ({"failed": "oops"}, {}, "en", "oops"),
    ],
)
def test_an_accounts_texts_and_the_channels_go_together(
    parse: Parse, channel: Any, account: Any, language: str, failed: str
) -> None:
    octo = {"texts": channel, "accounts": {"a": {"botToken": TOKEN, "texts": account}}}
    loaded = parse(octo).config
    bot = loaded.accounts["a"]
    assert (bot.texts.language, bot.texts.failed) == (language, failed)
    assert bot.texts.busy == Texts(language=bot.texts.language).busy
    own = {} if failed == ENGLISH["failed"] else {"failed": failed}
    assert report(loaded)["accounts"]["a"]["texts"] == {"language": language, **own}


def test_a_notice_of_the_guard_wins_over_the_language(parse: Parse) -> None:
    octo = {"botToken": TOKEN, "texts": "zh", "guard": {"noticeText": "Moment, ich beginne neu."}}
    assert parse(octo).config.accounts["default"].restart_notice == "Moment, ich beginne neu."


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("fr", "texts.language: must be 'en' or 'zh', spelt exactly so"),
        (5, "texts: must be an object: { … }"),
        ({"language": "zh", "faild": "x"}, "texts.faild: unknown key; did you mean failed?"),
        ({"language": "zh", "failed": " "}, "texts.failed: must not be blank: people would see nothing"),
        (
            {"status": "%s"},
            "texts.status: must contain %s, the status, and %d, the number of messages, exactly once and no other %",
        ),
    ],
)
def test_texts_that_cannot_be_used_are_named(problems: Problems, given: Any, problem: str) -> None:
    assert problems({"botToken": TOKEN, "texts": given}) == (f"channels.octo.{problem}",)


def words_for_people(tree: ast.Module) -> Iterator[str]:
    """Yield the words that a module brings before people: in calls that do, and behind a picture as notices have it."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield from (words for words in constants(node) if unicodedata.category(words[0]) == "So")
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in SINKS:
            shown = [node.args[at] for at in SINKS[name] if at < len(node.args)]
            shown += [keyword.value for keyword in node.keywords if keyword.arg == "text"]
            yield from (word for one in shown for word in constants(one))


def constants(shown: ast.expr) -> Iterator[str]:
    for node in ast.walk(shown):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORDS.search(node.value):
            yield node.value


def test_no_other_module_holds_a_text_for_people() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {words}"
        for folder in ("runtime", "host", "rest", "message", "policy", "session", "config")
        for path in (PACKAGE / folder).rglob("*.py")
        if not path.name.endswith("texts.py")
        for words in words_for_people(ast.parse(path.read_text()))
    }
    assert found == set()


def test_what_a_command_answers_comes_from_the_table() -> None:
    tree = ast.parse((PACKAGE / "runtime" / "turn" / "commands.py").read_text())
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    texts = [value for value in returned if value and not isinstance(value, ast.Call)]
    assert texts
    assert [words for value in texts for words in constants(value)] == []


@pytest.mark.parametrize(
    "code",
    [
        'await self.outbox.conclude(row, "", "Not now.", ENDED)',
        'Notice(text=f"Not {now} please", reason="why")',
        'raise FileRefused("no such file")',
        'X = "⚠️ Not now."',
        'Told("Stopping." if busy else text, "why not")',
    ],
)
def test_a_text_elsewhere_is_found(code: str) -> None:
    assert list(words_for_people(ast.parse(code)))


def test_the_configuration_manual_names_every_text() -> None:
    manual = (PACKAGE.parent / "docs" / "configuration.md").read_text()
    assert [key for key in ENGLISH if f"`{to_camel(key)}`" not in manual] == []
