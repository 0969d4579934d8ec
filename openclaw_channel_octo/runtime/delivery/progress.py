"""The one message that shows the progress of a turn: sent, edited, and given up for the answer (decision 0055).

Over 350 lines: every way in which such a message begins, changes and ends goes by the same notes.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from msgspec import Struct, field
from msgspec.structs import replace

from openclaw_channel_octo.clock import within
from openclaw_channel_octo.errors import (
    AmbiguousOutcome,
    ApiError,
    AuthError,
    BadRequest,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
)
from openclaw_channel_octo.ids import ChannelRef
from openclaw_channel_octo.rest.answers import ProxyRefusal
from openclaw_channel_octo.rest.calls import Call
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.delivery.sender import Sender
from openclaw_channel_octo.store.records import Chunk, InboundRow
from openclaw_channel_octo.store.states import OPEN

__all__ = ["Progress", "View"]

View = Callable[[float], tuple[str, str]]
"""Tells what to show after so many seconds of a turn: what the agent does, and the whole text with the time."""

EVERY_S = 3.0
"""Shortest time between two looks at what a turn does; it grows to a twentieth of the turn's time."""

LONGEST_PAUSE_S = 30.0
"""The longest such time, and the shortest wait of a bot after a refusal that another time would not meet."""

REFRESH_S = 15.0
"""How often the time alone is a reason for an edit."""

BETWEEN_S = 1.0
"""Shortest time between two requests of one bot, for all its conversations together."""

PATIENCE_S = 2.0
"""Longest wait of an answer for a request that is on its way about the message it replaces."""

UNSURE_FOR_S = 60.0
"""How long an edit without an answer may still be carried out: twice the longest request."""

PROBE = "1"
"""A message id that no server gives: the refusal of its edit tells whether the server has edits."""

TIDY_AGAIN_S = (5.0, 60.0)
"""Waits between the tries to have a message say that the work is done."""

_NO_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_NEVER = float("-inf")
_REFUSALS = (AuthError, PermissionDenied, NotFound, BadRequest, PayloadTooLarge, RateLimited, ProxyRefusal)
"""Errors of requests that were certainly not carried out, and never will be."""


class _Note(Struct, eq=False):
    """The progress message of one turn, also before there is one.

    Attributes:
        row: the message that is answered.
        began_at: when the turn began, Unix milliseconds.
        chunk: the message, ``None`` before it is planned.
        message_id: its id in the chat, empty until it is known.
        task: keeps it up to date.
        is_over: whether it is not to change any more: something else takes its place.
        is_asking: whether a request about it is on its way.
        is_passed: whether something of the answer stands behind it, so that nothing more takes its place.
        unsure_until: until when an edit without an answer may still be carried out, seconds of the clock.
    """

    row: InboundRow
    began_at: int
    chunk: Chunk | None = None
    message_id: str = ""
    task: asyncio.Task[None] | None = None
    is_over: bool = False
    is_asking: bool = False
    is_passed: bool = False
    unsure_until: float = _NEVER


