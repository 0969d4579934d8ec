"""The parts of one bot put together, as soon as it is known who the bot is."""

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import GatePolicy
from openclaw_channel_octo.rest.client import MAX_FILE_BYTES, BotApi
from openclaw_channel_octo.rest.media import MediaFetcher
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.rest.upload import Uploader
from openclaw_channel_octo.runtime.admission.admission import Admission
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.admission.notifier import Notifier
from openclaw_channel_octo.runtime.connection.transport import TransportFactory
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.attachments import Attachments
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.runtime.directory.directory import ConversationDirectory, Roster
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.groups import Groups, MentionPreferences
from openclaw_channel_octo.runtime.turn.conversation import Prompts
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.guard import SessionGuard, Sessions
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.runtime.turn.turn import Turns
from openclaw_channel_octo.session.guard import patience_ms
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal

__all__ = [
    "ChannelContext",
    "make_admission",
    "make_attachments",
    "make_fetcher",
    "make_outbox",
    "make_surroundings",
    "make_turns",
]


class ChannelContext(Struct, frozen=True, kw_only=True):
    """What all bots of a process use together.

    Attributes:
        host: runs turns.
        routing: which agent and session a conversation belongs to.
        host_timeout_s: the host's own run budget in seconds.
        journal: the record of messages.
        outputs: folders in which agents leave files for their answers.
        media: files that people send.
        outgoing: files of answers on their way.
        device_id: this installation's device id.
        lanes: one lane for each session key, whichever bot it came through.
        runs: runs under way.
        clock: time.
        open_transport: opens sockets.
    """

    host: AgentHost
    routing: Routing
    host_timeout_s: float
    journal: Journal
    outputs: Outputs
    media: MediaFolder
    outgoing: MediaFolder
    device_id: str
    lanes: Lanes
    runs: Runs
    clock: Clock
    open_transport: TransportFactory

    @property
    def sessions(self) -> Sessions:
        """The host's sessions as the guard sees them."""
        return Sessions(host=self.host, runs=self.runs, journal=self.journal, clock=self.clock)


def make_surroundings(basics: BotContext) -> ConversationDirectory:
    """Return what keeps up with the bot's conversations."""
    config = basics.config
    return ConversationDirectory(
        context=basics,
        settings=GatePolicy(
            require_mention=config.require_mention,
            reply_triggers=config.reply_triggers,
            access=config.access,
        ),
        places=Groups(basics),
        roster=Roster(basics),
        preferences=MentionPreferences(basics),
        notes=GroupDocs(basics),
    )


def make_admission(basics: BotContext, outbox: Outbox) -> Admission:
    """Return what turns messages away."""
    notices = Notifier(outbox, basics.journal, basics.tasks, basics.clock, basics.log)
    limits = Limits(basics.config, basics.identity, notices.end_burst)
    return Admission(basics.config.texts, notices, limits, basics.journal, basics.clock)


def make_fetcher(config: BotConfig, folder: MediaFolder, token: SecretStr | None, most: int) -> MediaFetcher:
    """Return what fetches files of at most so many bytes; see `MediaFetcher` for the token."""
    return MediaFetcher(
        folder=folder,
        api_url=config.api_url,
        token=token,
        max_bytes=most,
        cdn_url=config.cdn_url or "",
    )


def make_attachments(config: BotConfig, api: BotApi, shared: ChannelContext, log: BotLog) -> Attachments:
    """Return what sends the files of answers; it lives as long as the bot, whoever the bot is."""
    return Attachments(
        uploader=Uploader(api, shared.clock),
        fetcher=make_fetcher(config, shared.outgoing, None, MAX_FILE_BYTES),
        spool=shared.outgoing,
        roots=config.media_roots,
        outputs=shared.outputs,
        clock=shared.clock,
        log=log,
    )


def make_outbox(basics: BotContext, around: ConversationDirectory, files: Attachments) -> Outbox:
    """Return what sends, each part once."""
    sender = Sender(
        api=basics.api,
        own_uid=basics.identity.uid,
        clock=basics.clock,
        people=around.people,
        everyone=basics.config.mention_everyone,
        log=basics.log,
    )
    return Outbox(context=basics, sender=sender, files=files)


def make_turns(
    basics: BotContext,
    shared: ChannelContext,
    around: ConversationDirectory,
    outbox: Outbox,
    presence: Presence,
    media: MediaDownloads,
) -> Turns:
    """Return what takes messages to their visible end."""
    return Turns(
        context=basics,
        runs=shared.runs,
        guard=SessionGuard(
            context=basics,
            sessions=shared.sessions,
            outbox=outbox,
            presence=presence,
            patience_ms=patience_ms(basics.budget_s),
        ),
        outbox=outbox,
        presence=presence,
        outputs=shared.outputs,
        prompts=Prompts(context=basics, directory=around, media=media),
        slots=FairSlots(basics.config.max_turns),
    )
