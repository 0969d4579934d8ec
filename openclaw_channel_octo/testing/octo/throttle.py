"""The server's throttle of typing commands (octo-bot-api §3.1)."""

from typing import Final

from openclaw_channel_octo.ids import ChannelRef

__all__ = ["TypingThrottle"]

FORWARDED_S: Final = 90.0
"""How long after its first call a window lets typing through."""

WINDOW_S: Final = 180.0
"""How long a window lasts; the second half of it swallows typing."""


class TypingThrottle:
    """Decides which typing calls of a bot in a channel reach people; a sent message starts it anew."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, ChannelRef], float] = {}

    def lets_through(self, bot: str, channel: ChannelRef, now: float) -> bool:
        """Return whether a call is forwarded.

        Args:
            bot: the bot's uid.
            channel: as the bot addresses it.
            now: monotonic seconds.
        """
        opened = self._opened.get((bot, channel))
        if opened is None or now - opened >= WINDOW_S:
            self._opened[bot, channel] = now
            return True
        return now - opened < FORWARDED_S

    def reset(self, bot: str, channel: ChannelRef) -> None:
        """Forget the window, as a sent message does."""
        self._opened.pop((bot, channel), None)
