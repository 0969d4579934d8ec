"""What `run` does before it starts bots: as many file descriptors as it may have, room on the disk, metrics."""

import errno
import logging
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from openclaw_channel_octo.clock import Clock, SystemClock
from openclaw_channel_octo.config.agents import CommandAgentConfig, OpenAIAgentConfig
from openclaw_channel_octo.config.model import (
    BotConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    HealthConfig,
    ListenConfig,
    McpConfig,
    MetricsConfig,
    OctoConfig,
)
from openclaw_channel_octo.control.health import Health
from openclaw_channel_octo.errors import ConfigError, HostError, StoreError
from openclaw_channel_octo.runtime.channel import ChannelStatus, OctoChannel
from openclaw_channel_octo.store.admin import JournalAdmin
from openclaw_channel_octo.store.states import OPEN

if TYPE_CHECKING:
    from openclaw_channel_octo.control.prometheus import PrometheusMeter

__all__ = [
    "agent_warnings",
    "claim_descriptors",
    "descriptors_needed",
    "extras_for",
    "mcp_served",
    "meter_for",
    "metrics_served",
    "not_installed",
    "once_there_is_room",
    "probes_served",
    "program_trouble",
    "what_is_left",
    "what_runs",
]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

BASE = 96
"""Descriptors of a process without bots: streams, locks, journal, sockets, files open for a moment in threads."""

PER_SERVER = 48
"""Requests to one Octo server at once: three queues of sixteen."""

PER_BOT = 3
"""A bot's socket, the next one where the old has not gone yet, and its lease."""

PER_TURN = 6
"""Files of one turn that are fetched and sent, and the folders its runs may leave some in."""

PER_PROGRAM = 10
"""Pipes to and from one agent program, the child's ends while it starts, the handle that tells of its end, and the
program's connection to the endpoint of its tools."""

MACOS_LIMIT = 10_240
"""Most that macOS gives where its hard limit says unlimited."""

RETRY_S = 1.0
"""Wait between two tries on a full disk."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def claim_descriptors(host: EmbeddedHostConfig | GatewayHostConfig, bots: Sequence[BotConfig]) -> None:
    """Raise the limit of open files as far as this process may, and warn where even that may not be enough."""
    needed, limit = descriptors_needed(host, bots), _raised_limit()
    if limit < needed:
        _log.warning(
            "this process may have %d files open, and %d bots with up to %d turns at once may need %d: "
            "raise the hard limit (LimitNOFILE=%d in a systemd unit, ulimit -n in a shell), or lower host.maxTurns",
            limit,
            len(bots),
            _turns(host, bots),
            needed,
            needed,
        )


def descriptors_needed(host: EmbeddedHostConfig | GatewayHostConfig, bots: Sequence[BotConfig]) -> int:
    """Return how many files and sockets the bots may have open when everything they may do at once is done at once."""
    per_turn = PER_TURN
    if isinstance(host, EmbeddedHostConfig) and host.agent.kind == "command":
        per_turn += PER_PROGRAM
    servers = {urlsplit(bot.api_url)[:2] for bot in bots}
    return BASE + PER_SERVER * len(servers) + PER_BOT * len(bots) + per_turn * _turns(host, bots)


def _turns(host: EmbeddedHostConfig | GatewayHostConfig, bots: Sequence[BotConfig]) -> int:
    return min(host.max_turns, sum(bot.max_turns for bot in bots))


def _raised_limit() -> int:
    """Raise the soft limit of descriptors to the hard one, and return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, MACOS_LIMIT):
        if _number(soft) < _number(wanted):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):
                continue  # a hard limit that says unlimited and means less
            return _number(wanted)
    return _number(soft)


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


async def once_there_is_room(begin: Callable[[], Awaitable[_T]], clock: Clock) -> _T:
    """Return what ``begin`` returns, trying again every second while the disk is too full for it.

    Args:
        begin: called again after each failure, of which nothing may be left.
        clock: time.

    Raises:
        HostError: it failed for another reason.
    """
    waited = False
    while True:
        try:
            result = await begin()
        except HostError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _NO_SPACE:
                raise
            if not waited:
                _log.error("%s: the start waits until there is room; free disk space", error)
            waited = True
            await clock.sleep(RETRY_S)
        else:
            if waited:
                _log.warning("there is room on the disk again; the start goes on")
            return result


def meter_for(config: MetricsConfig | None) -> "PrometheusMeter | None":
    """Return the metrics backend, or ``None`` where none is configured.

    Raises:
        ConfigError: the library for it is not installed.
    """
    if config is None:
        return None
    try:
        from openclaw_channel_octo.control.prometheus import PrometheusMeter  # noqa: PLC0415  # an extra
    except ImportError:
        raise ConfigError(
            "metrics: needs a library, first: pip install 'openclaw-channel-octo[metrics]'"
        ) from None
    return PrometheusMeter()


def extras_for(config: OctoConfig) -> "PrometheusMeter | None":
    """Load what the configured tools and metrics need; return the metrics backend. Raises `ConfigError`."""
    _need_mcp(config.mcp)
    return meter_for(config.metrics)


def _need_mcp(config: McpConfig | None) -> None:
    """Load what serves tools by MCP, where that is configured. Raises `ConfigError`: it is not installed."""
    try:
        if config is not None:
            import_module("openclaw_channel_octo.control.mcp_http")
    except ImportError:
        raise ConfigError("mcp: needs a library, first: pip install 'openclaw-channel-octo[mcp]'") from None


