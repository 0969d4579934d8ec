"""What people have seen of one answer, and what of an agent's words they are to see."""

from collections.abc import Sequence

from msgspec import Struct, field

from openclaw_channel_octo.config.texts import Reason, Texts
from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.message.outgoing import file_note
from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.message.text import has_content
from openclaw_channel_octo.runtime.delivery.extent import Extent
from openclaw_channel_octo.runtime.turn.stream import RunEnd
from openclaw_channel_octo.store.records import Part

__all__ = ["Answer"]

MOST_FILES = 20
"""Files of one answer; the others are named in one line."""


class Answer(Struct):
    """What people have seen of an answer.

    Attributes:
        runs: ids of the runs that wrote it.
        shown: ids of its messages.
        files: where the files come from that were named in it.
        extent: what became of its texts.
        mark: of what the agent reads; no part of what people read.
        failures: failed runs in a row whose announcement was left to the end of this one.
        restart_told: whether the restart was announced before the answer.
        is_declined: whether the agent has said that it chooses to say nothing.
    """

    extent: Extent
    runs: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    mark: str = ""
    failures: int = 0
    restart_told: bool = False
    is_declined: bool = False

    def visible(self, text: str) -> str:
        """Return what of a text of the agent people are to read, empty where nothing of it can be seen."""
        spoken = without_silence(unmarked(text, self.mark))
        self.is_declined = self.is_declined or spoken.is_declined
        return spoken.text if has_content(spoken.text) else ""

    def said(self, end: RunEnd) -> list[str | MediaItem]:
        """Return what of a run's end people are to read and see, in order."""
        pieces = (
            self.visible(part) if isinstance(part, str) else part
            for part in end.parts or (end.text, *end.media)
        )
        return [piece for piece in pieces if piece]

    def new(self, said: Sequence[str | MediaItem | Part], texts: Texts) -> list[str | MediaItem | Part]:
        """Return what of a part is to be sent: each file once, and only so many of them.

        Args:
            said: texts and files in order.
            texts: for the line that stands for the files that are too many.
        """
        fresh: list[str | MediaItem | Part] = []
        for piece in said:
            if not isinstance(piece, MediaItem):
                fresh.append(piece)
                continue
            source = str(piece.path or piece.url.strip())
            if source in self.files or len(self.files) > MOST_FILES:
                continue
            self.files.add(source)
            if len(self.files) > MOST_FILES:
                reason = Reason("file_too_many", str(MOST_FILES))
                fresh.append(file_note(texts.file_failed, "", reason.said(texts)))
            else:
                fresh.append(piece)
        return fresh
