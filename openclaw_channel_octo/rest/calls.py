"""The calls of the bot API and, for each of them, when it may be tried again (octo-bot-api §10)."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

__all__ = ["MAX_SHORT_BYTES", "POLICIES", "Call", "CallPolicy", "Queue"]

MAX_SHORT_BYTES = 64 * 1024
"""Largest answer that says little: an acknowledgement, credentials, one person, an upload's address, an error."""


class Call(StrEnum):
    """Names of the calls, as errors and log lines show them."""

    REGISTER = "register"
    SEND = "sendMessage"
    EDIT = "editMessage"
    PROGRESS = "editProgress"
    TYPING = "typing"
    READ_RECEIPT = "readReceipt"
    SYNC = "messages/sync"
    GROUPS = "groups"
    GROUP_INFO = "groupInfo"
    GROUP_MEMBERS = "groupMembers"
    USER_INFO = "userInfo"
    NOTES = "groupMd"
    WRITE_NOTES = "writeGroupMd"
    CREATE_GROUP = "createGroup"
    RENAME_GROUP = "renameGroup"
    ADD_MEMBERS = "addMembers"
    REMOVE_MEMBERS = "removeMembers"
    CREATE_THREAD = "createThread"
    ARCHIVE_THREAD = "archiveThread"
    JOIN_THREAD = "joinThread"
    LEAVE_THREAD = "leaveThread"
    MENTION_PREF = "mentionPref"
    THREADS = "threads"
    RESOLVE = "resolveTargets"
    PRESIGN = "presignUpload"
    UPLOAD = "upload"


class Queue(StrEnum):
    """What a call waits behind when many are made at once: only calls of its own kind."""

    PRESENCE = "presence"
    MESSAGES = "messages"
    READS = "reads"
    PROGRESS = "progress"


class CallPolicy(Struct, frozen=True, kw_only=True):
    """How often a call is repeated without asking the caller, and what it waits behind.

    Attributes:
        on_failure: further attempts after a network error or a server failure.
        on_limit: further attempts after a rate limit, which is refused before the server does anything.
        repeatable: whether doing it twice is the same as doing it once; false makes an unknown outcome an
            `AmbiguousOutcome` instead of an `Unavailable`.
        queue: which calls share a bound with it.
        may_appear: whether what the server does not find may be there a moment later, so that this counts as a
            failure of the server.
        max_answer_bytes: largest body of a success; a larger one is an error and is not read to its end.
    """

    on_failure: int
    on_limit: int
    repeatable: bool = True
    queue: Queue = Queue.READS
    may_appear: bool = False
    max_answer_bytes: int = MAX_SHORT_BYTES


_READ = CallPolicy(on_failure=2, on_limit=2)
# Notes are 10 kB as a rule, six times as much where every letter is escaped; 100 threads with their last messages.
_READ_PAGE = CallPolicy(on_failure=2, on_limit=2, max_answer_bytes=512 * 1024)
# The server pages neither groups nor members: room for some 50,000 rows.
_READ_LIST = CallPolicy(on_failure=2, on_limit=2, max_answer_bytes=8 * 1024 * 1024)
# A frame, and so a message, has at most a mebibyte, in base64 a third more; of large ones fewer are asked for at once.
_READ_HISTORY = CallPolicy(on_failure=2, on_limit=2, max_answer_bytes=4 * 1024 * 1024)
# Members see what it does, or it makes something new: it is never repeated, and an unknown outcome is told as one.
_CHANGE = CallPolicy(on_failure=0, on_limit=2, repeatable=False, queue=Queue.MESSAGES)
_PERIODIC = CallPolicy(
    on_failure=0, on_limit=0, queue=Queue.PRESENCE
)  # the next one is due in seconds anyway

POLICIES: Mapping[Call, CallPolicy] = MappingProxyType(
    {
        # Registering kicks live connections, so only its caller knows when a second try does no harm.
        Call.REGISTER: CallPolicy(on_failure=0, on_limit=2),
        Call.SEND: CallPolicy(on_failure=0, on_limit=2, repeatable=False, queue=Queue.MESSAGES),
        # A message is stored a moment after it was accepted: three tries in some two seconds (octo-bot-api §2.5).
        Call.EDIT: CallPolicy(on_failure=2, on_limit=2, queue=Queue.MESSAGES, may_appear=True),
        # The next one is due in seconds, and says more.
        Call.PROGRESS: CallPolicy(on_failure=0, on_limit=0, queue=Queue.PROGRESS),
        Call.TYPING: _PERIODIC,
        Call.READ_RECEIPT: _PERIODIC,
        Call.SYNC: _READ_HISTORY,
        Call.GROUPS: _READ_LIST,
        Call.GROUP_INFO: _READ,
        Call.GROUP_MEMBERS: _READ_LIST,
        Call.USER_INFO: _READ,
        Call.NOTES: _READ_PAGE,
        Call.WRITE_NOTES: _CHANGE,
        Call.CREATE_GROUP: _CHANGE,
        Call.RENAME_GROUP: _CHANGE,
        Call.ADD_MEMBERS: _CHANGE,
        Call.REMOVE_MEMBERS: _CHANGE,
        Call.CREATE_THREAD: _CHANGE,
        Call.ARCHIVE_THREAD: _CHANGE,
        # Nobody but the bot notices these.
        Call.JOIN_THREAD: _READ,
        Call.LEAVE_THREAD: CallPolicy(on_failure=0, on_limit=2),
        Call.MENTION_PREF: _READ,
        Call.THREADS: _READ_PAGE,
        Call.RESOLVE: _READ_PAGE,
        Call.PRESIGN: _READ,
        Call.UPLOAD: CallPolicy(on_failure=2, on_limit=2),
    },
)
"""Every call's policy."""