def not_installed(config: OctoConfig) -> tuple[str, ...]:
    """Return what the configured metrics, tools and agent need and this machine does not have."""
    problems: tuple[str, ...] = ()
    for need in (partial(meter_for, config.metrics), partial(_need_mcp, config.mcp)):
        try:
            need()
        except ConfigError as error:
            problems += error.problems
    if isinstance(config.host, EmbeddedHostConfig) and isinstance(config.host.agent, OpenAIAgentConfig):
        try:
            import_module("openclaw_channel_octo.host.embedded.openai_client")
        except ConfigError as error:
            problems += error.problems
    return problems


def program_trouble(agent: CommandAgentConfig) -> tuple[str, str]:
    """Return why an agent's program cannot be run here and what to do, both empty where it can."""
    program = agent.command[0]
    path = {**os.environ, **agent.env}.get("PATH")
    if agent.cwd is not None and not os.access(f"{agent.cwd}/", os.X_OK):  # the slash: no file
        words = f"its folder {agent.cwd} is not there, or not for this user"
        return words, "make it, or change host.agent.cwd"
    found = program
    if agent.cwd is not None and "/" in program:  # it is looked for from its own folder
        found = str(agent.cwd / program)
    if shutil.which(found, path=path):
        return "", ""
    if shutil.which(found, mode=os.F_OK, path=path):
        return f"{program} must not be run by this user", "make it executable: chmod +x"
    return f"{program} is not there", "install it, or give its whole path in host.agent.command"


def agent_warnings(config: OctoConfig) -> tuple[str, ...]:
    """Return why the agent cannot do what is configured, a sentence or none.

    Its program may not be there, which each turn looks for anew; and only programs find tools by MCP.
    """
    agent = config.host.agent if isinstance(config.host, EmbeddedHostConfig) else None
    if not isinstance(agent, CommandAgentConfig):
        return ("mcp: no agent uses it: only programs do, host.agent of kind command",) if config.mcp else ()
    words, advice = program_trouble(agent)
    return (f"host.agent: {words}: {advice}",) if words else ()


@asynccontextmanager
async def metrics_served(
    config: MetricsConfig | None,
    meter: "PrometheusMeter | None",
    status: Callable[[], ChannelStatus],
    health: Health,
) -> AsyncIterator[str]:
    """Serve metrics and probes meanwhile, and yield the metrics' address, empty where there are none.

    The bots run without them where their address cannot be had.
    """
    where = ""
    async with AsyncExitStack() as served:
        if config is not None and meter is not None:
            meter.watch(status)
            where = await served.enter_async_context(_served("metrics", config, health, meter))
        yield where


@asynccontextmanager
async def probes_served(config: HealthConfig | None, health: Health) -> AsyncIterator[None]:
    """Answer probes meanwhile; the bots run without where their address cannot be had."""
    async with AsyncExitStack() as served:
        if config is not None:
            await served.enter_async_context(_served("readyz", config, health))
        yield


@asynccontextmanager
async def mcp_served(
    config: McpConfig | None, channel: OctoChannel, hide: Callable[[str], str]
) -> AsyncIterator[None]:
    """Serve the chat's tools by MCP meanwhile, for the runs of a channel; they do without where no port can be had."""
    async with AsyncExitStack() as served:
        if config is not None:
            from openclaw_channel_octo.control.mcp_http import HOST, PATH, serve_tools  # noqa: PLC0415  # an extra

            try:
                server = await serve_tools(channel, config.port, SystemClock(), hide)
            except OSError as error:
                _log.error("no mcp: port %d cannot be listened on (%s)", config.port, error.strerror)
            else:
                served.push_async_callback(server.close)
                channel.tools.url = f"http://{HOST}:{server.port}{PATH}"
                _log.info("mcp at %s", channel.tools.url)
        yield


@asynccontextmanager
async def _served(
    path: str, config: ListenConfig, health: Health, metrics: "PrometheusMeter | None" = None
) -> AsyncIterator[str]:
    from openclaw_channel_octo.control.http import serve  # noqa: PLC0415  # docs/decisions/0025

    where = ""
    async with AsyncExitStack() as served:
        try:
            server = await serve(config.host, config.port, config.hosts, health=health, metrics=metrics)
        except OSError as error:
            _log.error("no %s: %s cannot be listened on (%s)", path, config.listen, error.strerror)
        else:
            served.push_async_callback(server.close)
            where = f"http://{config.host}:{server.port}/{path}"
            _log.info("%s at %s", path, where)
        yield where


def what_runs(config: OctoConfig, bots: Sequence[BotConfig], metrics: str) -> str:
    """Return what a start has led to, in a line for the operator.

    Args:
        config: the configuration.
        bots: those that were to be started; one whose token cannot be read was not.
        metrics: where the metrics are, empty for nowhere.
    """
    names = [bot.account_id for bot in bots if not bot.token_problem]
    number = str(len(names)) if len(names) == len(bots) else f"{len(names)} of {len(bots)}"
    if isinstance(config.host, GatewayHostConfig):
        host = f"the gateway at {config.host.url.partition('?')[0]}"
    else:
        host = f"the embedded host, {config.host.agent.kind} agent"
    told = f"{number} bot{'' if number == '1' else 's'} ({', '.join(names)}) on {host}; state folder"
    return f"{told} {config.host.state_dir}; {f'metrics at {metrics}' if metrics else 'no metrics'}"


def what_is_left(state_dir: Path, *, drained: bool) -> str:
    """Return what a stop leaves behind, in a line for the operator.

    Args:
        state_dir: the state folder, whose journal is closed by now.
        drained: whether every turn came to its own end.
    """
    turns = "every turn came to its end" if drained else "turns were cut short"
    try:
        counts = JournalAdmin(state_dir / "octo.sqlite").counts()
    except StoreError:  # none was begun, or it is broken, which was told already
        return turns
    waiting = sum(counts.get(state, 0) for state in OPEN)
    return f"{turns}; messages that wait for the next start: {waiting}"
