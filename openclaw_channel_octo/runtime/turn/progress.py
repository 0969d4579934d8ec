"""What the progress message of a turn says, and whether there is one (decision 0055)."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from openclaw_channel_octo.config.access import GroupSettings
from openclaw_channel_octo.config.model import BotConfig
from openclaw_channel_octo.ids import ChannelRef, ChannelType, group_of
from openclaw_channel_octo.message.preview import preview
from openclaw_channel_octo.message.text import single_line
from openclaw_channel_octo.policy.access import ANYONE
from openclaw_channel_octo.runtime.directory.directory import Members
from openclaw_channel_octo.runtime.turn.stream import Stream

__all__ = ["Shown", "mode_in"]

TOOLS_SHOWN = 3
"""Tools whose names are shown, those used last."""

TOOL_CHARS = 40
"""Longest name that is shown whole."""

TEXT_LIMIT = 1_000
"""UTF-16 units of the text so far that are shown."""


class Shown(Struct, eq=False, kw_only=True):
    """What people see of a run while it goes on.

    Attributes:
        config: the bot's settings.
        mode: whether the beginning of the text is part of it.
        mark: of what the agent reads.
        seen: what the run has told, ``None`` before it begins.
    """

    config: BotConfig
    mode: Literal["progress", "text"]
    mark: str
    seen: Stream | None = None

    def __call__(self, seconds: float) -> tuple[str, str]:
        """Return what is done, and the whole message with the time; see `Progress`."""
        texts, tools = self.config.texts, self._tools()
        lines = [texts.working_with.replace("%s", ", ".join(tools))] if tools else []
        written = (
            "".join(self.seen.unposted) if self.mode == "text" and self.seen and self.seen.is_clean else ""
        )
        text = preview(written, self.mark, TEXT_LIMIT)
        does = "\n".join([*([text, ""] if text else []), *lines])
        time = texts.working.replace("%s", _clock(seconds))
        return does, "\n".join([*([text, ""] if text else []), time, *lines])

    def _tools(self) -> Sequence[str]:
        if self.seen is None:
            return ()
        named = [tool for tool in self.seen.tools if self.config.streaming.shows(tool)]
        shown = (single_line(tool.replace("`", "'"), TOOL_CHARS) for tool in named[-TOOLS_SHOWN:])
        return [f"`{name}`" for name in shown if name]


def mode_in(
    config: BotConfig, channel: ChannelRef, members: Members, own_uid: str
) -> Literal["off", "progress", "text"]:
    """Return what is shown of long turns in a conversation.

    Args:
        config: the bot's settings.
        channel: the conversation.
        members: who is there, as far as it is known; of a group of which it is not, nothing is shown.
        own_uid: the bot's.
    """
    general = config.streaming.mode
    if channel.type == ChannelType.PERSON:
        return general or "progress"
    nothing = GroupSettings()
    for entry in (group_of(channel).id, ANYONE):
        if (own := config.groups.get(entry, nothing).streaming) is not None:
            return own
    if not members.good or len(members.names) > config.streaming.max_group:
        return "off"
    if general is None:  # other bots see no edits, only that somebody is at work
        return "off" if members.bots - {own_uid} else "progress"
    return general


def _clock(seconds: float) -> str:
    """Return a time as people read it everywhere, such as ``0:45`` or ``1:02:03``."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
