"""What lies in fixtures/ may be published."""

import re
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
TOKEN = re.compile(rb"\b(?:bf|app|uk)_[0-9a-f]{32}\b|Bearer ")


FILES = sorted(file for file in FIXTURES.rglob("*.*") if file.is_file())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_fixture_holds_a_token(file: Path) -> None:
    assert not TOKEN.search(file.read_bytes())


def test_every_kind_of_fixture_has_its_provenance_written_down() -> None:
    told = (FIXTURES / "README.md").read_text()
    kinds = {file.relative_to(FIXTURES).parts[0] for file in FILES if file.parent != FIXTURES}
    assert kinds
    assert [kind for kind in kinds if f"`{kind}/" not in told] == []
