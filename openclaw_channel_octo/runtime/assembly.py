"""The parts of one bot put together, as soon as it is known who the bot is."""

import asyncio
from dataclasses import dataclass

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.policy.gate import GatePolicy, Identity
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.admission import Admission
from openclaw_channel_octo.runtime.attachments import Outputs
from openclaw_channel_octo.runtime.commands import Commands
from openclaw_channel_octo.runtime.context import Context
from openclaw_channel_octo.runtime.limits import Limits
from openclaw_channel_octo.runtime.measures import Measures
from openclaw_channel_octo.runtime.media import Intake
from openclaw_channel_octo.runtime.notes import Notes
from openclaw_channel_octo.runtime.notices import Notices
from openclaw_channel_octo.runtime.outbox import Outbox
from openclaw_channel_octo.runtime.pairing import Pairing
from openclaw_channel_octo.runtime.places import Places
from openclaw_channel_octo.runtime.preferences import Preferences
from openclaw_channel_octo.runtime.presence import Presence
from openclaw_channel_octo.runtime.roster import Roster
from openclaw_channel_octo.runtime.sessions import SessionGuard
from openclaw_channel_octo.runtime.shared import Shared
from openclaw_channel_octo.runtime.surroundings import Surroundings
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.runtime.turn import Turns

__all__ = ["Basics", "make_admission", "make_commands", "make_surroundings", "make_turns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basics:
    """What every part of a bot is made from.

    Attributes:
        config: the bot's settings.
        identity: who the bot is.
        shared: what all bots use together.
        api: the bot's API.
        tasks: owns the bot's work.
        measures: counts what happens.
        log: the bot's log.
    """

    config: BotConfig
    identity: Identity
    shared: Shared
    api: BotApi
    tasks: TaskSet
    measures: Measures
    log: BotLog


def make_surroundings(basics: Basics) -> Surroundings:
    """Return what keeps up with the bot's conversations."""
    config, api, clock = basics.config, basics.api, basics.shared.clock
    return Surroundings(
        settings=GatePolicy(
            require_mention=config.require_mention,
            reply_triggers=config.reply_triggers,
            access=config.access,
        ),
        places=Places(api, clock),
        roster=Roster(api, basics.tasks, clock, basics.log),
        preferences=Preferences(api, basics.tasks, clock, basics.log),
        notes=Notes(api, clock, basics.log),
        clock=clock,
        log=basics.log,
    )


def make_admission(basics: Basics, around: Surroundings, outbox: Outbox) -> Admission:
    """Return what turns messages away."""
    shared = basics.shared
    notices = Notices(outbox, shared.journal, basics.tasks, shared.clock)
    limits = Limits(basics.config, basics.identity, around.is_bot, notices.over)
    texts = basics.config.texts
    return Admission(texts, notices, limits, Pairing(texts, shared.journal, shared.clock))


def make_commands(basics: Basics) -> Commands:
    """Return what answers commands."""
    shared = basics.shared
    listed = frozenset(basics.config.commands.allow_from)
    commanders = Commanders(basics.identity.owner_uid, listed)
    return Commands(shared.host, shared.runs, shared.lanes, commanders, shared.routing, basics.log)


def make_turns(  # the parts
    basics: Basics,
    around: Surroundings,
    outbox: Outbox,
    presence: Presence,
    media: Intake,
    outputs: Outputs,
) -> Turns:
    """Return what takes messages to their visible end."""
    config, shared, log = basics.config, basics.shared, basics.log
    budget_s = config.turn_budget_s(shared.host_timeout_s)
    guard = SessionGuard(
        config=config,
        host=shared.host,
        runs=shared.runs,
        journal=shared.journal,
        outbox=outbox,
        presence=presence,
        clock=shared.clock,
        budget_s=budget_s,
        log=log,
        measures=basics.measures,
    )
    context = Context(
        config=config,
        identity=basics.identity,
        policy=around.policy,
        api=basics.api,
        journal=shared.journal,
        clock=shared.clock,
        log=log,
    )
    return Turns(
        config=config,
        identity=basics.identity,
        routing=shared.routing,
        budget_s=budget_s,
        runs=shared.runs,
        guard=guard,
        journal=shared.journal,
        outbox=outbox,
        presence=presence,
        media=media,
        outputs=outputs,
        roster=around.roster,
        notes=around.notes,
        context=context,
        slots=asyncio.Semaphore(config.max_turns),
        clock=shared.clock,
        log=log,
        measures=basics.measures,
    )
