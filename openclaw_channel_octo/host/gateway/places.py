"""What a gateway is told so that it finds a conversation again: its route, and its name (decision 0050)."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.errors import HostError, HostUnavailable
from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.host.fields import mapping, text
from openclaw_channel_octo.host.gateway.connection import GatewayConnection
from openclaw_channel_octo.host.gateway.sessions import SuccessorFile
from openclaw_channel_octo.message.text import single_line
from openclaw_channel_octo.session.key import is_main

__all__ = ["Places"]

_log = logging.getLogger(__name__)

LONGEST_NAME = 80
"""Characters of a session's name; gateways take 512."""
LOOK_EVERY_S = 60.0
"""How often a gateway without the channel is asked for it again: a plugin may be loaded while it runs."""


class Places:
    """Tells a gateway where a run's conversation is.

    The route is what heartbeats, cron jobs and results of sub-agents are delivered by. It needs the channel in the
    gateway, which the plugin registers: a gateway without it refuses a request that names the channel.

    Args:
        connection: to the gateway.
        file: keeps the names that sessions were given.
        row: returns a session's row by its key in the gateway, empty where there is no such session; raises
            `HostError`.
        clock: time.
    """

    def __init__(
        self,
        connection: GatewayConnection,
        file: SuccessorFile,
        row: Callable[[str], Awaitable[Mapping[str, Any]]],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._file = file
        self._row = row
        self._clock = clock
        self._has_channel = False
        self._accounts: frozenset[str] = frozenset()
        """Its accounts of the channel; a name it does not know would be refused later, and is left out."""
        self._look_at = -math.inf

    def forget(self) -> None:
        """Ask again whether the gateway has the channel: it may be another one."""
        self._has_channel = False
        self._look_at = -math.inf

    async def of(self, turn: Turn, session_key: str) -> Mapping[str, str]:
        """Return what the request for a run adds: parameters of ``agent``, possibly none.

        A session that several conversations share is named by none of them, and its route leads to the bot's owner:
        what an agent says by itself there must not reach whoever wrote last.

        Args:
            turn: what is asked.
            session_key: the session in the gateway.

        Raises:
            HostUnavailable: the gateway is away.
        """
        shared, place = is_main(turn.session_key), dict[str, str]()
        owners = turn.conversation == "direct" and turn.sender.is_owner
        if (not shared or owners) and await self._knows(turn.channel):
            kind = "user" if turn.conversation == "direct" else "group"
            place = {"channel": turn.channel, "to": f"{kind}:{turn.channel_id}"}
            if turn.account_id.casefold() in self._accounts:
                place["accountId"] = turn.account_id
        if not shared and (name := await self._new_name(turn, session_key)):
            place["label"] = name
        return place

    async def _knows(self, channel: str) -> bool:
        """Return whether the gateway has the channel."""
        if not self._has_channel and self._clock.now() >= self._look_at:
            self._look_at = self._clock.now() + LOOK_EVERY_S
            status = await self._ask(self._connection.call("channels.status", {}))
            self._has_channel = channel in mapping(status.get("channels"))
            rows = mapping(status.get("channelAccounts")).get(channel)
            accounts = map(mapping, rows if isinstance(rows, list) else ())
            self._accounts = frozenset(text(row.get("accountId")).casefold() for row in accounts)
        return self._has_channel

    async def _new_name(self, turn: Turn, session_key: str) -> str:
        """Return the conversation's name where its session has another one, except one that the operator gave it."""
        name = single_line(turn.title, LONGEST_NAME)
        if not name:
            return ""
        given = self._file.name(session_key)
        now = text((await self._ask(self._row(session_key))).get("label"))
        if now == name or (now and now != given):
            return ""
        if name != given:
            try:
                await asyncio.to_thread(self._file.put_name, session_key, name)
            except HostError as error:
                _log.warning("session %s keeps the name %s: %s", session_key, name, error)
        return name

    async def _ask(self, asked: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            return await asked
        except HostUnavailable:
            raise
        except HostError as error:
            _log.debug("a run goes without its route or name: %s", error)
            return {}
