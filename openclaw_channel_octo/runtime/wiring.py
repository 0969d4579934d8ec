"""The parts of one bot put together, as soon as it is known who the bot is."""

from functools import partial

from msgspec import Struct

from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.commands import Commanders
from openclaw_channel_octo.policy.gate import GatePolicy, Identity
from openclaw_channel_octo.rest.client import MAX_FILE_BYTES, BotApi
from openclaw_channel_octo.rest.media import MediaFetcher
from openclaw_channel_octo.rest.upload import Uploader
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.runtime.admission.admission import Admission
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.admission.notifier import Notifier
from openclaw_channel_octo.runtime.background import TaskSet
from openclaw_channel_octo.runtime.context import ChannelContext
from openclaw_channel_octo.runtime.delivery.attachments import Attachments
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.directory.directory import ConversationDirectory
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.groups import Groups
from openclaw_channel_octo.runtime.directory.mention_preferences import MentionPreferences
from openclaw_channel_octo.runtime.directory.roster import Roster
from openclaw_channel_octo.runtime.metrics import BotMetrics
from openclaw_channel_octo.runtime.turn.commands import Commands
from openclaw_channel_octo.runtime.turn.conversation import EarlierMessages
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.guard import SessionGuard
from openclaw_channel_octo.runtime.turn.turn import Turns

__all__ = [
    "BotContext",
    "make_admission",
    "make_attachments",
    "make_commands",
    "make_outbound",
    "make_outbox",
    "make_surroundings",
    "make_turns",
]


class BotContext(Struct, frozen=True, kw_only=True):
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
    shared: ChannelContext
    api: BotApi
    tasks: TaskSet
    measures: BotMetrics
    log: BotLog


def make_surroundings(basics: BotContext) -> ConversationDirectory:
    """Return what keeps up with the bot's conversations."""
    config, api, clock = basics.config, basics.api, basics.shared.clock
    return ConversationDirectory(
        settings=GatePolicy(
            require_mention=config.require_mention,
            reply_triggers=config.reply_triggers,
            access=config.access,
        ),
        places=Groups(api, clock),
        roster=Roster(api, basics.tasks, clock, basics.log),
        preferences=MentionPreferences(api, basics.tasks, clock, basics.log),
        notes=GroupDocs(api, clock, basics.log),
        clock=clock,
        log=basics.log,
    )


def make_admission(basics: BotContext, outbox: Outbox) -> Admission:
    """Return what turns messages away."""
    shared = basics.shared
    notices = Notifier(outbox, shared.journal, basics.tasks, shared.clock, basics.log)
    limits = Limits(basics.config, basics.identity, notices.end_burst)
    return Admission(basics.config.texts, notices, limits, shared.journal, shared.clock)


def make_attachments(config: BotConfig, api: BotApi, shared: ChannelContext, log: BotLog) -> Attachments:
    """Return what sends the files of answers; it lives as long as the bot, whoever the bot is."""
    fetcher = MediaFetcher(
        folder=shared.outgoing,
        api_url=config.api_url,
        token=None,
        max_bytes=MAX_FILE_BYTES,
        cdn_url=config.cdn_url or "",
    )
    return Attachments(
        uploader=Uploader(api, shared.clock),
        fetcher=fetcher,
        spool=shared.outgoing,
        roots=config.media_roots,
        outputs=shared.outputs,
        clock=shared.clock,
        log=log,
    )


def make_commands(basics: BotContext) -> Commands:
    """Return what answers commands."""
    listed = frozenset(basics.config.commands.allow_from)
    shared = basics.shared
    return Commands(
        host=shared.host,
        routing=shared.routing,
        runs=shared.runs,
        lanes=shared.lanes,
        clock=shared.clock,
        commanders=Commanders(basics.identity.owner_uid, listed),
        log=basics.log,
    )


def make_outbox(basics: BotContext, around: ConversationDirectory, files: Attachments) -> Outbox:
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


def make_outbound(basics: BotContext, around: ConversationDirectory, outbox: Outbox) -> ActionContext:
    """Return what agents act through besides answering."""
    config, identity = basics.config, basics.identity
    return ActionContext(
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
    basics: BotContext,
    around: ConversationDirectory,
    outbox: Outbox,
    presence: Presence,
    media: MediaDownloads,
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


def _make_guard(basics: BotContext, outbox: Outbox, presence: Presence, budget_s: float) -> SessionGuard:
    shared = basics.shared
    return SessionGuard(
        config=basics.config,
        sessions=shared.sessions,
        journal=shared.journal,
        outbox=outbox,
        presence=presence,
        clock=shared.clock,
        budget_s=budget_s,
        log=basics.log,
        measures=basics.measures,
    )


def _make_context(basics: BotContext, around: ConversationDirectory) -> EarlierMessages:
    return EarlierMessages(
        config=basics.config,
        identity=basics.identity,
        policy=around.policy,
        api=basics.api,
        journal=basics.shared.journal,
        clock=basics.shared.clock,
        log=basics.log,
    )
