"""Why a server does not let a bot change a group, in words an agent can pass on (octo-bot-api §1.4, §9)."""

from collections.abc import Awaitable
from typing import TypeVar

from openclaw_channel_octo.errors import AmbiguousOutcome, NotFound, PermissionDenied, Unavailable
from openclaw_channel_octo.rest.calls import Call

__all__ = ["explained"]

_T = TypeVar("_T")

_BY_CODE = {
    "not_group_member": "the bot is not in this group",
    "group_disbanded": "the group is disbanded",
    "cannot_remove_privileged": "the group's owner and managers cannot be removed by a bot",
    "app_bot_unsupported": "an App Bot cannot be in groups",
    "not_space_member": "the bot is not in that space",
    "bot_unavailable": "the bot is not published",
}
_NEEDS_ADMIN = (
    "the bot is no admin of this group: its owner or a manager has to make it one in the group's settings"
)
_ADMINS = frozenset({Call.WRITE_NOTES, Call.RENAME_GROUP, Call.REMOVE_MEMBERS})
_OF_THREADS = {
    Call.ARCHIVE_THREAD: "the bot has to have opened the thread, or be an admin of its group",
    Call.LEAVE_THREAD: "who opened a thread cannot leave it",
}
_NOT_STORED = "err.server.bot_api.store_failed"
"""What newer servers say of threads whatever the reason is."""


async def explained(change: Awaitable[_T]) -> _T:
    """Return what a change returns; a refusal says what would have to be different.

    Raises:
        ApiError: as the change does.
    """
    try:
        return await change
    except PermissionDenied as error:
        why = _BY_CODE.get(error.code.rpartition(".")[2], "")
        if not why:
            why = _NEEDS_ADMIN if error.call in _ADMINS else error.detail
        refused = PermissionDenied(
            error.call, f"{why}; nothing was changed", status=error.status, code=error.code
        )
    except NotFound as error:
        if error.call != Call.ARCHIVE_THREAD or error.code:
            raise
        words = "this server does not let bots archive threads; people can in the client"
        raise NotFound(error.call, words, status=error.status) from None
    except (AmbiguousOutcome, Unavailable) as error:
        if error.code != _NOT_STORED or error.call not in _OF_THREADS:
            raise
        words = f"the server did not do it: most likely {_OF_THREADS[Call(error.call)]}"
        refused = PermissionDenied(error.call, words, status=error.status, code=error.code)
    raise refused
