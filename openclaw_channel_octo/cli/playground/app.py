"""A chat with one bot in this process: double, embedded host and channel, put together as ``run`` does it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.cli.output import journal_in
from openclaw_channel_octo.cli.playground.prompts import GivenPrompts
from openclaw_channel_octo.cli.playground.timeline import Kind, Timeline, WatchedHost
from openclaw_channel_octo.cli.run.command import controlled
from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, OctoConfig
from openclaw_channel_octo.config.secrets import secret_variables
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.base import ChatTools, TakesChatTools
from openclaw_channel_octo.host.configure import agent_from_config
from openclaw_channel_octo.host.embedded.agents import (
    Agent,
    AgentError,
    AnswerCut,
    Prompt,
    StartedAgent,
    hides_thinking,
    writes_to_terminal,
)
from openclaw_channel_octo.host.embedded.memory import HISTORY_MESSAGES
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.runtime.channel import OctoChannel
from openclaw_channel_octo.runtime.turn.recovery import SessionView
from openclaw_channel_octo.store.admin import JournalRow
from openclaw_channel_octo.testing.octo.double import NotReached, OctoDouble
from openclaw_channel_octo.testing.octo.faults import Slow

__all__ = [
    "HELPER",
    "SLOW_S",
    "NextTurn",
    "PlaygroundApp",
    "Settings",
    "configured",
    "meanwhile",
    "plain",
    "seed",
]

HELPER: Final = "helper_bot"
"""The bot's uid."""

TOKEN: Final = "bf_playground"  # noqa: S105  # no secret: whoever reaches the server may do everything
"""The bot's token on the double, which exists only inside this process."""

THINKING_S: Final = 1.0
"""How long the echo pretends to think."""

TURN_S: Final = 10.0
"""What a turn may take, where no configuration says."""

SLOW_S: Final = 3.0
"""How long a message takes while sending is slow: ten of them leave people the time to write ``/stop``."""


class Settings(Struct, frozen=True, kw_only=True):
    """What is put on the stage.

    Attributes:
        bot: the bot; its address and token are those of the double.
        host: the host.
        thinking_s: how long the agent pretends to think before it does anything.
        secrets: values no prompt that is shown may have, besides those of bot and host.
    """

    bot: BotConfig
    host: EmbeddedHostConfig
    thinking_s: float = 0.0
    secrets: tuple[SecretStr, ...] = ()


def plain(state_dir: Path, *, turn_s: float = TURN_S) -> Settings:
    """Return a bot on embedded defaults, whose agent echoes after a moment.

    Args:
        state_dir: an empty folder.
        turn_s: seconds a turn may take.
    """
    return Settings(
        bot=BotConfig(account_id="helper", token=SecretStr(TOKEN)),
        host=EmbeddedHostConfig(state_dir=state_dir, timeout_seconds=turn_s),
        thinking_s=THINKING_S,
    )


def configured(config: OctoConfig, state_dir: Path, account: str = "") -> Settings:
    """Return the settings and the agent of a configured bot; its server and its sessions stay untouched.

    Args:
        config: the configuration.
        state_dir: an empty folder in the place of the configured one.
        account: which bot, the first that is on by default.

    Raises:
        ConfigError: there is no such account, or turns run in a gateway.
    """
    if not isinstance(config.host, EmbeddedHostConfig):
        raise ConfigError("turns run in a gateway there: only agents of the embedded host can be played with")
    chosen = select_accounts(config, [account] if account else [])
    if not chosen:
        raise ConfigError("no account is on: there is no bot to play with")
    elsewhere = {"token": SecretStr(TOKEN), "token_problem": "", "ws_url": None, "cdn_url": None}
    return Settings(
        bot=chosen[0].model_copy(update=elsewhere),
        host=config.host.model_copy(update={"state_dir": state_dir}),
        secrets=(*config.secrets(), *secret_variables(os.environ)),
    )


def seed(octo: OctoDouble) -> tuple[ChannelRef, ChannelRef]:
    """Add Ann, who owns the bot, Ben, the bot, their group and its thread; return group and thread."""
    octo.add_person("ann", "Ann")
    octo.add_person("ben", "Ben")
    octo.add_bot(HELPER, TOKEN, name="Helper", owner="ann")
    group = octo.add_group("build-room", ["ann", "ben", HELPER], name="Build room")
    return group, octo.add_thread("build-room", "2039626171074744320")


class NextTurn(StrEnum):
    """What becomes of an agent's next turn."""

    ANSWER = "answer"
    FAIL = "fail"
    HANG = "hang"
    EMPTY = "empty"
    LONG = "long"
    CUT = "cut"


