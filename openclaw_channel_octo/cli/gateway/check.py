"""`openclaw-octo gateway check`: whether an OpenClaw gateway is ready to answer for the bots."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct, field
from msgspec.structs import asdict

from openclaw_channel_octo.cli.gateway.state import plugin_notes, plugin_problems
from openclaw_channel_octo.cli.options import CONFIG_OPTION, JSON_OPTION, OPENCLAW_OPTION, load_named
from openclaw_channel_octo.cli.output import NOT_FINE, NOT_TRIED, fail, json_text, refuse
from openclaw_channel_octo.clock import SystemClock, within
from openclaw_channel_octo.config.model import GatewayHostConfig, OctoConfig
from openclaw_channel_octo.errors import ConfigError, HostError
from openclaw_channel_octo.host.configure import gateway_from_config
from openclaw_channel_octo.host.gateway.host import FIXED_IN, GatewayHost, missing_scopes
from openclaw_channel_octo.host.gateway.protocol import Hello, release_of
from openclaw_channel_octo.observe.logs import setup_logging
from openclaw_channel_octo.session.key import CHANNEL
from openclaw_channel_octo.session.status import RECOVERABLE

__all__ = ["check", "look"]

CONNECT_WITHIN_S = 5.0
"""How long a gateway gets that is just starting."""
MOST_SESSIONS = 1_000
NEEDED = ("agent", "agent.wait", "chat.history", "sessions.abort", "sessions.describe", "sessions.subscribe")


class GatewayFindings(Struct, kw_only=True):
    """What a check saw.

    Attributes:
        url: of the gateway.
        release: the gateway's.
        scopes: granted ones.
        agents: ids of its agents.
        sessions: key and status of the channel's sessions.
        problems: what would go wrong, one sentence each.
        notes: what to know.
    """

    url: str
    release: str = ""
    scopes: Sequence[str] = ()
    agents: Sequence[str] = ()
    sessions: Sequence[tuple[str, str]] = ()
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@click.command()
@CONFIG_OPTION
@OPENCLAW_OPTION
@JSON_OPTION
def check(config_file: Path | None, openclaw: Path | None, *, as_json: bool) -> None:
    """Tell whether a gateway is ready for the bots.

    Connects to it and tells what would keep the bots from answering. Changes nothing there.

    Exit codes: 0 fine, 1 something would go wrong, 2 no gateway could be asked.
    """
    setup_logging("ERROR")
    try:
        loaded = load_named(config_file, openclaw)
    except ConfigError as error:
        fail(NOT_TRIED, *(f"{config_file or openclaw}: {problem}" for problem in error.problems))
    config = loaded.config
    if not isinstance(config.host, GatewayHostConfig):
        problem = f'{config_file}: host.kind is "{config.host.kind}": there is no gateway to check'
        refuse(NOT_TRIED, [problem], problem, as_json=as_json)
    try:
        found = asyncio.run(look(config, config.host))
    except HostError as error:
        problems = [str(error), *plugin_problems(config.host), *loaded.warnings]
        refuse(NOT_TRIED, problems, *problems, as_json=as_json)
    found.notes[:0] = loaded.warnings
    found.problems += plugin_problems(config.host)
    found.notes += plugin_notes(config.host)
    if as_json:
        sessions = [{"key": key, "status": status} for key, status in found.sessions]
        told = {"ok": not found.problems, **asdict(found), "sessions": sessions}
        click.echo(json_text(told, indent=2))
    else:
        click.echo(_as_text(found))
    sys.exit(NOT_FINE if found.problems else 0)


async def look(config: OctoConfig, settings: GatewayHostConfig) -> GatewayFindings:
    """Return what a gateway says about itself. Raises `HostError` where none can be asked."""
    host, url = gateway_from_config(settings), settings.url.partition("?")[0]
    await host.start()
    try:
        hello = await within(SystemClock(), CONNECT_WITHIN_S, host.connection.ready())
        found = GatewayFindings(url=url, release=hello.version, scopes=sorted(hello.scopes))
        _judge(hello, found)
        await _list(host, config, settings, found)
    except TimeoutError:
        raise HostError(host.connection.why or f"no gateway answers at {url}") from None
    finally:
        await host.stop()
    return found


def _judge(hello: Hello, found: GatewayFindings) -> None:
    """Tell what the gateway's welcome says about what will not work."""
    release = release_of(hello.version)
    if release and release < FIXED_IN:
        found.notes.append(
            f"release {hello.version} can hold on to a failed run; the bot clears it, 2026.7.1 and later need no help"
        )
    if missing := [method for method in NEEDED if method not in hello.methods]:
        found.problems.append(f"the gateway does not offer {', '.join(missing)}: update it")
    if ungranted := missing_scopes(hello):
        found.problems.append(ungranted)


async def _list(
    host: GatewayHost, config: OctoConfig, settings: GatewayHostConfig, found: GatewayFindings
) -> None:
    """Tell which agents and sessions the gateway has, and what is wrong with them."""
    answer = await host.connection.call("agents.list", {})
    found.agents = [str(agent.get("id")) for agent in _objects(answer.get("agents"))]
    wanted = [(name, agent) for name in config.accounts for agent in settings.routing.agents_of(name)]
    for account_id, agent_id in sorted(wanted):
        if agent_id not in found.agents:
            found.problems.append(
                f"account {account_id} is routed to the agent {agent_id}, which the gateway does not have"
            )
    answer = await host.connection.call("sessions.list", {"limit": MOST_SESSIONS})
    rows = [row for row in _objects(answer.get("sessions")) if f":{CHANNEL}:" in str(row.get("key"))]
    found.sessions = [(str(row.get("key")), str(row.get("status") or "new")) for row in rows]
    successors = dict(host.sessions.file)
    for key, status in found.sessions:
        if status in RECOVERABLE and key not in successors:
            found.notes.append(f"{key} is {status}: the next mention restarts it")
    found.notes += [f"{key} goes on as {successor}" for key, successor in successors.items()]


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _as_text(found: GatewayFindings) -> str:
    lines = [
        f"gateway   {found.url}, release {found.release}",
        f"scopes    {', '.join(found.scopes) or 'none'}",
        f"agents    {', '.join(found.agents) or 'none'}",
        f"sessions  {len(found.sessions)} of channel {CHANNEL}",
        *(f"  {status:<9} {key}" for key, status in found.sessions),
        *(f"note: {note}" for note in found.notes),
        *(f"problem: {problem}" for problem in found.problems),
        "not ready" if found.problems else "ready",
    ]
    return "\n".join(lines)
