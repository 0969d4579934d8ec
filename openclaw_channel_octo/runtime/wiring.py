"""The parts of one bot put together, as soon as it is known who the bot is."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct, field
from pydantic import SecretStr

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, GatewayHostConfig
from openclaw_channel_octo.fair import FairSlots
from openclaw_channel_octo.host.base import AgentHost
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.observe.logs import BotLog
from openclaw_channel_octo.policy.gate import GatePolicy
from openclaw_channel_octo.rest.client import MAX_FILE_BYTES, BotApi
from openclaw_channel_octo.rest.media import MediaFetcher
from openclaw_channel_octo.rest.media_folder import MediaFolder
from openclaw_channel_octo.rest.upload import Uploader
from openclaw_channel_octo.runtime.actions.types import ActionContext
from openclaw_channel_octo.runtime.admission.admission import Admission
from openclaw_channel_octo.runtime.admission.limits import Limits
from openclaw_channel_octo.runtime.admission.notifier import Notifier
from openclaw_channel_octo.runtime.connection.pace import LoginPace
from openclaw_channel_octo.runtime.connection.transport import TransportFactory
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.attachments import KEPT_S, Attachments
from openclaw_channel_octo.runtime.delivery.outbox import Outbox
from openclaw_channel_octo.runtime.delivery.outputs import Outputs
from openclaw_channel_octo.runtime.delivery.parts import Parts
from openclaw_channel_octo.runtime.delivery.posts import Posts
from openclaw_channel_octo.runtime.delivery.presence import Presence
from openclaw_channel_octo.runtime.delivery.progress import Progress
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.runtime.delivery.underway import UnderwayMessages
from openclaw_channel_octo.runtime.directory.directory import ConversationDirectory, Roster
from openclaw_channel_octo.runtime.directory.group_docs import GroupDocs
from openclaw_channel_octo.runtime.directory.groups import Groups, MentionPreferences
from openclaw_channel_octo.runtime.turn.approvals import ApprovalDesk
from openclaw_channel_octo.runtime.turn.commands import Commands, words_of
from openclaw_channel_octo.runtime.turn.conversation import Prompts
from openclaw_channel_octo.runtime.turn.decisions import Decisions
from openclaw_channel_octo.runtime.turn.downloads import MediaDownloads
from openclaw_channel_octo.runtime.turn.guard import SessionGuard, Sessions
from openclaw_channel_octo.runtime.turn.kept_prompts import KeptPrompts
from openclaw_channel_octo.runtime.turn.lanes import Lanes
from openclaw_channel_octo.runtime.turn.runs import Runs
from openclaw_channel_octo.runtime.turn.turn import Turns
from openclaw_channel_octo.session.route import Routing
from openclaw_channel_octo.store.journal import Journal

__all__ = [
    "ChannelContext",
    "gate_policy",
    "make_admission",
    "make_attachments",
    "make_commands",
    "make_directory",
    "make_fetcher",
    "make_outbound",
    "make_outbox",
    "make_turns",
    "open_shared",
]

STARTING = 16
"""Bots that get to know their conversations at the same time after a connect."""


class ChannelContext(Struct, eq=False, kw_only=True):
    """What all bots of a process use together. Routing and the host's budget change while they run.

    Attributes:
        routing: which agent and session a conversation belongs to.
        host_timeout_s: the host's own run budget in seconds.
        journal: the record of messages.
        outputs: folders in which agents leave files for their answers.
        media: files that people send.
        outgoing: files of answers on their way.
        device_id: this installation's device id.
        lanes: one lane for each session key, whichever bot it came through.
        runs: runs under way, and the host they run on.
        underway: messages that are worked on.
        hide: takes the secrets of the configuration out of a text.
        clock: time.
        open_transport: opens sockets.
        due: when a job that one bot does for all is due again, seconds of the clock by its role.
        sweeping: held while a bot does one of these.
        starting: held while a bot gets to know its conversations.
    """

    routing: Routing
    host_timeout_s: float
    journal: Journal
    outputs: Outputs
    media: MediaFolder
    outgoing: MediaFolder
    device_id: str
    lanes: Lanes
    runs: Runs
    hide: Callable[[str], str]
    clock: Clock
    open_transport: TransportFactory
    underway: UnderwayMessages = field(default_factory=UnderwayMessages)
    due: dict[str, float] = field(default_factory=dict)
    sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    starting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTING))
    _paces: dict[tuple[str, str], LoginPace] = field(default_factory=dict)

    @property
    def sessions(self) -> Sessions:
        """The host's sessions as the guard sees them."""
        return Sessions(runs=self.runs, journal=self.journal, clock=self.clock)

    def pace(self, api_url: str) -> LoginPace:
        """Return what spreads the reconnects of all bots of a server."""
        return self._paces.setdefault(urlsplit(api_url)[:2], LoginPace(self.clock))


