"""What people have seen of an answer, and what of a run's end they are to read."""

from collections.abc import Sequence

from msgspec import Struct, field

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.message.marks import unmarked
from openclaw_channel_octo.message.outgoing import file_note
from openclaw_channel_octo.runtime.turn.runs import RunEnd
from openclaw_channel_octo.session.status import Status

__all__ = ["SILENT_REPLY", "Answer", "visible_text"]

CUT_MARK = " […]"
"""Behind the text of a run that was cut short."""

MOST_FILES = 20
"""Files of one answer; the others are named in one line."""

SILENT_REPLY = "NO_REPLY"
"""An agent's way to say that it chooses to say nothing (openclaw-host §3.6)."""


class Answer(Struct):
    """What people have seen of an answer.

    Attributes:
        runs: ids of the runs that wrote it.
        shown: ids of its messages.
        files: where the files come from that were named in it.
        quote: of the message it answers, JSON; empty where there is none, or once it was shown.
        mark: of what the agent reads; no part of what people read.
    """

    runs: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    quote: str = ""
    mark: str = ""

    def take_quote(self) -> str:
        """Return the quote for the part that is sent first, and nothing for the others."""
        taken, self.quote = self.quote, ""
        return taken

    def new(self, said: Sequence[str | MediaItem], file_failed: str) -> list[str | MediaItem]:
        """Return what of a part is to be sent: each file once, and only so many of them.

        Args:
            said: texts and files in order.
            file_failed: begins the line that stands for the files that are too many.
        """
        fresh: list[str | MediaItem] = []
        for piece in said:
            if isinstance(piece, str):
                fresh.append(unmarked(piece, self.mark))
                continue
            source = str(piece.path or piece.url.strip())
            if source in self.files or len(self.files) > MOST_FILES:
                continue
            self.files.add(source)
            too_many = len(self.files) > MOST_FILES
            fresh.append(
                file_note(file_failed, "", f"more than {MOST_FILES} in one answer") if too_many else piece
            )
        return fresh


def visible_text(end: RunEnd, mark: str = "") -> str:
    """Return what of a run's end people are to read; text of a run that failed says that it was cut short.

    Args:
        end: the run's.
        mark: of what its agent read, left out.
    """
    text = "" if end.text.strip() == SILENT_REPLY else unmarked(end.text, mark)
    if text.strip() and end.status != Status.DONE:
        text = text.rstrip() + CUT_MARK
    return text if text.strip() else ""
