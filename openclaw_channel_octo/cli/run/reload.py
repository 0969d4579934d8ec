"""The configuration of a running program read again: on SIGHUP, and for those who ask over the control socket."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import to_builtins
from pydantic import SecretStr

from openclaw_channel_octo.cli.run.hosts import Hosts
from openclaw_channel_octo.cli.run.start import agent_warnings, claim_descriptors
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.config.load import Loaded, select_accounts
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.observe.logs import Secrets
from openclaw_channel_octo.observe.notify import ServiceManager
from openclaw_channel_octo.runtime.background import aside

__all__ = ["Hidden", "Reloader"]

_log = logging.getLogger(__name__)

_STOPPING = "the bots are stopping, nothing was changed"


class Hidden:
    """The secrets of every configuration this process has read: what one of them named may still be on its way out.

    Args:
        secrets: of the first.
        changed: told all of them, at once and when there are more.
    """

    def __init__(self, secrets: Sequence[SecretStr], changed: Callable[..., None] = lambda *_: None) -> None:
        self._changed = changed
        self._hide_all(tuple(dict.fromkeys(secrets)))

    def add(self, secrets: Sequence[SecretStr]) -> None:
        """Hide these as well."""
        known = tuple(dict.fromkeys((*self.secrets, *secrets)))
        if known != self.secrets:
            self._hide_all(known)

    def _hide_all(self, secrets: tuple[SecretStr, ...]) -> None:
        self.secrets, self._hide = secrets, Secrets(*secrets)
        self._changed(*secrets)

    def hidden(self, text: str) -> str:
        """Return a text without any of them."""
        return self._hide.hidden(text)


class Reloader:
    """Reads the configuration again and has the bots go by it, one reload after the other.

    Args:
        read: reads it, in a thread; raises `ConfigError` with everything that is wrong.
        hosts: has the bots and their host go by it.
        hidden: takes the secrets.
        manager: told of each reload.
        accounts: the only accounts to run, none for all.
    """

    def __init__(
        self,
        read: Callable[[], Loaded],
        hosts: Hosts,
        hidden: Hidden,
        manager: ServiceManager,
        accounts: Sequence[str] = (),
    ) -> None:
        self._read = read
        self._hosts = hosts
        self.hidden = hidden
        self.manager = manager
        self.accounts = accounts
        self._tasks: set[asyncio.Task[Mapping[str, Any]]] = set()
        self._next: asyncio.Task[Mapping[str, Any]] | None = None
        self._closed = False
        self.turn = asyncio.Lock()
        """Held by a reload, and by the start: one that is asked for meanwhile comes after it."""

    async def reload(self) -> Mapping[str, Any]:
        """Reload and return what came of it: ``problems``, which leave everything as it was, else what `Reload` has.

        A caller who does not wait for the end does not end it.

        Raises:
            HostError: the bots are stopping.
        """
        task = self.begin()
        await asyncio.wait({task})
        if task.cancelled():
            raise HostError(_STOPPING)
        return task.result()

    def begin(self) -> "asyncio.Task[Mapping[str, Any]]":
        """Have a reload begin without waiting for it; what comes of it is in the log. Raises `HostError` as `reload`.

        One that has not begun to read yet serves all who ask.
        """
        if self._closed:
            raise HostError(_STOPPING)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._in_turn(), name="octo:reload")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)
        return self._next

    def on_signal(self, number: signal.Signals) -> None:
        """Begin a reload because a signal asks for it; without effect once the bots are stopping."""
        _log.info("%s: the configuration is read again", number.name)
        with suppress(HostError):
            self.begin()

    async def close(self) -> None:
        """Give up reloads that have not got to the bots yet, and take none any more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _in_turn(self) -> Mapping[str, Any]:
        async with self.turn:
            self._next = None
            with self.manager.reloading(SystemClock()):
                try:
                    loaded = await aside(self._read)
                    self.hidden.add(loaded.config.secrets())
                    claim_descriptors(loaded.config.host, select_accounts(loaded.config, self.accounts))
                    done = await self._hosts.reload(loaded.config, self.accounts, self.hidden.secrets)
                except ConfigError as error:
                    return self._refused(error.problems)
                except HostError as error:
                    return self._refused([str(error)])
        missing = await aside(lambda: agent_warnings(loaded.config))
        warnings = [*loaded.warnings, *missing]
        for warning in warnings:
            _log.warning("configuration: %s", warning)
        for line in done.lines():
            _log.info("configuration read again: %s", line)
        return {"problems": [], "warnings": warnings, "lines": done.lines(), **to_builtins(done)}

    def _refused(self, problems: Sequence[str]) -> Mapping[str, Any]:
        self._hosts.channel.reload_refused(tuple(map(self.hidden.hidden, problems)))
        for problem in problems:
            _log.error("the configuration was not taken over, nothing was changed: %s", problem)
        return {"problems": list(problems)}
