"""What every part of a bot is made from."""

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import Identity
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.background import TaskSet
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal

__all__ = ["BotContext"]


class BotContext(Struct, eq=False, kw_only=True):
    """What every part of a bot is made from. Settings, routing and budget change while the bot runs (`Bot.apply`).

    Attributes:
        config: the bot's settings now; looked up where they are needed, and never kept.
        identity: who the bot is.
        api: the bot's API.
        routing: which agent and session a conversation belongs to.
        budget_s: seconds a run may take.
        journal: the record of messages.
        clock: time.
        tasks: owns the bot's work.
        metrics: counts what happens, ``None`` where nobody collects that.
        log: the bot's log.
    """

    config: BotConfig
    identity: Identity
    api: BotApi
    routing: Routing
    budget_s: float
    journal: Journal
    clock: Clock
    tasks: TaskSet
    metrics: BotMetrics | None
    log: BotLog

    def blocks(self, uid: str) -> bool:
        """Return whether somebody is blocked."""
        return self.config.access.blocks(uid, self.identity.owner_uid)