class SwitchableAgent:
    """Answers as another agent does, unless its next turn was told to fail, hang, stay empty, say too much or be cut.

    Args:
        agent: gives the answers.
        clock: time.
        thinking_s: seconds of ``clock`` before anything happens, so that people see the bot typing.
        too_much: characters that are too many for one answer.
        asked: told each prompt.
    """

    def __init__(
        self, agent: Agent, clock: Clock, thinking_s: float, too_much: int, asked: Callable[[Prompt], None]
    ) -> None:
        self.next_turn = NextTurn.ANSWER
        self._agent = agent
        self.writes_to_terminal = writes_to_terminal(agent)
        self.hide_thinking = hides_thinking(agent)
        self.history_messages: int = getattr(agent, "history_messages", HISTORY_MESSAGES)
        self._clock = clock
        self._thinking_s = thinking_s
        self._too_much = too_much
        self._asked = asked

    def take_tools(self, tools: ChatTools) -> None:
        """Pass on what an agent can do in the chat, to one that can do anything."""
        if isinstance(self._agent, TakesChatTools):
            self._agent.take_tools(tools)

    async def start(self) -> None:
        """Let the other agent get ready, where it has to."""
        if isinstance(self._agent, StartedAgent):
            await self._agent.start()

    async def stop(self) -> None:
        """Let the other agent give back what it took."""
        if isinstance(self._agent, StartedAgent):
            await self._agent.stop()

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        """Yield the answer in pieces, or none; never ends where the turn is to hang. Raises as `Agent` does."""
        turn, self.next_turn = self.next_turn, NextTurn.ANSWER
        self._asked(prompt)
        await self._clock.sleep(self._thinking_s)
        match turn:
            case NextTurn.FAIL:
                raise AgentError("the turn was made to fail")
            case NextTurn.HANG:
                await asyncio.get_running_loop().create_future()
            case NextTurn.LONG:
                line = "This is line %d of an answer that is too long for the chat.\n"
                for number in range(1, self._too_much // len(line) + 1):
                    yield line % number
            case NextTurn.ANSWER | NextTurn.CUT:
                async for piece in self._agent.reply(prompt):
                    yield piece
                if turn is NextTurn.CUT:
                    raise AnswerCut


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do ``work`` for as long as the context lasts; what breaks it is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


class PlaygroundApp:
    """The bot and everything around it.

    The host skips sessions whose last run failed, as old gateways do: only the guard keeps the bot answering.

    Args:
        octo: the double, furnished.
        settings: bot and host.
        clock: the one the double has.

    Attributes:
        settings: as given.
        agent: answers; its next turn can be made to go wrong.
        timeline: what has happened.
        prompts: what the agent was given.
        guarded: whether the bot's guard is on.
        slow: whether each message the bot sends takes `SLOW_S`.
    """

    def __init__(self, octo: OctoDouble, settings: Settings, clock: Clock) -> None:
        agent = agent_from_config(settings.host.agent, settings.host.state_dir)
        self.settings = settings
        too_much = (settings.bot.max_reply_messages + 1) * settings.bot.reply_chunk
        self.guarded = settings.bot.guard.enabled
        self.slow = False
        self._octo = octo
        self._clock = clock
        self._account_id = settings.bot.account_id
        secrets = self._config().secrets()
        self.prompts = GivenPrompts((*settings.secrets, *secrets))
        self.agent = SwitchableAgent(agent, clock, settings.thinking_s, too_much, self.prompts.note)
        notice = settings.bot.restart_notice
        self.timeline = Timeline(octo, HELPER, clock, self.session_key, announcement=notice)
        self._host = WatchedHost(
            self.timeline,
            state_dir=settings.host.state_dir,
            agent_id=settings.host.agent_id,
            agent=self.agent,
            clock=clock,
            timeout_s=settings.host.timeout_seconds,
            strict=True,
            secrets=secrets,
        )
        self._channel: OctoChannel | None = None
        self._bot = AsyncExitStack()
        self._switching = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run host and bot meanwhile; it begins when the bot is connected. Raises `HostError`."""
        async with AsyncExitStack() as started:
            await self._host.start()
            started.push_async_callback(self._host.stop)
            await started.enter_async_context(meanwhile(self.timeline.follow()))
            started.push_async_callback(self._stop_bot)
            await self._start_bot()
            yield

    def session_key(self, channel: ChannelRef) -> str:
        """Return the session key of a conversation as the bot addresses it."""
        return self.settings.host.routing.route(self._account_id, channel).session_key

    async def look(self, session_key: str) -> SessionView:
        """Return what the next message of a session will meet. Raises `HostError`, also while the bot restarts."""
        if self._channel is None:
            raise HostError("the bot is being restarted")
        return await self._channel.look(session_key)

    async def fates(self, message_ids: Sequence[str]) -> dict[str, JournalRow]:
        """Return what the bot's journal says of messages, by their ids: the gate's decision, and what came of it.

        Raises `StoreError`.
        """
        journal = journal_in(self.settings.host.state_dir)
        rows = await asyncio.to_thread(journal.of_messages, self._account_id, message_ids)
        return {row.message_id: row for row in rows}

    async def guard(self, *, enabled: bool) -> None:
        """Restart the bot with its guard on or off; sessions stay as they are. Raises `HostError`."""
        async with self._switching:
            self.guarded = enabled
            await self._stop_bot()
            self.timeline.note("", Kind.CONNECTION, f"the bot restarts, guard {'on' if enabled else 'off'}")
            await self._start_bot()

    def slow_down(self, *, slow: bool) -> None:
        """Let each message the bot sends from now on take `SLOW_S`, or no time."""
        self.slow = slow
        if slow:
            self._octo.fail_next("sendMessage", Slow(SLOW_S), times=None)
        else:
            self._octo.heal("sendMessage")

    def _config(self) -> OctoConfig:
        guard = self.settings.bot.guard.model_copy(update={"enabled": self.guarded})
        bot = self.settings.bot.model_copy(update={"api_url": self._octo.api_url, "guard": guard})
        return OctoConfig(host=self.settings.host, accounts={self._account_id: bot})

    async def _start_bot(self) -> None:
        config = self._config()
        channel = OctoChannel(config, clock=self._clock, leases=config.host.state_dir)
        async with AsyncExitStack() as started:
            started.push_async_callback(channel.stop, 0)
            await channel.start(self._account_id, self._host)
            await started.enter_async_context(controlled(config, channel))
            try:
                await self._octo.wait_for(lambda: self._octo.online(HELPER))
            except NotReached:
                raise HostError("the bot does not connect; its log lines (--verbose) tell why") from None
            self._bot = started.pop_all()
        self._channel = channel

    async def _stop_bot(self) -> None:
        self._channel = None
        await self._bot.aclose()
