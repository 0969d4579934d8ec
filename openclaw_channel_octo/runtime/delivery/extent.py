"""How much of one answer its conversation gets as messages of text, and what of it goes into a file instead."""

from collections.abc import Sequence

from msgspec import Struct, field

__all__ = ["Extent"]

MOST_KEPT = 4_000_000
"""Characters of one answer that are kept for its file."""


class Extent(Struct, kw_only=True):
    """What became of the texts of one answer so far, whether its run streamed them, sent them or ended with them.

    Attributes:
        most: messages the answer may become, its text file counted, other files and what stands before it not.
        quote: begins the first message of the answer, JSON; empty where there is none, or once it was used.
        cut: whether more was said than became messages: the answer ends with a file that holds all of it.
        lost: characters that are not even kept for that file.
    """

    most: int
    quote: str = ""
    cut: bool = False
    lost: int = 0
    _messages: int = 0
    _shown: int = 0
    _kept: int = 0
    _texts: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Messages the answer may still become."""
        return 0 if self.cut else max(0, self.most - self._messages)

    @property
    def whole(self) -> str:
        """All that was said, in order."""
        return "\n\n".join(self._texts)

    @property
    def shown(self) -> int:
        """Characters of the messages it became."""
        return self._shown

    def take_quote(self) -> str:
        """Return the quote for the message that is sent first, and nothing for the others."""
        taken, self.quote = self.quote, ""
        return taken

    def take(self, text: str, messages: Sequence[str], keep: int) -> Sequence[str]:
        """Note a text of the answer and return those of its messages that are sent.

        Args:
            text: the text.
            messages: what it was split into; may end behind the first that cannot be sent.
            keep: messages that have to be left for what comes behind it.
        """
        room = MOST_KEPT - self._kept
        self._texts.append(text[:room])
        self._kept += len(self._texts[-1])
        self.lost += len(text) - len(self._texts[-1])
        sent = messages[: max(0, self.left - keep)]
        self.cut = self.cut or len(sent) < len(messages)
        self._messages += len(sent)
        self._shown += sum(map(len, sent))
        return sent
