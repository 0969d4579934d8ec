"""What people read when a bot changes a group or thread because somebody asked it to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.notices import Notice, with_signs

__all__ = ["ACTIONS_IN_CHINESE", "ActionTexts"]

_WHO = "who asked"
_Asked = Annotated[Notice, with_signs(s=_WHO)]


class ActionTexts(FrozenModel):
    """Lines about changes; ``%s`` stands for who asked for it.

    Attributes:
        operator: who asked, where it was nobody in the chat.
        group_created: in a new group.
        group_renamed: the group has another name.
        members_added: ``%p`` stands for their names.
        members_removed: likewise.
        notes_changed: ``%p`` stands for GROUP.md or THREAD.md.
        thread_created: in a new thread.
        thread_archived: in the thread's group; ``%p`` stands for its name.
    """

    operator: Notice = "My operator"
    group_created: _Asked = "👋 %s asked me to create this group."
    group_renamed: _Asked = "✏️ %s asked me to rename this group."
    members_added: Annotated[Notice, with_signs(s=_WHO, p="the names")] = "➕ %s asked me to add: %p"
    members_removed: Annotated[Notice, with_signs(s=_WHO, p="the names")] = "➖ %s asked me to remove: %p"
    notes_changed: Annotated[Notice, with_signs(s=_WHO, p="the document")] = "📝 %s asked me to change %p."
    thread_created: _Asked = "🧵 %s asked me to open this thread."
    thread_archived: Annotated[Notice, with_signs(s=_WHO, p="the thread's name")] = (
        "🗄️ %s asked me to archive the thread: %p"
    )


ACTIONS_IN_CHINESE: Mapping[str, str] = MappingProxyType(
    {
        "operator": "我的管理员",
        "group_created": "👋 %s让我创建了这个群。",
        "group_renamed": "✏️ %s让我修改了群名。",
        "members_added": "➕ %s让我添加成员：%p",
        "members_removed": "➖ %s让我移除成员：%p",
        "notes_changed": "📝 %s让我修改了 %p。",
        "thread_created": "🧵 %s让我创建了这个子区。",
        "thread_archived": "🗄️ %s让我归档子区：%p",
    }
)
"""The Chinese texts, by the attributes of `ActionTexts`."""
