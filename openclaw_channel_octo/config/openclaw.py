"""Placeholder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.config.findings import Findings
from openclaw_channel_octo.config.secrets import Surroundings
from openclaw_channel_octo.session.route import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenClawConfig:
    """Placeholder."""

    url: str
    token: SecretStr | None
    password: SecretStr | None
    channel: Mapping[str, Any] | None
    routing: Routing
    agents: tuple[str, ...]
    default_agent: str


def read_openclaw(raw: object, around: Surroundings, findings: Findings) -> OpenClawConfig | None:
    """Placeholder."""
    return None
