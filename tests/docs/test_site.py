"""What the builder of the documentation site does not check itself; ``make site`` builds it strictly."""

import re
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS

PAGES = sorted(DOCS.rglob("*.md"))
DECISION = re.compile(r"decisions/\d{4}-")


def prose(path: Path) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_every_page_stands_in_the_navigation_once_and_the_decisions_in_their_index() -> None:
    _, _, nav = (DOCS.parent / "mkdocs.yml").read_text().partition("\nnav:\n")
    names = (str(path.relative_to(DOCS)) for path in PAGES)
    assert sorted(re.findall(r"\S+\.md", nav)) == sorted(name for name in names if not DECISION.match(name))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_link_leads_out_of_the_site(path: Path) -> None:
    found = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", path.read_text())
    assert [link for link in found if not (path.parent / link).resolve().is_relative_to(DOCS)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_lists_are_lists_on_the_site_as_well(path: Path) -> None:
    """Python-Markdown wants a blank line before a list, and four columns for one in another."""
    item = r"(?:[*-]|\d+\.) "
    lines = prose(path).splitlines()
    joined = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(item, line) and re.match(r"[^\s|#<]", before) and not re.match(item, before)
    ]
    shallow = [line for line in lines if re.match(rf" {{1,3}}{item}", line)]
    assert (joined, shallow) == ([], [])
