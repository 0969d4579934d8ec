"""The state of a channel as numbers, at the moment somebody asks."""

from collections.abc import Iterator

from openclaw_channel_octo.observe.metrics import Gauge
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import LinkState

__all__ = ["gauges_of"]


def gauges_of(status: ChannelStatus) -> Iterator[Gauge]:
    """Return the state as gauges. Sessions are no labels: there may be any number, and they tell who talks."""
    states: dict[tuple[str, ...], float] = {
        (name, state.value): float(bot.state is state)
        for name, bot in status.bots.items()
        for state in LinkState
    }
    yield Gauge("connection_state", "1 for the state a bot's connection is in", ("account", "state"), states)
    running = [run.account_id for run in status.turns.values()]
    turns: dict[tuple[str, ...], float] = {(name,): float(running.count(name)) for name in status.bots}
    yield Gauge("turns_running", "Turns under way", ("account",), turns)
    depths = list(status.lanes.values())
    yield Gauge("lanes", "Conversations with work", (), {(): float(len(depths))})
    yield Gauge(
        "lane_waiting", "Messages that wait behind a turn, in all lanes", (), {(): float(sum(depths))}
    )
    yield Gauge(
        "lane_longest", "Messages that wait in the longest lane", (), {(): float(max(depths, default=0))}
    )
    yield Gauge(
        "journal_waiting", "1 while the journal cannot be written", (), {(): float(bool(status.trouble))}
    )
