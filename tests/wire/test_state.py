import pytest

from openclaw_channel_octo.errors import LocalProtocolError
from openclaw_channel_octo.wire.state import TRANSITIONS, ConnectionState, Step, advance


def test_a_connection_goes_from_new_over_the_handshake_to_ready_and_ends() -> None:
    state = ConnectionState.NEW
    seen = [state := advance(state, step) for step in (Step.CONNECT, Step.ACCEPT, Step.END)]
    assert seen == [ConnectionState.HANDSHAKING, ConnectionState.READY, ConnectionState.CLOSED]


def test_every_state_but_closed_can_end_and_none_leaves_closed() -> None:
    for state in ConnectionState:
        assert ((state, Step.END) in TRANSITIONS) is (state is not ConnectionState.CLOSED)
    assert not [state for state, _ in TRANSITIONS if state is ConnectionState.CLOSED]


def test_a_step_the_table_does_not_have_names_itself_and_the_state() -> None:
    with pytest.raises(LocalProtocolError, match=r"ACCEPT.*NEW"):
        advance(ConnectionState.NEW, Step.ACCEPT)
