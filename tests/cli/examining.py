"""The doctor run on a deployment, and what its tests share."""

import sys
from typing import Any

import pytest
from click.testing import Result

from tests.cli.asking import command
from tests.programs import write
from tests.runtime.rig import TOKEN, Rig

KEY = "sk-planted-secret-key"
AGENT = {"kind": "command", "command": [sys.executable, "-c", "print('hi')"]}
NOBODY = 1
"""A port no server listens on: none is given it by chance, so it cannot be the double's own."""

Config = dict[str, Any]


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait half a second for somebody who stands still; whoever is well may take as long as a busy machine lets it."""
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.HANDSHAKE_WITHIN_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.server.ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.host.ENDPOINT_WITHIN_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.runtime.connection.transport.OPEN_TIMEOUT_S", 0.5)
    monkeypatch.setattr("openclaw_channel_octo.cli.gateway.check.CONNECT_WITHIN_S", 0.3)
    monkeypatch.setattr("openclaw_channel_octo.store.admin._BUSY_S", 0.1)


def nowhere_for_a_socket(rig: Rig) -> None:
    """Let the server name an address nobody listens at."""
    rig.octo.ws_url_override = f"ws://127.0.0.1:{NOBODY}"


async def examined(rig: Rig, config: Config | str, *options: str, code: int = 0) -> Result:
    """Run the doctor on a configuration while the double lives."""
    file = write(rig.state_dir.parent, config)
    rig.state_dir.mkdir(mode=0o700, exist_ok=True)
    result = await command("doctor", "--config", file, *options, code=code)
    assert TOKEN not in result.output
    assert KEY not in result.output
    return result
