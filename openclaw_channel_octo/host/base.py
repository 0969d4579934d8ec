"""The contract between a channel and the host that runs agent turns (design §6).

A host implements `AgentHost`. A channel hands it one `Turn` for each inbound message and reads a stream of
`TurnEvent`. Ids (message, run, session) are strings here; times are Unix milliseconds.

Over 350 lines: the contract is read as one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from msgspec import Struct

from openclaw_channel_octo.host.approvals import ApprovalsChanged
from openclaw_channel_octo.session.status import SessionSnapshot
from openclaw_channel_octo.values import SecretStruct

__all__ = [
    "Accepted",
    "Activity",
    "AgentHost",
    "AsksApprovals",
    "Block",
    "ChatTool",
    "ChatTools",
    "Delta",
    "Failed",
    "Final",
    "HidesThinking",
    "Interrupted",
    "Media",
    "MediaItem",
    "NamesSessions",
    "Recovery",
    "ResumesRuns",
    "Sender",
    "Skipped",
    "TakesChatTools",
    "ToolNote",
    "Turn",
    "TurnEvent",
    "Waiting",
]


class Sender(Struct, frozen=True, kw_only=True):
    """Who wrote the message of a turn.

    Attributes:
        uid: the person's or bot's id in the chat.
        name: display name, empty when unknown. Chosen by its owner: untrusted text.
        is_owner: whether this is the bot's owner.
    """

    uid: str
    name: str = ""
    is_owner: bool = False


class MediaItem(Struct, frozen=True, kw_only=True):
    """A file that came with a message or belongs to an answer.

    Attributes:
        kind: ``image``, ``gif``, ``voice``, ``video`` or ``file``.
        url: where it lies, as the sender wrote it; not fetched, not trusted. Of an answer: ``http``, ``https``,
            ``file`` or ``data`` address, or a path.
        name: file name as the sender wrote it, possibly empty.
        size: bytes as the sender claims, ``None`` when unknown; those of the file where it was fetched.
        path: the file on this machine: that of a message where it was fetched, and does not stay for long; that of
            an answer where it lies below ``mediaRoots`` or in `Turn.output`. ``None`` where only ``url`` leads to it.
        mime: the fetched file's type as its server said, possibly empty.
    """

    kind: str
    url: str
    name: str = ""
    size: int | None = None
    path: Path | None = None
    mime: str = ""


class Turn(SecretStruct, frozen=True, kw_only=True):
    """One run of the agent for one inbound message.

    Attributes:
        run_id: ours, fresh for every attempt; the host's idempotency key.
        session_key: the conversation in the host.
        agent_id: which of the host's agents runs.
        account_id: the bot that was addressed.
        channel: the channel's id, here always ``octo``.
        conversation: ``group``, ``thread`` or ``direct``.
        channel_id: the chat's id of the conversation: group number, thread id or peer uid.
        title: its name for people: the group's, a thread's with its number, the peer's; empty when unknown. Untrusted
            text: its members choose it.
        message_id: the inbound message's id.
        sender: who wrote it.
        text: what the agent is asked.
        media: files that came with it, in order.
        notes: who can be called, and what the conversation's members keep for the agent: untrusted text, part of its
            instructions.
        context: text of earlier unaddressed messages and the like, to be shown as context, not as a request.
        mark: stands in every line of text, notes and context that is the channel's and nobody's words; fresh for this
            message, so that nobody can write it. `message.marks.explanation` tells an agent about it.
        ticket: secret of this run: whoever has it may act in the chat for the person who asked, while the run goes on.
        output: folder of this run alone, which is there when the host gets the turn: an answer may name files in it
            by ``MediaItem.path``. It has to stay the same folder: files in another one put in its place are not sent.
            ``None`` where there is none.
        budget_s: longest the run may take in seconds, ``None`` for the host's own limit.
        attempt: 1 for the first run of this message, counting up.
        resumed: whether an earlier run of the same message was lost with a process.
        lost_since_ms: set where that run was started under this very run id and may still be known to the host
            (`AgentHost.keeps_runs`): when it was, Unix milliseconds.
    """

    HIDDEN: ClassVar = frozenset({"ticket"})

    run_id: str
    session_key: str
    agent_id: str
    account_id: str
    channel: str
    conversation: str
    channel_id: str
    message_id: str
    sender: Sender
    text: str
    media: tuple[MediaItem, ...] = ()
    notes: str = ""
    context: str = ""
    mark: str = ""
    title: str = ""
    output: Path | None = None
    ticket: str = ""
    budget_s: float | None = None
    attempt: int = 1
    resumed: bool = False
    lost_since_ms: int = 0


class Accepted(Struct, frozen=True):
    """The host has started the run."""

    run_id: str


class Delta(Struct, frozen=True):
    """More text of the answer as it is written; progress only, never posted alone.

    The embedded host holds text back as long as it may turn out to be a model's thinking: an answer without thinking in
    front of it comes at its end.

    Attributes:
        text: what is written.
        is_clean: whether the host has left thinking out of it: other text people see at its end alone.
    """

    text: str
    is_clean: bool = False


class Block(Struct, frozen=True):
    """A finished part of the answer, to be posted now."""

    text: str


class Media(Struct, frozen=True):
    """A file of the answer, to be posted now."""

    source: MediaItem


class Activity(Struct, frozen=True):
    """The agent begins to use a tool; a host may leave it out. People see its name where the operator lets them.

    Attributes:
        tool: the tool's name, nothing of what it is called with.
    """

    tool: str


class ToolNote(Struct, frozen=True):
    """What a tool did; not shown to people."""

    text: str


class Final(Struct, frozen=True):
    """Terminal: the run ended well. Only what no `Block` or `Media` brought belongs here.

    Attributes:
        text: the answer without its files.
        media: its files.
        parts: the same texts and files in the order in which they are to appear; empty where the text comes first.
        cut: whether the answer ends where a length limit of its model ended it.
        filtered: whether it ends where a content filter ended it.
    """

    text: str = ""
    media: tuple[MediaItem, ...] = ()
    parts: tuple[str | MediaItem, ...] = ()
    cut: bool = False
    filtered: bool = False


class Failed(Struct, frozen=True):
    """Terminal: the run ended badly.

    Attributes:
        status: ``failed``, ``timeout`` or ``killed``.
        message: what happened, for the operator; never posted to the chat.
        partial: text the agent had written by then and no `Block` brought; where it is empty, what the `Delta` say.
        is_all: whether ``partial`` is all that people are to read, also where it is empty.
    """

    status: str
    message: str
    partial: str = ""
    is_all: bool = False


class Waiting(Struct, frozen=True):
    """The run stands still: its host is away, or its session takes no run yet. That uses up no budget.

    Attributes:
        waits: false when it goes on. Its end ends the waiting too.
    """

    waits: bool = True


class Interrupted(Struct, frozen=True):
    """The run may have ended with its host, which may go on with it after its start and answer by itself.

    Attributes:
        is_so: false where it turns out to go on.
    """

    is_so: bool = True


class Skipped(Struct, frozen=True):
    """Terminal: the host did not run the turn at all."""

    reason: str


TurnEvent = (
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
    | Skipped
)


class Recovery(StrEnum):
    """What came of `AgentHost.recover`."""

    RECOVERED = "recovered"
    CONFLICT = "conflict"


@runtime_checkable
class AgentHost(Protocol):
    """Runs agent turns and keeps sessions."""

    queues_turns: bool
    """Whether the host itself orders turns of one session, so that a foreign run is no reason to wait."""

    keeps_runs: bool
    """Whether runs go on without this process, so that one it lost is taken up under its own run id."""

    async def start(self) -> None:
        """Take ownership of the host's state. Raises `HostError` when that is not possible."""

    async def ready(self) -> None:
        """Return when turns can be run, at once where they always can.

        Raises `HostError` when an operator has to act before they can.
        """

    async def stop(self) -> None:
        """End what runs and give the state back."""

    async def describe(self, session_key: str) -> SessionSnapshot | None:
        """Return the session's state, ``None`` when there is no such session. Raises `HostError`."""

    async def recover(self, snapshot: SessionSnapshot) -> Recovery:
        """Clear the lifecycle fields of an ended run, if the session still is what ``snapshot`` says.

        The conversation keeps its session id, transcript and every other field. Raises `HostError`.
        """

    def run(self, turn: Turn) -> AsyncIterator[TurnEvent]:
        """Run a turn; the stream ends after exactly one terminal event.

        Closing the stream ends the run where it lives in this process; where the host keeps it, `abort` ends it.
        """

    async def abort(self, session_key: str, run_id: str) -> bool:
        """Stop the run; return whether it was running. Raises `HostError`."""

    async def reset(self, session_key: str) -> SessionSnapshot:
        """Give the conversation a new, empty memory; return the new session. Raises `HostError`."""


