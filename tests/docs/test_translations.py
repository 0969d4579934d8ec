"""A page and its translation show the same commands, and lead to each other."""

import re
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS
from tests.test_public_api import ROOT

PAGES = [(ROOT / "README.md", ROOT / "README.zh-CN.md"), (DOCS / "tutorial.md", DOCS / "tutorial.zh.md")]
TYPED = ("curl ", "make ", "openclaw-octo ", "pip ", ".venv/")
"""How a code span begins that people type."""


def shown(path: Path) -> list[str]:
    """Return the blocks of a page, and what people type among its words."""
    blocks = re.compile(r"^```(?:sh|json)\n.*?^```", re.DOTALL | re.MULTILINE)
    spans = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    )
    return [*blocks.findall(path.read_text()), *(each for each in spans if each.startswith(TYPED))]


@pytest.mark.parametrize(("page", "translation"), PAGES, ids=lambda path: path.name)
def test_a_translation_shows_what_the_page_shows(page: Path, translation: Path) -> None:
    assert shown(translation) == shown(page)


@pytest.mark.parametrize(("page", "translation"), PAGES, ids=lambda path: path.name)
def test_a_page_and_its_translation_lead_to_each_other(page: Path, translation: Path) -> None:
    assert f"]({translation.name})" in page.read_text()
    assert f"]({page.name})" in translation.read_text()


def test_the_readme_has_at_most_700_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 700
