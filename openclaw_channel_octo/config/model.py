"""What is configured, as frozen values with every default filled in (design §8).

Over 350 lines: every setting with its bounds, its default and its sentence.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, InstanceOf, SecretStr, Strict
from pydantic.json_schema import SkipJsonSchema

from openclaw_channel_octo.config.access import AccessSettings
from openclaw_channel_octo.config.agents import (
    AgentConfig,
    CommandAgentConfig,
    EchoAgentConfig,
    OpenAIAgentConfig,
    nameable,
)
from openclaw_channel_octo.config.base import FrozenModel, HttpBase, WsUrl, is_host
from openclaw_channel_octo.config.streaming import StreamingConfig
from openclaw_channel_octo.config.texts import Notice, Texts
from openclaw_channel_octo.session.route import Routing

__all__ = [
    "LONGEST_WAIT_S",
    "AgentConfig",
    "BotConfig",
    "BotSettings",
    "CommandAgentConfig",
    "EchoAgentConfig",
    "EmbeddedHostConfig",
    "GatewayHostConfig",
    "GuardConfig",
    "HealthConfig",
    "HostConfig",
    "ListenConfig",
    "McpConfig",
    "MetricsConfig",
    "OctoConfig",
    "OpenAIAgentConfig",
    "StreamingConfig",
    "Texts",
]

LONGEST_WAIT_S = 2_147_483
_HIGHEST_PORT = 65_535
_ADDRESS = re.compile(r"(?:(?P<plain>[^\[:\s][^:\s]*)|\[(?P<bracketed>\S+)\]):(?P<port>[0-9]+)")


def _agent_id(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError("must be 1 to 64 lower-case letters, digits, _ or -, the first a letter or digit")
    return name


def _media_root(folder: Path) -> Path:
    if not folder.is_absolute() or folder == Path(folder.anchor):
        raise ValueError("must be a folder below the root: everything in it can be sent to people")
    return folder


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    host = (found["plain"] or found["bracketed"]) if found else ""
    if not found or not is_host(host) or not host.isprintable():
        raise ValueError("must be an address and a port, such as 127.0.0.1:9464 or [::1]:9464")
    if int(found["port"]) > _HIGHEST_PORT:
        raise ValueError(f"must name a port of at most {_HIGHEST_PORT}")
    return text


class GuardConfig(FrozenModel):
    """What happens before a turn in a session whose last run failed (design §5).

    Attributes:
        enabled: whether sessions are checked at all, before and after a turn.
        notice: where the restart is announced.
        notice_text: the announcement, ``None`` for the one in the language of the bot's texts.
    """

    enabled: bool = True
    notice: Literal["groups", "all", "never"] = "groups"
    notice_text: Notice | None = None


class RateLimitConfig(FrozenModel):
    """How much a bot answers; its owner meets no limit.

    Attributes:
        person_per_minute: messages of one person, 0 for any number.
        conversation_per_minute: messages in one conversation, 0 for any number.
    """

    person_per_minute: Annotated[int, Field(ge=0, le=100_000)] = 30
    conversation_per_minute: Annotated[int, Field(ge=0, le=100_000)] = 120


class LoopProtectionConfig(FrozenModel):
    """When bots that answer each other are stopped; a person's message there starts the count anew.

    Attributes:
        enabled: whether they are.
        max_events_per_window: turns one other bot may set off within the window in a conversation.
        window_seconds: the window.
        cooldown_seconds: how long the other bot is not listened to, unless a person speaks before.
    """

    enabled: bool = True
    max_events_per_window: Annotated[int, Field(ge=1, le=1_000)] = 6
    window_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    cooldown_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600


class BotSettings(AccessSettings):
    """Settings that the channel block and each account block may hold (reference-behaviour §a.1).

    Who may talk to the bot: see `AccessSettings`.

    Attributes:
        enabled: off switch; an account is on only if the channel and the account are.
        name: label for status displays, possibly empty.
        api_url: base of the bot API, without a trailing slash; paths are appended.
        cdn_url: where the deployment keeps its files, if not with the API; may lie inside the network.
        ws_url: overrides the socket address the server names at registration; its query may be secret.
        require_mention: whether groups and threads must address the bot.
        answer_others_mentions: whether, where they need not, it answers messages that mention only others.
        reply_triggers: whether a person's reply to a message of the bot addresses it.
        silent_replies: whether an agent may decline to answer, or people are told that nothing came.
        dispatch_timeout_ms: milliseconds a turn may take; ``None`` leaves it to the host's budget.
        guard: see `GuardConfig`.
        texts: see `Texts`.
        rate_limit: see `RateLimitConfig`.
        bot_loop_protection: see `LoopProtectionConfig`.
        streaming: see `StreamingConfig`.
        max_turns: turns of this bot at once.
        lane_length: messages of one conversation that may wait.
        cold_start_max_age_seconds: messages sent longer than this before a start are not answered any more.
        history_limit: earlier messages of a group that come with a mention, those since the last answer; 0 for none.
        media_max_mb: largest file that is fetched for an agent, in MiB; 0 fetches none.
        media_roots: folders from which an agent may send files, absolute after loading.
        quote_replies: whether an answer begins with a quote of the message it answers.
        keep_prompts: whether the journal keeps what the agent was given for every message, not only for failed runs.
        mention_everyone: whether ``@all`` in an answer calls everybody in a group.
        reply_chunk: longest single message of an answer, in UTF-16 units.
        max_reply_messages: messages one answer may become, its files not counted; what is longer ends with a text file.
    """

    enabled: bool = True
    name: Annotated[str, Field(max_length=200)] = ""
    api_url: HttpBase = "http://localhost:8090/api"
    cdn_url: HttpBase | None = None
    ws_url: Annotated[WsUrl | None, Field(repr=False)] = None
    require_mention: bool = True
    answer_others_mentions: bool = False
    reply_triggers: bool = True
    silent_replies: Literal["notify", "allow"] = "notify"
    dispatch_timeout_ms: Annotated[int, Field(ge=1_000, le=LONGEST_WAIT_S * 1_000)] | None = None
    guard: GuardConfig = Field(default_factory=GuardConfig)
    texts: Texts = Field(default_factory=Texts)
    rate_limit: RateLimitConfig = Field(default_factory=RateLimitConfig)
    bot_loop_protection: LoopProtectionConfig = Field(default_factory=LoopProtectionConfig)
    streaming: StreamingConfig = Field(default_factory=StreamingConfig)
    max_turns: Annotated[int, Field(ge=1, le=1_000)] = 8
    lane_length: Annotated[int, Field(ge=1, le=10_000)] = 20
    cold_start_max_age_seconds: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = 3_600
    history_limit: Annotated[int, Field(ge=0, le=200)] = 20
    media_max_mb: Annotated[int, Field(ge=0, le=500)] = 20
    media_roots: Annotated[tuple[Annotated[Path, AfterValidator(_media_root)], ...], Field(strict=False)] = ()
    quote_replies: Literal["never", "first"] = "never"
    keep_prompts: bool = False
    mention_everyone: bool = False
    reply_chunk: Annotated[int, Field(ge=100, le=20_000)] = 3_500
    max_reply_messages: Annotated[int, Field(ge=1, le=1_000)] = 10


class BotConfig(BotSettings):
    """One bot with everything resolved.

    Attributes:
        account_id: the account's id, lower case.
        token: the bot token; empty where the account is off or `token_source` was not read.
        token_source: where the token comes from, fit to be shown; empty when none is configured.
        token_problem: why the token cannot be read now, with its place in the file; empty when nothing is wrong.
        disabled_by: paths of the switches that turn this account off; empty exactly when `enabled`.
    """

    account_id: str
    token: SecretStr
    token_source: str = ""
    token_problem: str = ""
    disabled_by: Annotated[tuple[str, ...], Strict(strict=False)] = ()

    @property
    def restart_notice(self) -> str:
        """What the guard announces: ``guard.noticeText``, else the text of the bot's language."""
        return self.guard.notice_text or self.texts.restarting

    def turn_budget_s(self, host_timeout_s: float) -> float:
        """Return the seconds a turn of this bot may take: ``dispatchTimeoutMs``, else the host's budget."""
        if self.dispatch_timeout_ms is None:
            return host_timeout_s
        return self.dispatch_timeout_ms / 1_000


