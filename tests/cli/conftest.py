"""Fixtures of the doctor's tests."""

import socket
from typing import Any

import pytest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch a fresh connection for a moment only."""
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.bot.QUIET_S", 0.1)


@pytest.fixture
def unknown_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know nobody below ``.invalid``, whatever the network's name service makes of that, and however slowly."""
    look_up = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
