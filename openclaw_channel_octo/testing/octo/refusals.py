"""The server's errors and the two envelopes they come in (octo-bot-api §1.4)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

__all__ = ["Envelope", "Problem", "Refusal"]


class Envelope(StrEnum):
    """Which generation of the server the errors look like."""

    S = "S"
    """``msg`` and ``status``."""
    N = "N"
    """The same, and an ``error`` block with a code and the semantic status."""


class Problem(Struct, frozen=True):
    """One kind of error.

    Attributes:
        msg: the human text.
        code: what the newer envelope says after ``err.server.bot_api.``, or a whole code.
        semantic: the status the newer envelope means.
        status: the status on the wire, 400 for nearly everything.
        bare: whether the old envelope carries only ``msg``.
    """

    msg: str
    code: str
    semantic: int = 400
    status: int = 400
    bare: bool = False

    def body(self, envelope: Envelope, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer's JSON."""
        plain = {"msg": self.msg} if self.bare else {"msg": self.msg, "status": self.status}
        if envelope is Envelope.S:
            return plain
        code = self.code if self.code.startswith("err.") else f"err.server.bot_api.{self.code}"
        error = {
            "code": code,
            "message": self.msg,
            "details": dict(details or {}),
            "http_status": self.semantic,
        }
        return {"msg": self.msg, "status": self.status, "error": error}


class Refusal(Exception):
    """A call the server refuses.

    Args:
        problem: what it says.
        field: the request's field at fault, where there is one.
    """

    def __init__(self, problem: Problem, field: str = "") -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.details: dict[str, Any] = {"field": field} if field else {}


TOKEN_REFUSED: Final = Problem("无效的bot token", "auth_failed", semantic=401, status=401, bare=True)
REGISTER_REFUSED: Final = Problem("无效的bot token", "auth_failed", semantic=401)
HEADER_MISSING: Final = Problem("缺少Authorization头", "auth_failed", semantic=401)
MALFORMED: Final = Problem("数据格式有误", "request_invalid")
CHANNEL_ID_MISSING: Final = Problem("channel_id不能为空", "request_invalid")
CHANNEL_TYPE_MISSING: Final = Problem("channel_type不能为空", "request_invalid")
PAYLOAD_MISSING: Final = Problem("payload不能为空", "request_invalid")
NOT_A_MEMBER: Final = Problem("bot is not a member of this group", "not_group_member", semantic=403)
DISBANDED: Final = Problem("群聊已解散", "group_disbanded", semantic=403)
NO_THREAD: Final = Problem("invalid thread channel_id format", "request_invalid")
NOT_A_FRIEND: Final = Problem("bot is not a friend of this user", "not_friend", semantic=403)
NOT_STARTED: Final = Problem(
    "user has not started conversation with this bot", "conversation_not_started", semantic=403
)
DIRECT_ONLY: Final = Problem("app bot only supports direct messages", "app_bot_dm_only", semantic=403)
NO_GROUPS: Final = Problem("app bot does not support group operations", "app_bot_unsupported", semantic=403)
TOO_MANY_IDS: Final = Problem("message_ids不能超过100个", "limit_exceeded")
NO_MESSAGE: Final = Problem("消息不存在", "message_not_found", semantic=404)
NOT_OWN: Final = Problem("只能编辑自己发送的消息", "message_edit_forbidden", semantic=403)
NO_USER: Final = Problem("用户不存在", "user_not_found", semantic=404, status=404, bare=True)
FILE_TYPE: Final = Problem("不支持的文件类型", "file_type_unsupported")
RATE_LIMITED: Final = Problem("请求过于频繁，请稍后再试", "err.shared.rate.limited", semantic=429, status=429)
BAD_FIELD: Final = Problem("请求参数错误", "request_invalid")
MEMBERS_LIMIT: Final = Problem("成员数量超出限制", "limit_exceeded")
NO_PEOPLE: Final = Problem("成员必须是人类用户", "member_not_human")
NOT_GROUP_ADMIN: Final = Problem("机器人不是群管理员", "not_group_admin", semantic=403, status=403, bare=True)
NOT_INSIDE: Final = Problem("机器人不是该群成员", "not_group_member", semantic=403, status=403, bare=True)
GROUP_GONE: Final = Problem("群聊已解散", "group_disbanded", semantic=403, status=403, bare=True)
PRIVILEGED: Final = Problem(
    "不能移除群主或管理员", "cannot_remove_privileged", semantic=403, status=403, bare=True
)
NOTES_TOO_LARGE: Final = Problem("内容过大", "content_too_large")
NOT_STORED: Final = Problem("保存失败", "store_failed", semantic=500)
