from collections.abc import AsyncIterator

import pytest

from tests.runtime.connection.scripted_wire import Account


@pytest.fixture
async def bot() -> AsyncIterator[Account]:
    """A bot that is not started yet."""
    account = Account()
    yield account
    if account.running is not None and not account.running.done():
        await account.stop()
