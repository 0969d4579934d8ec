"""For whom a gateway acts that asks for something in the chat by itself, and through which bot (decision 0048)."""

import re

from msgspec import Struct

from openclaw_channel_octo.config.load import select_accounts
from openclaw_channel_octo.config.model import OctoConfig
from openclaw_channel_octo.errors import ConfigError, HostError, RequestDenied
from openclaw_channel_octo.host.base import NamesSessions
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.policy.authority import Requester, Role
from openclaw_channel_octo.runtime.actions.types import ActionContext, requester_of
from openclaw_channel_octo.runtime.fleet.fleet import Fleet
from openclaw_channel_octo.runtime.turn.runs import OpenRun
from openclaw_channel_octo.runtime.wiring import ChannelContext
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["Speaker", "running_bot", "speaker_in"]

_HEARTBEAT = ":heartbeat"
"""Behind the key of the session in which a gateway's heartbeat runs apart from the conversation's own."""
_MAIN = re.compile(r"agent:[^:]+:main")
_SPAWNED = re.compile(r"(agent:[^:]+:)?(subagent|acp|dashboard):|.*:subagent:")
"""Sessions that an agent begins by itself (``sessions_spawn``: hidden, in another program, or ``visible``)."""


class Speaker(Struct, frozen=True, kw_only=True):
    """Who speaks in a session of the host.

    Attributes:
        requester: for whom.
        account: the bot of the session's conversation, empty where the session has none.
        run: the run under way there, if any.
    """

    requester: Requester
    account: str = ""
    run: OpenRun | None = None


def running_bot(config: OctoConfig, fleet: Fleet | None, account_id: str) -> ActionContext:
    """Return a bot that runs.

    Args:
        config: with its accounts.
        fleet: the bots, ``None`` where none was started.
        account_id: which, in any case; may be empty where only one runs.

    Raises:
        ConfigError: no such account, or none is named and there are several; the message lists those there are.
        HostError: it does not run, or has not reached its server yet.
    """
    running = fleet.bots if fleet else {}
    name = account_id.lower()
    if not name:
        names = list(running or config.accounts)
        if len(names) != 1:
            raise ConfigError(f"which account? there are {', '.join(names)}")
        (name,) = names
    bot = running.get(name)
    if bot is None:  # one that ends is still there, and in no configuration any more
        (account,) = select_accounts(config, [name])
        raise HostError(f"the bot {account.account_id} does not run: start it first")
    if bot.outbound is None:
        raise HostError(f"the bot {name} has not reached its server yet: try again later")
    return bot.outbound


async def speaker_in(shared: ChannelContext, fleet: Fleet, session: str) -> Speaker:
    """Return for whom an agent speaks in a session.

    That is the person whose message a run of ours under way there answers; in a conversation without such a run
    nobody, so that only this conversation is in reach; in every other session, such as an agent's main one or that of
    a timetable's job, whoever runs the gateway. A session that an agent can begin has no rights: whose work it does is
    not known.

    Args:
        shared: what all bots use.
        fleet: the bots.
        session: the session key as the gateway writes it: in lower case, maybe of a successor session.

    Raises:
        RequestDenied: it is a session that an agent can begin, or one of a conversation that nobody here knows.
        StoreError: the journal cannot be read.
    """
    host = shared.runs.host
    key = session.strip().removesuffix(_HEARTBEAT)
    key = (host.conversation_key(key) if isinstance(host, NamesSessions) else key).casefold()
    for active, run in shared.runs.active.items():
        if active.casefold() == key and (found := shared.runs.open_run(run.run_id)) is not None:
            return Speaker(requester=requester_of(found.turn), account=run.account_id, run=found)
    if _SPAWNED.match(key):
        raise RequestDenied(
            "an agent that another one may have begun does nothing in the chat itself: whose work it does is not known"
        )
    if _MAIN.fullmatch(key):
        return Speaker(requester=Requester(role=Role.GATEWAY))
    known = await shared.journal.posts.conversation_of(key) or _by_group(shared, fleet, key)
    if known is not None:
        account, channel = known
        return Speaker(requester=Requester(role=Role.CONVERSATION, conversation=channel), account=account)
    if f":{CHANNEL}:" in key:
        raise RequestDenied(
            "no conversation of this session is known here: somebody has to write there first"
        )
    return Speaker(requester=Requester(role=Role.GATEWAY))


def _by_group(shared: ChannelContext, fleet: Fleet, key: str) -> tuple[str, ChannelRef] | None:
    """Return the bot and the group of a session in which nothing was said yet."""
    for account, bot in fleet.bots.items():
        for group_no in bot.outbound.directory.groups.names if bot.outbound else ():
            channel = ChannelRef(group_no, ChannelType.GROUP)
            if shared.routing.route(account, channel).session_key.casefold() == key:
                return account, channel
    return None
