"""Groups that have agreed to be answered without a mention, remembered because the gate waits for nobody."""

import asyncio

from cachetools import FIFOCache
from msgspec import Struct, field

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import ApiError, NotFound
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.background import TaskSet

__all__ = ["MentionPreferences"]

FRESH_FOR_S = 60.0
"""How soon an answer is asked for again once somebody talks in the group; changes are told by an event besides."""
GROUPS = 2_000
ROUTE_MISSING = ""
"""The server's code where it knows no such call at all; an unknown group has one (octo-bot-api §1.4)."""


class MentionPreferences(Struct, eq=False):
    """The preferences of one bot's groups. Whatever is not known for certain means that a mention is needed.

    Attributes:
        api: the bot's API.
        tasks: owns the look-ups.
        clock: time.
        log: the bot's log.
        agreed: whether people of a group are answered without a mention, as far as it is known now.
    """

    api: BotApi
    tasks: TaskSet
    clock: Clock
    log: BotLog
    agreed: FIFOCache[str, bool] = field(default_factory=lambda: FIFOCache(GROUPS))
    _fresh_until: FIFOCache[str, float] = field(default_factory=lambda: FIFOCache(GROUPS))
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _unknown_to_server: bool = False

    def warm(self, group_no: str) -> "asyncio.Task[None] | None":
        """Begin to ask for a group's preference unless it is fresh; return the task that does, if one does."""
        fresh = self._fresh_until.get(group_no, 0.0) > self.clock.now()
        if not (fresh or self._unknown_to_server or group_no in self._asking):
            task = self._asking[group_no] = self.tasks.start(self._ask(group_no), "preference")
            task.add_done_callback(lambda done: self._asked(group_no, done))
        return self._asking.get(group_no)

    def changed(self, group_no: str) -> None:
        """Note that a group has changed its mind: until it is known again, a mention is needed."""
        self.agreed.pop(group_no, None)
        self._fresh_until.pop(group_no, None)
        self._asking.pop(group_no, None)
        self.warm(group_no)

    def doubt(self) -> None:
        """Ask everything anew when it is needed: changes may have been missed, and the server may be another one."""
        self._unknown_to_server = False
        self._asking.clear()
        self._fresh_until.clear()

    def _asked(self, group_no: str, task: "asyncio.Task[None]") -> None:
        if self._asking.get(group_no) is task:
            del self._asking[group_no]

    async def _ask(self, group_no: str) -> None:
        agreed = False
        try:
            agreed = (await self.api.mention_preference(group_no)).effective
        except NotFound as error:
            if error.code == ROUTE_MISSING and not self._unknown_to_server:
                self._unknown_to_server = True
                self.log.debug("the server knows no mention preferences: mentions are needed everywhere")
        except ApiError as error:
            self.log.info("the mention preference of group %s cannot be had: %s", group_no, error)
        if (
            self._asking.get(group_no) is asyncio.current_task()
        ):  # else what was read may be older than a change
            self.agreed[group_no], self._fresh_until[group_no] = agreed, self.clock.now() + FRESH_FOR_S
