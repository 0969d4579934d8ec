"""The public API as host and test authors write it; mypy and pyright check this file, nothing runs it.

A remark ``type: ignore`` marks a mistake that both checkers have to find.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never, assert_type

import click
import pluggy

import openclaw_channel_octo
from openclaw_channel_octo import (
    AgentHost,
    OctoChannel,
    OctoConfig,
    OctoError,
    Turn,
    TurnEvent,
    hookspecs,
    plugin,
)
from openclaw_channel_octo.clock import Clock, SystemClock, within
from openclaw_channel_octo.config.load import Loaded, load_config, parse_config, parse_host, select_accounts
from openclaw_channel_octo.config.model import (
    BotConfig,
    CommandAgentConfig,
    EchoAgentConfig,
    EmbeddedHostConfig,
    GatewayHostConfig,
    OpenAIAgentConfig,
)
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.approvals import Approval, ApprovalsChanged
from openclaw_channel_octo.host.base import (
    Accepted,
    Activity,
    AsksApprovals,
    Block,
    Delta,
    Failed,
    Final,
    Interrupted,
    Media,
    MediaItem,
    Recovery,
    Sender,
    Skipped,
    ToolNote,
    Waiting,
)
from openclaw_channel_octo.host.embedded.agents import Agent, EchoAgent, Prompt
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.models import Group, GroupMember
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.types import NameMatches, ReadMessage, ReadPage, SendReceipt
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.testing import (
    ANY_CALL,
    HANG,
    Ack,
    ChatLine,
    ErrorAnswer,
    FakeGateway,
    ManualClock,
    OctoDouble,
    RestCall,
    ScriptedHost,
    echo,
)

pytest_plugins = ["openclaw_channel_octo.testing.pytest_plugin"]

assert_type(openclaw_channel_octo.__version__, str)


# A host of one's own


class MyHost:
    """A host with no more than the protocol asks for."""

    queues_turns = False
    keeps_runs = False

    async def start(self) -> None: ...

    async def ready(self) -> None: ...

    async def stop(self) -> None: ...

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        return SessionSnapshot(session_key=session_key, status="done")

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        return Recovery.RECOVERED if snapshot.status == "failed" else Recovery.CONFLICT

    async def run(self, turn: Turn) -> AsyncIterator[TurnEvent]:
        yield Accepted(turn.run_id)
        yield Final(turn.text)

    async def abort(self, session_key: str, run_id: str) -> bool:
        return False

    async def reset(self, session_key: str) -> SessionSnapshot:
        return SessionSnapshot(session_key=session_key)


class AskingHost(MyHost):
    """A host whose agents ask people for leave."""

    approvals_in = "the desk"


class NoHost:
    """An object that is no host."""

    async def start(self) -> None: ...


class MyAgent:
    """An agent of the embedded host."""

    async def reply(self, prompt: Prompt) -> AsyncIterator[str]:
        yield f"{prompt.sender_name}: {prompt.text}"


def offer_hosts(state_dir: Path) -> list[AgentHost]:
    asks: AsksApprovals = AskingHost()
    assert_type(asks.approvals_in, str)
    clock: Clock = SystemClock()
    agents: list[Agent] = [EchoAgent(), MyAgent()]
    hosts: list[AgentHost] = [
        EmbeddedHost(state_dir=state_dir, agent_id="main", agent=agent, clock=clock) for agent in agents
    ]
    wrong: AgentHost = NoHost()  # type: ignore[assignment]
    return [*hosts, MyHost(), AskingHost(), ScriptedHost(), wrong]


# The hooks


class MyPlugin:
    """A plugin that implements every hook."""

    @hookspecs.hookimpl
    def openclaw_agent_host(self, config: Mapping[str, Any]) -> AgentHost | None:
        return MyHost() if "host" in config else None

    @hookspecs.hookimpl
    def openclaw_register_channels(self, registry: hookspecs.ChannelRegistry) -> None:
        registry.register(hookspecs.ChannelSpec(id="mine", label="Mine", create=make_channel))
        registry.register(hookspecs.ChannelSpec(id="wrong", label="Wrong", create=len))  # type: ignore[arg-type]

    @hookspecs.hookimpl(trylast=True)
    def openclaw_register_commands(self, group: click.Group) -> None:
        group.add_command(click.Command("mine"))


class MyChannel:
    """A channel with no more than the protocol asks for."""

    id = "mine"

    async def start(self, account_id: str, host: AgentHost) -> None: ...

    async def stop(self) -> None: ...

    def status(self) -> str:
        return "online"


def make_channel(config: Mapping[str, Any]) -> hookspecs.Channel:
    return OctoChannel(parse_config(config, base=Path()).config) if "octo" in config else MyChannel()


async def use_hooks(config: Mapping[str, Any]) -> None:
    plugins, registry = pluggy.PluginManager(hookspecs.PROJECT), hookspecs.ChannelRegistry()
    plugins.add_hookspecs(hookspecs)
    plugins.register(MyPlugin())
    plugins.register(plugin)
    assert_type(MyPlugin().openclaw_agent_host(config), AgentHost | None)
    assert_type(hookspecs.openclaw_agent_host(config), AgentHost | None)
    assert_type(plugin.openclaw_agent_host(config), AgentHost | None)
    plugin.openclaw_register_channels(registry)
    plugin.openclaw_register_commands(click.Group())
    assert_type(registry["octo"], hookspecs.ChannelSpec)
    assert_type(list(registry), list[str])
    channel = registry["octo"].create(config)
    assert_type(channel, hookspecs.Channel)
    await channel.start("helper", MyHost())
    assert_type(await channel.stop(), object)


# A turn and its events


def make_turn() -> Turn:
    turn = Turn(
        run_id="r",
        session_key="agent:main:octo:group:g",
        agent_id="main",
        account_id="helper",
        channel="octo",
        conversation="group",
        channel_id="g",
        message_id="1",
        sender=Sender(uid="ann", is_owner=True),
        text="hello",
        media=(MediaItem(kind="image", url="https://example.com/a.png", size=3),),
    )
    assert_type(turn.sender.name, str)
    assert_type(turn.media, tuple[MediaItem, ...])
    assert_type(turn.media[0].path, Path | None)
    assert_type(turn.output, Path | None)
    assert_type(turn.budget_s, float | None)
    turn.text = "other"  # type: ignore[misc]
    Turn(run_id="r")  # type: ignore[call-arg]
    return turn


async def read_events(host: AgentHost) -> str:  # noqa: C901  # a case for each event
    async for event in host.run(make_turn()):
        assert_type(
            event,
            Accepted
            | Activity
            | Delta
            | Block
            | Media
            | ToolNote
            | Waiting
            | Interrupted
            | ApprovalsChanged
            | Final
            | Failed
            | Skipped,
        )
        match event:
            case (
                Accepted(run_id=text)
                | Delta(text=text)
                | Block(text=text)
                | ToolNote(text=text)
                | Activity(tool=text)
            ):
                assert_type(text, str)
            case Media(source=source):
                assert_type(source, MediaItem)
            case Waiting(waits=flag) | Interrupted(is_so=flag):
                assert_type(flag, bool)
            case ApprovalsChanged(pending=pending):
                assert_type(pending, tuple[Approval, ...])
            case Final(text=text, media=files):
                assert_type(files, tuple[MediaItem, ...])
                return text
            case Failed(status=status, message=message, partial=partial):
                return status + message + partial
            case Skipped(reason=reason):
                return reason
            case _:
                assert_never(event)
    return ""


async def ask_host(host: AgentHost) -> None:
    session = await host.describe("key")
    assert_type(session, SessionSnapshot | None)
    if session is not None:
        assert_type(session.status, str | None)
        assert_type(await host.recover(session), Recovery)
    assert_type(await host.abort("key", "run"), bool)
    assert_type(await host.reset("key"), SessionSnapshot)
    assert_type(isinstance(host, AsksApprovals), bool)


# Configuration


def read_config(file: Path, mapping: Mapping[str, Any]) -> OctoConfig:
    try:
        loaded = load_config(file, env={"OCTO_BOT_TOKEN": "bf_1"})
    except ConfigError as error:
        wrong: OctoError = error
        raise wrong from None
    assert_type(loaded, Loaded)
    assert_type(loaded.warnings, tuple[str, ...])
    assert_type(loaded.config, OctoConfig)
    assert_type(parse_config(mapping, base=Path()).config.accounts, Mapping[str, BotConfig])
    assert_type(parse_host(mapping, base=Path()), EmbeddedHostConfig | GatewayHostConfig)
    assert_type(select_accounts(loaded.config, ["helper"]), tuple[BotConfig, ...])
    assert_type(loaded.config.accounts["helper"].token.get_secret_value(), str)
    if isinstance(host := loaded.config.host, EmbeddedHostConfig):
        assert_type(host.agent, EchoAgentConfig | CommandAgentConfig | OpenAIAgentConfig)
    else:
        assert_type(host, GatewayHostConfig)
        assert_type(host.url, str)
    return loaded.config


# The channel


async def run_channel(config: OctoConfig, host: AgentHost) -> None:
    assert_type(OctoChannel.config_schema(), dict[str, Any])
    channel = OctoChannel(config, clock=SystemClock(), leases=Path("leases"))
    await channel.start("helper", host)
    await channel.start("helper", NoHost())  # type: ignore[arg-type]
    status = channel.status()
    assert_type(status, ChannelStatus)
    assert_type(status.bots["helper"], ConnectionStatus)
    assert_type(status.bots["helper"].state, LinkState)
    assert_type(status.lanes, Mapping[str, int])
    assert_type(
        (await channel.reload(config, host, accounts=["helper"])).changed, Mapping[str, Sequence[str]]
    )
    await channel.released(host)
    assert_type(await channel.stop(drain_s=5), bool)


async def act(channel: OctoChannel, turn: Turn) -> None:
    assert_type(channel.operator_outbound("helper"), AgentActions)
    desk = channel.outbound(turn)
    assert_type(desk, AgentActions)
    receipt = await desk.send_text("group:g", "Deployed.", scope="parent")
    assert_type(receipt, SendReceipt)
    assert_type(receipt.message_ids, tuple[str, ...])
    assert_type(await desk.send_media("user:ann", [MediaItem(kind="file", url="a.txt")]), SendReceipt)
    page = await desk.read("group:g", limit=50)
    assert_type(page, ReadPage)
    assert_type(page.messages, tuple[ReadMessage, ...])
    assert_type(page.block(), str)
    assert_type(await desk.search("group:g", "words"), ReadPage)
    assert_type(await desk.groups(), list[Group])
    assert_type(await desk.shared_groups("ann"), list[Group])
    assert_type(await desk.group_members("g"), list[GroupMember])
    assert_type(await desk.search_members("g", "Ann"), list[GroupMember])
    assert_type(await desk.resolve("Release"), NameMatches)
    await desk.threads("g")
    await desk.edit("group:g", receipt.message_ids[0], "Done.")


# The test kit


async def test_with_the_fixtures(
    octo_double: OctoDouble, scripted_host: ScriptedHost, manual_clock: ManualClock
) -> None:
    octo_double.add_person("ann", "Ann")
    octo_double.add_bot("helper_bot", "bf_1", name="Helper", owner="ann")
    group = octo_double.add_group("g", ["ann", "helper_bot"])
    assert_type(group, ChannelRef)
    assert_type(octo_double.api_url, str)
    assert_type(await octo_double.say("ann", group, "hello", mention=["helper_bot"]), str)
    assert_type(await octo_double.wait_for(lambda: octo_double.online("helper_bot")), int)
    assert_type(await octo_double.wait_for(lambda: octo_double.chat(group)[1:]), list[ChatLine])
    assert_type(octo_double.calls[0], RestCall)
    assert_type(octo_double.acks[0], Ack)
    octo_double.fail_next(ANY_CALL, ErrorAnswer(status=500), times=None)
    octo_double.fail_next(ANY_CALL, 500)  # type: ignore[arg-type]
    scripted_host.script(Accepted("r"), HANG)
    scripted_host.script(HostError("no agent"))
    scripted_host.script("hello")  # type: ignore[arg-type]
    assert_type(await scripted_host.wait_for_turns(1), Turn)
    await manual_clock.advance(5)
    assert_type(await within(manual_clock, 5, scripted_host.wait_for_turns(2)), Turn)


async def test_with_doubles_of_ones_own() -> None:
    clock = ManualClock()
    host: AgentHost = ScriptedHost([Final("hello")], [HANG], default=echo, clock=clock, strict=True)
    async with OctoDouble(clock) as octo, FakeGateway(clock=clock) as gateway:
        assert_type(octo, OctoDouble)
        assert_type(gateway, FakeGateway)
        assert_type(gateway.url, str)
        gateway.answer("hello", session_key="agent:main:octo:group:g")
        gateway.answer(7)  # type: ignore[arg-type]
    await host.stop()