async def open_shared(
    settings: EmbeddedHostConfig | GatewayHostConfig,
    host: AgentHost,
    hide: Callable[[str], str],
    clock: Clock,
    open_transport: TransportFactory,
) -> ChannelContext:
    """Open what all bots of a state folder use together.

    Args:
        settings: of the host.
        host: runs the turns.
        hide: takes secrets out of a text.
        clock: time.
        open_transport: opens sockets.

    Raises:
        HostError: the folder is another user's, or cannot be made.
        StoreError: the journal cannot be opened.
    """
    await asyncio.to_thread(claim_state_folder, settings.state_dir)
    journal = Journal(settings.state_dir / "octo.sqlite", clock)
    await journal.open()
    try:
        device_id = await journal.device_id()
    except BaseException:  # raised again: the journal is closed first
        await journal.close()
        raise
    return ChannelContext(
        routing=settings.routing,
        host_timeout_s=settings.timeout_seconds,
        journal=journal,
        outputs=Outputs(settings.state_dir, clock),
        media=MediaFolder(settings.state_dir / "media", clock),
        outgoing=MediaFolder(settings.state_dir / "outgoing", clock, KEPT_S),
        device_id=device_id,
        lanes=Lanes(),
        runs=Runs(host, clock, settings.max_turns),
        hide=hide,
        clock=clock,
        open_transport=open_transport,
    )


def make_directory(context: BotContext, shared: ChannelContext) -> ConversationDirectory:
    """Return what keeps up with the bot's conversations."""
    return ConversationDirectory(
        context=context,
        settings=gate_policy(context.config),
        groups=Groups(context),
        roster=Roster(context),
        preferences=MentionPreferences(context),
        notes=GroupDocs(context),
        commands=lambda: words_of(shared.runs.host),
    )


def gate_policy(config: BotConfig) -> GatePolicy:
    """Return what a bot's settings tell the gate of every conversation."""
    return GatePolicy(
        require_mention=config.require_mention,
        answer_others_mentions=config.answer_others_mentions,
        reply_triggers=config.reply_triggers,
        access=config.access,
    )


def make_admission(context: BotContext, outbox: Outbox) -> Admission:
    """Return what turns messages away."""
    notices = Notifier(outbox, context.journal, context.tasks, context.clock, context.log)
    return Admission(context, notices, Limits(context, notices.end_burst))


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


def make_outbox(
    context: BotContext, shared: ChannelContext, directory: ConversationDirectory, files: Attachments
) -> Outbox:
    """Return what sends, each part once."""
    sender = Sender(
        api=context.api,
        own_uid=context.identity.uid,
        clock=context.clock,
        people=directory.people,
        everyone=lambda: context.config.mention_everyone,
        log=context.log,
    )
    parts = Parts(context=context, files=files, people=directory.people)
    return Outbox(
        context=context,
        sender=sender,
        files=files,
        parts=parts,
        progress=Progress(context=context, sender=sender),
        underway=shared.underway,
    )


def make_outbound(context: BotContext, directory: ConversationDirectory, outbox: Outbox) -> ActionContext:
    """Return what the bot lends to those who speak through it."""
    return ActionContext(
        context=context, directory=directory, outbox=outbox, posts=Posts(outbox, context.clock.wall_ms())
    )


def make_commands(context: BotContext, shared: ChannelContext) -> Commands:
    """Return what answers commands."""
    return Commands(
        context=context,
        runs=shared.runs,
        lanes=shared.lanes,
        underway=shared.underway,
        decisions=Decisions(context=context, runs=shared.runs),
    )


def make_turns(
    context: BotContext,
    shared: ChannelContext,
    directory: ConversationDirectory,
    outbox: Outbox,
    presence: Presence,
    media: MediaDownloads,
) -> Turns:
    """Return what takes messages to their visible end."""
    return Turns(
        context=context,
        runs=shared.runs,
        guard=SessionGuard(
            context=context,
            sessions=shared.sessions,
            outbox=outbox,
            presence=presence,
        ),
        outbox=outbox,
        presence=presence,
        outputs=shared.outputs,
        prompts=Prompts(context=context, directory=directory, media=media),
        kept_prompts=KeptPrompts(context=context, hide=shared.hide),
        approvals=ApprovalDesk(context=context, sender=outbox.sender, runs=shared.runs, hide=shared.hide),
        slots=FairSlots(context.config.max_turns),
    )
