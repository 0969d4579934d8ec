from collections.abc import Callable

import pytest

from openclaw_channel_octo.wire.client import ClientConnection, Credentials, Timers
from openclaw_channel_octo.wire.codec import encode
from openclaw_channel_octo.wire.crypto import KeyPair
from openclaw_channel_octo.wire.packets import Connack

CREDENTIALS = Credentials(uid="27a1_bot", token="bf_secret", device_id="dev-1")


@pytest.fixture(scope="session")
def make_client() -> Callable[..., ClientConnection]:
    """Make clients that sent CONNECT at 0.0 s with the vectors' key and await CONNACK, or have a plain session."""

    def make(*, ready: bool, timers: Timers | None = None) -> ClientConnection:
        client = ClientConnection(CREDENTIALS, KeyPair.from_private_bytes(bytes(range(32))), timers)
        client.connect(1767225600123, now=0.0)
        client.outgoing()
        if ready:
            client.receive(encode(Connack(reason_code=1, server_version=5, node_id=1001), 5), now=0.0)
        return client

    return make