class ChatTool(Struct, frozen=True, kw_only=True):
    """Something an agent can do in the chat beside answering, described for a model.

    Attributes:
        name: letters, digits and underscores.
        description: what it does, and when to use it.
        parameters: JSON schema of its parameters, an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


class ChatTools(Protocol):
    """What agents of this process can do in the chat; a channel lends it to a host that `TakesChatTools`."""

    @property
    def url(self) -> str:
        """Where programs find the tools by MCP, the ticket of a run as bearer token; empty where they do not."""

    @property
    def tools(self) -> Sequence[ChatTool]:
        """What there is."""

    def offered(self, ticket: str) -> Sequence[ChatTool]:
        """Return those of `tools` that are of use to the person whose run has the ticket (`Turn.ticket`)."""

    async def call(self, ticket: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Do it for the person whose run has the ticket (`Turn.ticket`); return words for the model, also of errors."""


@runtime_checkable
class TakesChatTools(Protocol):
    """What an `AgentHost` also is whose agents act by `ChatTools`."""

    def take_tools(self, tools: ChatTools) -> None:
        """Take what agents of later turns can do in the chat; the last ones count."""


@runtime_checkable
class NamesSessions(Protocol):
    """What an `AgentHost` also is whose sessions may have other keys than the conversations they belong to."""

    def conversation_key(self, session_key: str) -> str:
        """Return the session key of a turn (`Turn.session_key`) that runs in a session of the host.

        Args:
            session_key: as the host writes it, in any case; one that belongs to no conversation is returned as it is.
        """
        ...


@runtime_checkable
class ResumesRuns(Protocol):
    """What an `AgentHost` also is that takes up runs by itself after a crash, and says their answers beside ours."""

    async def resumed(self, session_key: str) -> Mapping[str, Sequence[str]]:
        """Return what such runs have said lately, by the run id of the turn, empty where the host keeps none.

        Raises `HostError` where it cannot be asked.
        """
        ...


@runtime_checkable
class AsksApprovals(Protocol):
    """What an `AgentHost` also is where agents ask people for leave before they do something."""

    approvals_in: str
    """Where people decide, in words for the chat; empty for the gateway's own interface."""


@runtime_checkable
class HidesThinking(Protocol):
    """What an `AgentHost` also is that leaves the thinking of its models out itself.

    Out of the answers of every other host the channel takes it.
    """

    hides_thinking: bool
    """Whether the texts of its events are what people are to read."""