DEFAULT_TIMEOUT_S = 600.0
"""Seconds a turn may take where nothing else is set."""


class HostConfig(FrozenModel):
    """What every kind of host has (design §8).

    Attributes:
        state_dir: folder of the journal and of what the host itself keeps; absolute after loading.
        timeout_seconds: seconds a turn may take where a bot sets no ``dispatchTimeoutMs``.
        max_turns: turns of all bots at once.
        drain_seconds: seconds running turns get to finish when the process is asked to stop.
    """

    state_dir: Annotated[Path, AfterValidator(nameable)]
    timeout_seconds: Annotated[float, Field(gt=0, le=LONGEST_WAIT_S, allow_inf_nan=False)] = DEFAULT_TIMEOUT_S
    max_turns: Annotated[int, Field(ge=1, le=10_000)] = 32
    drain_seconds: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S, allow_inf_nan=False)] = 30.0


class EmbeddedHostConfig(HostConfig):
    """The host inside this package (design §6).

    Attributes:
        kind: ``embedded``.
        agent_id: the agent that answers, lower case; part of session keys and of paths in ``state_dir``.
        agent: what runs a turn.
        strict: whether a failed session skips every turn, as old gateways do; for tests and comparison.
    """

    kind: Literal["embedded"] = "embedded"
    agent_id: Annotated[str, AfterValidator(_agent_id)] = "main"
    agent: AgentConfig = Field(default_factory=EchoAgentConfig)
    strict: bool = False

    @property
    def routing(self) -> Routing:
        """Which agent and session a conversation belongs to: one agent, a session for every conversation."""
        return Routing(default_agent=self.agent_id, dm_scope="per-channel-peer")


