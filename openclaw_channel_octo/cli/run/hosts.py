"""The hosts of a running program: the one that takes turns, and those whose last turns end."""

import asyncio
import logging
from collections.abc import Sequence

from pydantic import SecretStr

from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.host.configure import host_for_change
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.fleet.changes import Reload, kept

__all__ = ["Hosts"]

_log = logging.getLogger(__name__)


class Hosts:
    """Stops every host it was given, each once its last run has ended.

    Args:
        current: the first; started by somebody else, at whatever time.
        channel: the bots, which use them.
    """

    def __init__(self, current: AgentHost, channel: OctoChannel) -> None:
        self.current = current
        self.channel = channel
        self._leaving: dict[asyncio.Task[None], AgentHost] = {}

    async def reload(
        self, config: OctoConfig, accounts: Sequence[str], secrets: Sequence[SecretStr]
    ) -> Reload:
        """Have the channel go by another configuration, with the host it asks for.

        Args:
            config: all of it.
            accounts: the only accounts to run, none for all.
            secrets: values no error of an agent may show.

        Raises:
            ConfigError: something in it cannot be; nothing has changed.
            HostError: its host cannot be had; nothing has changed.
        """
        before = self.channel.config
        wanted, _ = kept(before, config)
        host = await host_for_change(self.current, before.host, wanted.host, secrets=secrets)
        try:
            done = await self.channel.reload(config, host, accounts=accounts)
        except BaseException:  # raised again: a host that nobody uses is not left running
            if host is not self.current:
                await host.stop()
            raise
        if host is not self.current:
            leaving = asyncio.get_running_loop().create_task(
                self._leave(self.current), name="octo:host:leave"
            )
            self._leaving[leaving] = self.current
            leaving.add_done_callback(self._leaving.pop)
            self.current = host
        return done

    async def stop(self) -> None:
        """Stop all of them; no turn runs any more."""
        leaving = list(self._leaving)
        try:
            await self.current.stop()
        finally:
            if leaving:
                await asyncio.wait(leaving)

    async def _leave(self, host: AgentHost) -> None:
        await self.channel.released(host)
        try:
            await host.stop()
        except HostError as error:
            _log.warning("the host before could not be stopped: %s", error)