class Progress(Struct, eq=False, kw_only=True):
    """The progress messages of one bot.

    Each is in the journal before it is sent, and stays there until something else stands in its place: what a process
    leaves behind, the next one takes over, or has it say that the work is done.

    Attributes:
        context: what every part of the bot is made from.
        sender: brings messages into the chat.
    """

    context: BotContext
    sender: Sender
    _notes: dict[int, _Note] = field(default_factory=dict)
    _tidying: set[asyncio.Task[None]] = field(default_factory=set)
    _has_edits: bool | None = None
    _next_at: float = _NEVER
    _is_loaded: bool = False
    _is_paused: bool = False

    async def load(self) -> None:
        """Take over what an earlier process left; a second call does nothing. Raises `StoreError`."""
        if self._is_loaded:
            return
        for row, left in await self.context.journal.progress.left(self.context.config.account_id):
            chunk = Chunk(ref=left.ref, text=left.ref, since_ms=left.planned_at)  # looked for by its id alone
            self._notes[row.id] = _Note(row, left.began_at, chunk, left.message_id, is_passed=left.is_passed)
            if row.state not in OPEN:
                self.tidy(row)
        self._is_loaded = True

    async def take_up(self, row: InboundRow) -> None:
        """Find the message that an earlier process may have sent for a row and had no answer about."""
        note = self._notes.get(row.id)
        if note is not None and note.chunk is not None and not note.message_id:
            with suppress(ApiError):  # where the chat cannot be read, it is looked for once more at the end
                await self._find(note, note.chunk)

    async def adopt(self, row: InboundRow) -> None:
        """Take over the message that stands in the chat for a row, and that a journal older than it does not know."""
        if row.retried or row.id in self._notes or not (message_id := self.sender.progress_of(row)):
            return
        now_ms = self.context.clock.wall_ms()
        await self.context.journal.progress.plan(row.id, "", now_ms, message_id)
        self._notes[row.id] = _Note(row, now_ms, Chunk(ref="", text=""), message_id)

    def begin(self, row: InboundRow, view: View, after_s: float, quote: str = "") -> None:
        """Show the progress of a row's turn from now on, until `cut`, or until a part of its answer takes the place.

        Args:
            row: the row.
            view: what is shown.
            after_s: seconds before a first message is sent; one that is there already is kept up at once.
            quote: begins the message, JSON; empty for none.
        """
        note = self._notes.setdefault(row.id, _Note(row, self.context.clock.wall_ms()))
        if note.task is None:
            note.is_over = False
            note.task = self.context.tasks.start(self._keep_up(note, view, after_s, quote), "progress")

    async def cut(self, row: InboundRow) -> None:
        """Leave a row's message as it is, at once: its turn is broken off."""
        if (note := self._notes.get(row.id)) is not None:
            await self._still(note, patience_s=0.0)

    async def replaced(self, row: InboundRow, chunk: Chunk) -> str:
        """Put a part of an answer in the place of the row's progress message, if there is one; else nothing begins.

        It is a message of its own where it calls somebody or is a file, or where an edit would fail or be undone.

        Returns:
            The message's id; empty where the part has to be sent.
        """
        note, message_id = self._notes.get(row.id), chunk.replaces
        if not message_id:
            if note is None:
                return ""
            await self._still(note)
            if not self._gives_way(note, chunk):
                note.is_passed = True
                return ""
            message_id = note.message_id
            await self.context.journal.progress.replace_by(chunk.ref, message_id)
        try:
            await self._put(note, row, message_id, chunk)
        except ApiError as error:
            self.context.log.warning("%s; this part of the answer is sent as a message of its own", error)
            await self.context.journal.progress.replace_by(chunk.ref, "")
            self.passed(row)
            if isinstance(error, NotFound | PermissionDenied):
                await self._forget(row)
            return ""
        await self._forget(row)
        return message_id

    def passed(self, row: InboundRow) -> None:
        """Note that something stands behind a row's message that belongs before the rest of the answer."""
        if (note := self._notes.get(row.id)) is not None:
            note.is_passed = True

    async def passed_in(self, channel: ChannelRef) -> None:
        """Do as `passed` does with the messages in a conversation, for later processes too. Raises `StoreError`."""
        for note in [*self._notes.values()]:
            if note.row.channel == channel and (note.is_asking or note.chunk is not None):
                note.is_passed = True
                await self.context.journal.progress.passed(note.row.id)

    def tidy(self, row: InboundRow) -> None:
        """Have what is left of a row's message say that the work is done, without making anybody wait."""
        note = self._notes.pop(row.id, None)
        if note is not None and (note.task is not None or note.chunk is not None):
            self._tidying.add(task := self.context.tasks.start(self._tidy(note), "progress-end"))
            task.add_done_callback(self._tidying.discard)

    async def pause(self) -> None:
        """Have all messages say that the bot goes away, and change no more: nobody knows when it comes back."""
        self._is_paused = True
        text, notes = self.context.config.texts.paused, [*self._notes.values()]
        await asyncio.gather(*(self._edited(note, text) for note in notes if note.message_id))

    async def settle(self) -> None:
        """Return once the messages of turns that have ended say so."""
        while self._tidying:
            await asyncio.wait(self._tidying)

    def _gives_way(self, note: _Note, chunk: Chunk) -> bool:
        if note.is_passed or not note.message_id or self.context.clock.now() < note.unsure_until:
            return False
        return self.sender.fits_in_place(note.row.channel, chunk)

    async def _put(self, note: _Note | None, row: InboundRow, message_id: str, chunk: Chunk) -> None:
        """Put a part in the place of a message; where nobody hears how that ended, it may still be done."""
        if note is not None:
            note.unsure_until = self.context.clock.now() + UNSURE_FOR_S
        try:
            await self.sender.replace(row, message_id, chunk)
        except ApiError as error:
            if note is not None and isinstance(error, _REFUSALS):
                note.unsure_until = _NEVER
            raise

    async def _forget(self, row: InboundRow) -> None:
        self._notes.pop(row.id, None)  # first: what it says is right, whether the journal takes that or not
        await self.context.journal.progress.over(row.id)

    async def _still(self, note: _Note, patience_s: float = PATIENCE_S) -> None:
        """Return when no request about a message is on its way, or was given up."""
        note.is_over = True
        if (task := note.task) is None:
            return
        if note.is_asking and patience_s > 0:
            with suppress(TimeoutError):
                await within(self.context.clock, patience_s, asyncio.wait({task}))
        task.cancel()
        await asyncio.wait({task})
        note.task = None

    async def _keep_up(self, note: _Note, view: View, after_s: float, quote: str) -> None:
        clock, pause_s, did, edited_at = self.context.clock, 0.0, "", _NEVER
        if not note.message_id:
            if note.chunk is not None:
                return  # it may stand in the chat, nobody knows where
            await clock.sleep(after_s)
            while (sent := await self._first(note, (shown := view(self._seconds(note)))[1], quote)) is None:
                await clock.sleep(EVERY_S)
            if not sent:
                return
            did, edited_at, pause_s = shown[0], clock.now(), EVERY_S
        while not note.is_over:
            await clock.sleep(pause_s)
            seconds = self._seconds(note)
            pause_s = min(LONGEST_PAUSE_S, max(EVERY_S, seconds / 20))
            does, text = view(seconds)
            if (does == did and clock.now() - edited_at < REFRESH_S) or self._is_busy(note):
                continue
            did, edited_at = does, clock.now()
            if not await self._edited(note, text):
                return

    def _seconds(self, note: _Note) -> float:
        return max(0.0, (self.context.clock.wall_ms() - note.began_at) / 1_000)

    def _is_busy(self, note: _Note) -> bool:
        """Return whether a request now would be in the way of something, or of itself."""
        now = self.context.clock.now()
        waits = self._is_paused or now < self._next_at or now < note.unsure_until
        return waits or bool(self.sender.unsent) or self.context.api.is_full(Call.PROGRESS)

    async def _first(self, note: _Note, text: str, quote: str) -> bool | None:
        """Send the message; return whether it was sent, ``None`` where another try may help."""
        if self._is_busy(note):
            return None
        if not (has_edits := await self._edits_here(note.row.channel)):
            return has_edits
        note.is_asking = True
        try:
            return not note.is_over and await self._send(note, text, quote)
        finally:
            note.is_asking = False

    async def _send(self, note: _Note, text: str, quote: str) -> bool | None:
        journal, clock = self.context.journal, self.context.clock
        chunk = Chunk(ref=clock.new_id(), text=text, reply=quote, since_ms=clock.wall_ms())
        await journal.progress.plan(note.row.id, chunk.ref, note.began_at)
        note.chunk = chunk
        self._next_at = clock.now() + BETWEEN_S
        try:
            note.message_id = await self.sender.send_progress(note.row, chunk)
        except AmbiguousOutcome:
            return False  # it is looked for at the end
        except ApiError as error:
            self.context.log.info("no progress is shown of message %s: %s", note.row.message_id, error)
            note.chunk = None
            await journal.progress.over(note.row.id)
            self._wait_after(error)
            return None if error.retryable else False
        await journal.progress.shown(note.row.id, note.message_id)
        return True

    async def _edits_here(self, channel: ChannelRef) -> bool | None:
        """Return whether the server has edits, ``None`` where it does not say so now."""
        if self._has_edits is None:
            try:
                await self.context.api.edit_progress(channel, PROBE, {"type": 1, "content": "…"})
            except ApiError as error:
                if not isinstance(error, _REFUSALS) or isinstance(
                    error, RateLimited | ProxyRefusal | AuthError
                ):
                    return None
                self._note_edits(error)
            else:
                self._has_edits = True
        return self._has_edits

    def _note_edits(self, error: ApiError) -> None:
        """Note what the refusal of an edit says about the server."""
        self._has_edits = not (error.status in _NO_ROUTE and not error.code)
        if not self._has_edits:
            self.context.log.warning("no progress is shown from now on: this server has no edits (%s)", error)

    async def _edited(self, note: _Note, text: str) -> bool:
        """Have the message say something else, with one try; return whether it may be changed once more."""
        now = self.context.clock.now()
        self._next_at, note.unsure_until, note.is_asking = now + BETWEEN_S, now + UNSURE_FOR_S, True
        try:
            await self._edit(note, text)
        except ApiError as error:
            if not isinstance(error, _REFUSALS):
                return True
            note.unsure_until = _NEVER
            if isinstance(error, RateLimited | ProxyRefusal):
                self._wait_after(error)
                return True
            self.context.log.info("no more progress is shown of message %s: %s", note.row.message_id, error)
            if isinstance(error, NotFound | PermissionDenied):
                self._note_edits(error)
                await self.context.journal.progress.over(note.row.id)
                note.chunk, note.message_id = None, ""
            return False
        finally:
            note.is_asking = False
        note.unsure_until = _NEVER
        return True

    def _wait_after(self, error: ApiError) -> None:
        """Have nothing more asked for as long as the server wants, or some time."""
        asked_s = error.retry_after if isinstance(error, RateLimited | ProxyRefusal) else 0.0
        self._next_at = self.context.clock.now() + max(asked_s, LONGEST_PAUSE_S)

    async def _edit(self, note: _Note, text: str) -> None:
        chunk = replace(note.chunk or Chunk(ref="", text=""), text=text)
        payload = self.sender.progress_payload(note.row, chunk)
        await self.context.api.edit_progress(note.row.channel, note.message_id, payload)

    async def _find(self, note: _Note, chunk: Chunk) -> None:
        """Look for a message whose sending had no answer. Raises `ApiError`."""
        note.message_id = await self.sender.find_sent(note.row, chunk)
        if note.message_id:
            await self.context.journal.progress.shown(note.row.id, note.message_id)
        else:
            note.chunk = None
            await self.context.journal.progress.over(note.row.id)

    async def _tidy(self, note: _Note) -> None:
        """Have a message say that the work is done; where that fails for long, the next process tries again."""
        await self._still(note)
        if (chunk := note.chunk) is None:
            return  # the turn was over before there was one
        for pause_s in (*TIDY_AGAIN_S, 0.0):
            try:
                if not note.message_id:
                    await self._find(note, chunk)
                if note.message_id:
                    await self._edit(note, self.context.config.texts.worked)
            except ApiError as error:
                if not isinstance(error, NotFound | PermissionDenied | BadRequest | PayloadTooLarge):
                    await self.context.clock.sleep(pause_s)
                    continue
            left_s = note.unsure_until - self.context.clock.now()
            if left_s > 0:  # an edit from before may come behind this one
                note.unsure_until = _NEVER
                await self.context.clock.sleep(left_s)
                continue
            await self.context.journal.progress.over(note.row.id)
            return
        self.context.log.warning("a message in %s still says that I am at work", note.row.channel.id)
