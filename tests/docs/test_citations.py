"""Sections that docstrings and documents cite are headings of docs/spec/, and no heading there is dead text."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS

ROOT = DOCS.parent
SPEC = DOCS / "spec"
SIGN = "\N{SECTION SIGN}"  # spelled out: what this file makes up is no citation

SECTION = r"(?:\d{1,2}|[a-i])(?:\.\d{1,2})*(?!\w)"
CITATION = re.compile(rf"(?:([\w-]+) )?{SIGN}({SECTION})")
HEADING = re.compile(rf"^##+ (?:({SECTION}) )?.*$", re.MULTILINE)
PROSE = {"and", "by", "in", "is", "of", "see", "to"}
"""Words before a further section of the document that was named before."""

Section = tuple[str, str]
"""A document's name and the number of a section."""


def citations(text: str, document: str = "") -> Iterator[Section]:
    """Yield what a text cites; ``document`` is what it cites where it names none."""
    for line in text.splitlines():
        named = document
        for word, section in CITATION.findall(line):
            named = named if word in {"", *PROSE} else word.lower()
            yield named, section


def headings() -> set[Section]:
    return {(page.stem, number) for page in SPEC.glob("*.md") for number in HEADING.findall(page.read_text())}


def cited_in(path: Path) -> set[Section]:
    owner = "reference-behaviour" if path == DOCS / "differences.md" else ""
    return set(citations(path.read_text(), path.stem if path.parent == SPEC else owner))


def texts() -> list[Path]:
    code = [path for folder in ("openclaw_channel_octo", "tests") for path in (ROOT / folder).rglob("*.py")]
    return [*code, *DOCS.rglob("*.md"), ROOT / "README.md"]


def test_every_section_that_is_cited_is_a_heading() -> None:
    known = headings()
    missing = {
        f"{path.relative_to(ROOT)}: {' '.join(section)}"
        for path in texts()
        for section in cited_in(path) - known
    }
    assert not missing


def test_every_heading_has_a_number_and_is_cited_or_holds_one_that_is() -> None:
    cited = {section for path in texts() if path.parent != SPEC for section in cited_in(path)}
    orphans = {
        (page, number)
        for page, number in headings()
        if not any(page == other and f"{part}.".startswith(f"{number or '?'}.") for other, part in cited)
    }
    assert not orphans


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (f"(protocol {SIGN}4.6, {SIGN}99.9)", {("protocol", "99.9")}),
        (f"(protocol {SIGN}4.6, openclaw-hots {SIGN}4.6)", {("openclaw-hots", "4.6")}),
        (f"see protocol {SIGN}2.3 and {SIGN}2.33", {("protocol", "2.33")}),
        (f"of nobody: {SIGN}4.6", {("", "4.6")}),
        (f"(octo-bot-api {SIGN}2.10, Reference-behaviour {SIGN}c.8.7), a mark {SIGN}0123456789", set()),
    ],
)
def test_a_section_that_does_not_exist_is_found(text: str, missing: set[Section]) -> None:
    assert set(citations(text)) - headings() == missing
