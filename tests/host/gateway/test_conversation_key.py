"""The conversation a session of a gateway belongs to, whatever key it goes on under."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from openclaw_channel_octo.host.gateway.sessions import GatewaySessions, Successor, SuccessorFile

if TYPE_CHECKING:
    from openclaw_channel_octo.host.gateway.connection import GatewayConnection
    from openclaw_channel_octo.host.gateway.settings import SettingsOfSessions

GROUP = "agent:main:octo:group:g1"


@pytest.mark.parametrize(
    ("in_gateway", "ours"),
    [
        (GROUP, GROUP),
        (f"{GROUP}~2", GROUP),
        (f"{GROUP}~13", GROUP),
        ("AGENT:main:dashboard:7F", GROUP),
        ("agent:main:main", "agent:main:main"),
        ("agent:main:octo:direct:a~b", "agent:main:octo:direct:a~b"),
    ],
)
def test_a_successor_session_belongs_to_its_conversation(tmp_path: Path, in_gateway: str, ours: str) -> None:
    file = SuccessorFile(tmp_path / "sessions.json")
    file.put(GROUP, Successor("agent:main:dashboard:7f"))
    sessions = GatewaySessions(file, cast("GatewayConnection", None), cast("SettingsOfSessions", None))
    assert sessions.conversation_key(in_gateway) == ours
