"""The names that README and docs/ give to other programs; who takes one away breaks them."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

PUBLIC = {
    "openclaw_channel_octo": {
        *("AgentHost", "OctoChannel", "OctoConfig", "OctoError", "Turn", "TurnEvent", "__version__"),
    },
    "openclaw_channel_octo.clock": {"Clock", "SystemClock"},
    "openclaw_channel_octo.config.load": {"load_config", "parse_config", "parse_host"},
    "openclaw_channel_octo.hookspecs": {
        *("PROJECT", "Channel", "ChannelRegistry", "ChannelSpec", "hookimpl", "hookspec"),
        *("openclaw_agent_host", "openclaw_register_channels", "openclaw_register_commands"),
    },
    "openclaw_channel_octo.host.base": {
        *(
            "AgentHost",
            "AsksApprovals",
            "NamesSessions",
            "ResumesRuns",
            "HidesThinking",
            "Recovery",
            "Turn",
            "Sender",
            "MediaItem",
            "TurnEvent",
        ),
        *(
            "Accepted",
            "Delta",
            "Block",
            "Media",
            "ToolNote",
            "Waiting",
            "Interrupted",
            "Final",
            "Failed",
            "Skipped",
        ),
    },
    "openclaw_channel_octo.host.commands": {"CommandCall", "HasCommands", "HostCommand"},
    "openclaw_channel_octo.host.embedded.agents": {"Agent", "AgentError", "AnswerCut", "EchoAgent", "Prompt"},
    "openclaw_channel_octo.host.embedded.host": {"EmbeddedHost"},
    "openclaw_channel_octo.plugin": {
        *("openclaw_agent_host", "openclaw_register_channels", "openclaw_register_commands"),
    },
    "openclaw_channel_octo.runtime.channel": {"ChannelStatus", "OctoChannel"},
    "openclaw_channel_octo.session.status": {"RECOVERABLE", "SessionSnapshot", "Status"},
    "openclaw_channel_octo.testing": {
        *("ANY_CALL", "HANG", "Ack", "ChatLine", "Damage", "Envelope", "ErrorAnswer", "FakeGateway"),
        *(
            "Fault",
            "Hang",
            "JsonAnswer",
            "LoseAnswer",
            "ManualClock",
            "NotReached",
            "OctoDouble",
            "ProxyPage",
        ),
        *(
            "RateLimit",
            "RawEvent",
            "RawMessage",
            "Refuse",
            "RestCall",
            "ScriptedHost",
            "Slow",
            "Split",
            "echo",
        ),
    },
    "openclaw_channel_octo.testing.pytest_plugin": {"manual_clock", "octo_double", "scripted_host"},
}
"""By module: the names other programs import from it."""


def imports(code: str) -> Iterator[tuple[str, str]]:
    """Yield what a program imports from the package: module and name, no name for a whole module."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)


def documented() -> Iterator[tuple[str, str]]:
    """Yield what the code in the documents and the examples imports from the package."""
    blocks = [code for path in DOCUMENTS for code in CODE.findall(path.read_text()) if "import " in code]
    for code in [*blocks, *(path.read_text() for path in (ROOT / "examples").glob("*.py"))]:
        yield from (
            (module, name) for module, name in imports(code) if module.startswith("openclaw_channel_octo")
        )


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_its_names(module: str) -> None:
    found = import_module(module)
    assert PUBLIC[module] - set(found.__all__) == set()
    assert [name for name in PUBLIC[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize(("module", "name"), sorted(set(documented())))
def test_what_the_documents_import_is_public(module: str, name: str) -> None:
    assert f"{module}.{name}" in PUBLIC or name in PUBLIC[module]


def test_the_documents_import_something() -> None:
    assert ("openclaw_channel_octo.clock", "SystemClock") in set(documented())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_files_of_the_package_that_a_document_names_are_there(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"\bopenclaw_channel_octo(?:\.\w+)+", text):
        resolve_name(name)
    assert [
        name
        for name in re.findall(r"\bopenclaw_channel_octo/[\w/]+\.\w+", text)
        if not (ROOT / name).exists()
    ] == []
