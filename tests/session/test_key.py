"""Session keys equal the host's own (openclaw-host §2.4)."""

import pytest

from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.session.key import conversation_kind, session_key


@pytest.mark.parametrize(
    ("channel", "kind", "key"),
    [
        (ChannelRef("0712583154486f00", 2), "group", "agent:main:octo:group:0712583154486f00"),
        (ChannelRef("g____2039", 5), "thread", "agent:main:octo:group:g____2039"),
        (ChannelRef("b4c798", 1), "direct", "agent:main:octo:direct:b4c798"),
        (ChannelRef("Ann_B", 1), "direct", "agent:main:octo:direct:ann_b"),
        (ChannelRef("MixedCase", 2), "group", "agent:main:octo:group:MixedCase"),
    ],
)
def test_a_conversation_has_the_key_a_host_would_give_it(channel: ChannelRef, kind: str, key: str) -> None:
    assert session_key("Main", channel) == key
    assert conversation_kind(channel) == kind
