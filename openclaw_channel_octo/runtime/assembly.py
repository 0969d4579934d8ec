"""The parts of one bot put together, as soon as it is known who the bot is."""

from functools import partial

from msgspec import Struct

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.policy.gate import GatePolicy, Identity
from openclaw_channel_octo.rest.client import BotApi
from openclaw_channel_octo.runtime.admission import Admission
from openclaw_channel_octo.runtime.attachments import Attachments
from openclaw_channel_octo.runtime.commands import Commands
from openclaw_channel_octo.runtime.context import Context
from openclaw_channel_octo.runtime.limits import Limits
from openclaw_channel_octo.runtime.measures import Measures
from openclaw_channel_octo.runtime.media import Intake
from openclaw_channel_octo.runtime.notes import Notes
from openclaw_channel_octo.runtime.notices import Notices
from openclaw_channel_octo.runtime.outbox import Outbox
from openclaw_channel_octo.runtime.outputs import Outputs
from openclaw_channel_octo.runtime.pairing import Pairing
from openclaw_channel_octo.runtime.places import Places
from openclaw_channel_octo.runtime.preferences import Preferences
from openclaw_channel_octo.runtime.presence import Presence
from openclaw_channel_octo.runtime.requests import OutboundBot
from openclaw_channel_octo.runtime.roster import Roster
from openclaw_channel_octo.runtime.sessions import SessionGuard
from openclaw_channel_octo.runtime.shared import Shared
from openclaw_channel_octo.runtime.surroundings import Surroundings
from openclaw_channel_octo.runtime.tasks import TaskSet
from openclaw_channel_octo.runtime.turn import Turns

__all__ = [
    "Basics",
    "make_admission",
    "make_commands",
    "make_outbound",
    "make_outbox",
    "make_surroundings",
    "make_turns",
]


class Basics(Struct, frozen=True, kw_only=True):
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
    notices = Notices(outbox, shared.journal, basics.tasks, shared.clock, basics.log)
    limits = Limits(basics.config, basics.identity, around.is_bot, notices.over)
    texts = basics.config.texts
    return Admission(texts, notices, limits, Pairing(texts, shared.journal, shared.clock))


def make_commands(basics: Basics) -> Commands:
    """Return what answers commands."""
    listed = frozenset(basics.config.commands.allow_from)
    return Commands(basics.shared, Commanders(basics.identity.owner_uid, listed), basics.log)


def make_outbox(basics: Basics, around: Surroundings, files: Attachments) -> Outbox:
    """Return what sends, each part once."""
    config, shared = basics.config, basics.shared
    return Outbox(
        api=basics.api,
        own_uid=basics.identity.uid,
        journal=shared.journal,
        clock=shared.clock,
        chunk_limit=config.reply_chunk,
        people=around.roster.people,
        files=files,
        everyone=config.mention_everyone,
        texts=config.texts,
        log=basics.log,
        measures=basics.measures,
    )


def make_outbound(basics: Basics, around: Surroundings, outbox: Outbox) -> OutboundBot:
    """Return what agents act through besides answering."""
    config, identity = basics.config, basics.identity
    return OutboundBot(
        account_id=config.account_id,
        own_uid=identity.uid,
        blocks=partial(config.access.blocks, owner_uid=identity.owner_uid),
        api=basics.api,
        places=around.places,
        roster=around.roster,
        outbox=outbox,
        journal=basics.shared.journal,
        clock=basics.shared.clock,
    )


def make_turns(
    basics: Basics,
    around: Surroundings,
    outbox: Outbox,
    presence: Presence,
    media: Intake,
    outputs: Outputs,
) -> Turns:
    """Return what takes messages to their visible end."""
    config, shared = basics.config, basics.shared
    budget_s = config.turn_budget_s(shared.host_timeout_s)
    return Turns(
        config=config,
        identity=basics.identity,
        routing=shared.routing,
        budget_s=budget_s,
        runs=shared.runs,
        guard=_make_guard(basics, outbox, presence, budget_s),
        journal=shared.journal,
        outbox=outbox,
        presence=presence,
        media=media,
        outputs=outputs,
        roster=around.roster,
        notes=around.notes,
        context=_make_context(basics, around),
        slots=FairSlots(config.max_turns),
        clock=shared.clock,
        log=basics.log,
        measures=basics.measures,
    )


def _make_guard(basics: Basics, outbox: Outbox, presence: Presence, budget_s: float) -> SessionGuard:
    shared = basics.shared
    return SessionGuard(
        config=basics.config,
        host=shared.host,
        runs=shared.runs,
        journal=shared.journal,
        outbox=outbox,
        presence=presence,
        clock=shared.clock,
        budget_s=budget_s,
        log=basics.log,
        measures=basics.measures,
    )


def _make_context(basics: Basics, around: Surroundings) -> Context:
    return Context(
        config=basics.config,
        identity=basics.identity,
        policy=around.policy,
        api=basics.api,
        journal=basics.shared.journal,
        clock=basics.shared.clock,
        log=basics.log,
    )
