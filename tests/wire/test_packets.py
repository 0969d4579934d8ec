import pytest

from openclaw_channel_octo.wire.packets import Flags, PacketType, ReasonCode, Setting
from tests.wire.vectors import CONNECT


def test_a_token_never_shows_in_the_packets_repr() -> None:
    assert "bf_secret" not in repr(CONNECT)


def test_flag_and_setting_bits_nobody_named_survive() -> None:
    assert int(Flags(0x0F)) == 0x0F
    assert int(Setting(0xFF)) == 0xFF


def test_the_vocabularies_hold_the_protocols_numbers() -> None:
    assert [kind.value for kind in PacketType] == list(range(1, 13))
    assert [reason.value for reason in ReasonCode] == list(range(30))
    assert (ReasonCode.SUCCESS, ReasonCode.KICKED, ReasonCode.BANNED) == (1, 12, 19)


def test_packets_are_read_only() -> None:
    with pytest.raises(AttributeError):
        CONNECT.uid = "somebody else"  # type: ignore[misc]  # the point of the test
