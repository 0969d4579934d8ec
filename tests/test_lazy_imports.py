"""What an import loads, and what waits until it is needed (docs/decisions/0025)."""

import subprocess
import sys
from importlib.util import find_spec
from itertools import chain

import pytest

WATCHED = frozenset(
    {
        *("aiohttp", "click", "cryptography", "imagesize", "json5", "msgpack", "msgspec", "pluggy"),
        *("httpx2", "mcp", "openai", "prometheus_client", "pydantic", "pytest", "websockets", "yarl"),
        *("asyncio", "importlib.metadata", "sqlite3", "ssl"),
    }
)
"""Libraries this package uses, and the parts of the standard library that take time to load."""

REGISTER = (
    "from openclaw_channel_octo import hookspecs, plugin; "
    "plugin.openclaw_register_channels(hookspecs.ChannelRegistry())"
)
OFFER = (
    "from openclaw_channel_octo import plugin; plugin.openclaw_agent_host({'host': {'stateDir': 'state'}})"
)
CHANNEL = "import openclaw_channel_octo.runtime.channel"
HELP = "from openclaw_channel_octo.cli import main; main(['--help'])"
RUN = "import openclaw_channel_octo.cli.run.command"
VERSION = "from openclaw_channel_octo.cli import main; main(['--version'])"

CHANNEL_LIBRARIES = {
    *(
        "asyncio",
        "cryptography",
        "importlib.metadata",
        "msgspec",
        "pydantic",
        "sqlite3",
        "ssl",
        "websockets",
        "yarl",
    ),
}

LIBRARIES: dict[str, set[str]] = {
    "import openclaw_channel_octo": set(),
    "import openclaw_channel_octo.hookspecs": {"importlib.metadata", "msgspec", "pluggy"},
    "import openclaw_channel_octo.host.base": {"msgspec"},
    REGISTER: {"importlib.metadata", "msgspec", "pluggy"},
    "import openclaw_channel_octo.config.load": {"importlib.metadata", "msgspec", "pydantic"},
    OFFER: {"asyncio", "importlib.metadata", "msgspec", "pluggy", "pydantic", "ssl"},
    CHANNEL: CHANNEL_LIBRARIES,
    VERSION: {"click"},
    HELP: {"click"},
}
"""By statement: what of `WATCHED` it may load."""

LATE: dict[str, tuple[str, ...]] = {
    OFFER: (
        "cli",
        "control",
        "host.embedded.command",
        "host.embedded.openai",
        "host.gateway",
        "runtime",
        "testing",
    ),
    CHANNEL: ("capture", "cli", "control", "host.embedded", "host.gateway", "testing"),
    RUN: ("capture", "control.mcp", "control.mcp_http", "host.gateway", "testing"),
    HELP: ("config", "control", "host", "message", "observe", "rest", "runtime", "store", "testing", "wire"),
}
"""By statement: modules of this package that it must not load, with all below them."""


def loaded(statement: str) -> set[str]:
    """Return the modules that a statement loads in a fresh interpreter."""
    program = f"""
import sys
from importlib.util import find_spec
from itertools import chain
before = set(sys.modules)
try:
    {statement}
except SystemExit:
    pass
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("statement", LIBRARIES)
def test_a_statement_loads_no_other_libraries_than_it_needs(statement: str) -> None:
    assert (loaded(statement) & WATCHED) - LIBRARIES[statement] == set()


def test_every_module_that_must_not_be_loaded_exists() -> None:
    for name in chain.from_iterable(LATE.values()):
        assert find_spec(f"openclaw_channel_octo.{name}"), name


@pytest.mark.parametrize("statement", LATE)
def test_a_statement_loads_no_module_that_is_needed_later(statement: str) -> None:
    late = tuple(f"openclaw_channel_octo.{name}" for name in LATE[statement])
    found = {name for name in loaded(statement) if f"{name}.".startswith(tuple(f"{each}." for each in late))}
    assert found == set()


def test_loading_the_plugin_loads_pluggy_and_nothing_else() -> None:
    own = loaded("import openclaw_channel_octo.plugin") - loaded("import pluggy")
    assert own == {"openclaw_channel_octo", "openclaw_channel_octo.plugin"}