class GatewayHostConfig(HostConfig):
    """A running OpenClaw gateway (openclaw-host §4).

    Attributes:
        kind: ``gateway``.
        url: where it listens, ``ws://`` or ``wss://``.
        token: its shared token, ``None`` where it takes none or a password.
        password: its password, likewise.
        scopes: what this client asks leave for; ``operator.admin`` is never asked for.
        approvals: whether people in the chat are asked what its agents want leave for, and decide it there.
        openclaw_config: the gateway's own file, read for url, secrets, bots and routing; ``None`` to read none.
        jobs_may_read: whether agents of the gateway may read conversations in sessions that are no conversation's,
            such as those of cron jobs and an agent's main one.
        routing: which agent and session a conversation belongs to, as the gateway itself resolves it.
    """

    kind: Literal["gateway"] = "gateway"
    url: WsUrl = "ws://127.0.0.1:18789"
    token: SecretStr | None = None
    password: SecretStr | None = None
    scopes: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = (
        "operator.read",
        "operator.write",
    )
    approvals: bool = False
    openclaw_config: Path | None = None
    jobs_may_read: bool = False
    routing: SkipJsonSchema[InstanceOf[Routing]] = Routing()  # no key of the file


class ListenConfig(FrozenModel):
    """Where something about the bots can be read over HTTP, without any protection but the address.

    Attributes:
        listen: address and port; port 0 takes a free one.
        hosts: names by which this machine is asked for it, besides that address and ``localhost``.
    """

    listen: Annotated[str, AfterValidator(_address)]
    hosts: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(strict=False)
    ] = ()

    @property
    def host(self) -> str:
        """The address alone."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port alone."""
        return int(self.listen.rpartition(":")[2])


class MetricsConfig(ListenConfig):
    """Where the numbers about the bots can be read, and whether they work (docs/operations.md)."""


class HealthConfig(ListenConfig):
    """Where only can be read whether the bots work (docs/operations.md)."""


class McpConfig(FrozenModel):
    """Where agents find the chat's tools by MCP, on this machine alone (docs/agents.md).

    Attributes:
        port: of 127.0.0.1; 0 takes a free one.
    """

    port: Annotated[int, Field(ge=0, le=_HIGHEST_PORT)] = 0


class OctoConfig(FrozenModel):
    """The whole configuration.

    Attributes:
        host: who runs the turns.
        accounts: every configured bot, also those that are off, by lower-case account id.
        metrics: where numbers about the bots can be read, ``None`` for nowhere.
        health: where probes can ask whether they work, ``None`` for nowhere but with the metrics.
        mcp: where agents find the chat's tools by MCP over HTTP, ``None`` for nowhere.
    """

    host: Annotated[EmbeddedHostConfig | GatewayHostConfig, Field(discriminator="kind")]
    accounts: Mapping[str, BotConfig]
    metrics: MetricsConfig | None = None
    health: HealthConfig | None = None
    mcp: McpConfig | None = None

    def secrets(self) -> tuple[SecretStr, ...]:
        """Return the tokens and keys, for those who have to hide them."""
        own: tuple[SecretStr | None, ...] = ()
        match self.host:
            case GatewayHostConfig() as host:
                own = (host.token, host.password)
            case EmbeddedHostConfig(agent=OpenAIAgentConfig() as agent):
                own = (agent.api_key, *agent.headers.values())
        found = (*(bot.token for bot in self.accounts.values()), *own)
        return tuple(secret for secret in found if secret is not None and secret.get_secret_value())
