"""Code and commands in the documents run; the host program of docs/plugins.md is run by tests/test_plugin.py."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.channel import _WITHOUT_EFFECT
from openclaw_channel_octo.config.load import load_config
from tests.runtime.asking import Asked
from tests.runtime.rig import BEN, Rig
from tests.test_public_api import CODE, DOCUMENTS, ROOT

README = ROOT / "README.md"
AGENTS = ROOT / "docs" / "agents.md"
RUN = {AGENTS: 1, ROOT / "docs" / "agent-programs.md": 1, ROOT / "docs" / "plugins.md": 1}
"""Documents with code of their own, and how many blocks of it are run."""
GENERATED = re.compile(r"<!-- begin generated: (\w+) -->.*<!-- end generated: \1 -->", re.DOTALL)


def code_of(path: Path) -> list[str]:
    """Return the blocks of Python in a document, without those that `make docs` writes."""
    return [found[1] for found in CODE.finditer(GENERATED.sub("", path.read_text()))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_of_a_document_is_run(path: Path) -> None:
    assert len(code_of(path)) == RUN.get(path, 0)


def anchors(path: Path) -> set[str]:
    """Return what a link can name in a document: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text()):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_file_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().replace("NNNN-short-title", "0001-clock-is-a-leaf")
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+(?:/|\.(?:py|md|toml|yml)))`", text))
    places = (ROOT, ROOT / "openclaw_channel_octo")
    assert {name for name in named if not any((place / name).exists() for place in places)} <= {
        "dist/",
        "site/",
    }
    assert len(named) > 10


def test_every_setting_without_effect_is_in_the_migration_guide() -> None:
    text = (ROOT / "docs" / "migration.md").read_text()
    _, _, told = text.partition("These have no effect here")
    assert set(re.findall(r"`(\w+)`", told.partition("The features")[0])) == _WITHOUT_EFFECT


async def test_the_outbound_example_reads_and_calls_somebody(city: Rig, asked: Asked) -> None:
    (code,) = (code for code in code_of(AGENTS) if "octo.outbound(turn)" in code)
    code = code.replace("9b1e…", "g1").replace("3f0c…", BEN)
    names: dict[str, Any] = {"octo": city.channel, "turn": asked.host.turns[-1]}
    await eval(compile(code, AGENTS.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    assert city.said() == ["@Ben Deployed."]
    page, receipt = names["page"], names["receipt"]
    assert "go" in page.block()
    assert len(receipt.message_ids) == 1


def test_the_readmes_smallest_configuration_has_no_mistake(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    file = tmp_path / "octo.json"
    file.write_text(block)
    loaded = load_config(file, env={"OCTO_BOT_TOKEN": "bf_0123456789abcdef"})
    assert loaded.warnings == ()
    assert list(loaded.config.accounts) == list(json.loads(block)["channels"]["octo"]["accounts"])


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_every_make_target_that_a_document_names_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"\bmake ([a-z -]+)`|^(?: +entry: )?make ([a-z -]+)$", path.read_text(), re.MULTILINE)
    assert {target for found in named for target in " ".join(found).split()} - targets == set()
