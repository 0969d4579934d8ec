"""The texts about what agents ask leave for, in each language; `config.texts` has all others."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.notices import Notice, with_signs

__all__ = ["APPROVALS_IN_CHINESE", "ApprovalTexts"]

_ID = with_signs(s="the request's id")


class ApprovalTexts(FrozenModel):
    """What people read about requests of agents.

    Attributes:
        help_approve: line of ``/help`` for those who may decide.
        help_deny: likewise.
        no_approvals: ``/approve``, and the agent asks for none.
        approvals_off: ``/approve``, and nobody here is asked: what the operator has to set.
        approve_elsewhere: ``/approve``; ``%s`` stands for where people decide instead.
        gateway_interface: that place where a host names none.
        approval_asked: an agent asks leave for what stands below; ``%s`` stands for the agent.
        approval_until: when the request expires; ``%s`` stands for the time.
        approval_decide: who decides it, and how; ``%s`` stands for the commands.
        approval_too_long: what the agent asks leave for is too long to be shown whole, so that it was denied; ``%s``
            stands for the agent, ``%d`` for the number of characters.
        approval_unknown: no such request can be decided where the person asks; ``%s`` stands for what they wrote.
        approval_several: more than one is meant; ``%s`` stands for ids.
        approval_choices: the request does not take that decision; ``%s`` stands for those it takes.
        approval_once: the answer to a decision, as the next two; ``%s`` stands for the request's id, as in all below.
        approval_always: likewise.
        approval_denied: likewise.
        approval_expired: nobody has decided in time.
        approval_gone: the request is over, it is not known how.
        approval_allowed_elsewhere: somebody has allowed it in another client.
        approval_denied_elsewhere: somebody has denied it there.
    """

    help_approve: Notice = (
        "/approve ID once (or always) – allow what the agent asks leave for; "
        "without ID, the only request there is"
    )
    help_deny: Notice = "/deny ID – deny it"
    no_approvals: Notice = "This agent asks for no approvals."
    approvals_off: Notice = (
        "I do not get the requests of this agent. My operator can have them asked here: "
        'set "approvals": true in the "host" block of octo.json.'
    )
    approve_elsewhere: Annotated[Notice, with_signs(s="the place")] = (
        "I cannot pass decisions on. Please decide in %s."
    )
    gateway_interface: Notice = "the gateway's own interface"
    approval_asked: Annotated[Notice, with_signs(s="the agent")] = "🔐 Agent %s asks leave for this:"
    approval_until: Annotated[Notice, with_signs(s="the time")] = "Until: %s"
    approval_decide: Annotated[Notice, with_signs(s="the commands")] = (
        "My owner, or somebody named for it, decides: %s"
    )
    approval_too_long: Annotated[Notice, with_signs(s="the agent", d="the number of characters")] = (
        "🔐 Agent %s asked leave for something that is too long to be shown whole (%d characters). "
        "I have denied it."
    )
    approval_unknown: Annotated[Notice, with_signs(s="what was written")] = (
        "There is no open request %s here."
    )
    approval_several: Annotated[Notice, with_signs(s="the ids")] = "Which request? There are several: %s"
    approval_choices: Annotated[Notice, with_signs(s="the decisions")] = "This request only takes: %s"
    approval_once: Annotated[Notice, _ID] = "✅ Request %s is allowed, once."
    approval_always: Annotated[Notice, _ID] = "✅ Request %s is allowed, from now on without asking."
    approval_denied: Annotated[Notice, _ID] = "⛔ Request %s is denied."
    approval_expired: Annotated[Notice, _ID] = "⌛ Request %s has expired: nobody has decided it in time."
    approval_gone: Annotated[Notice, _ID] = "⌛ Request %s is over."
    approval_allowed_elsewhere: Annotated[Notice, _ID] = "✅ Request %s was allowed elsewhere."
    approval_denied_elsewhere: Annotated[Notice, _ID] = "⛔ Request %s was denied elsewhere."


APPROVALS_IN_CHINESE: Mapping[str, str] = MappingProxyType(
    {
        "help_approve": "/approve（/批准）编号 once（或 always）– 允许智能体请求的操作；只有一个请求时可以不写编号",
        "help_deny": "/deny（/拒绝）编号 – 拒绝",
        "no_approvals": "这个智能体不需要批准。",
        "approvals_off": (
            "我收不到这个智能体的请求。管理员可以让我在这里询问："
            '在 octo.json 的 "host" 中设置 "approvals": true。'
        ),
        "approve_elsewhere": "我不能转达决定。请在%s中决定。",
        "gateway_interface": "网关自己的界面",
        "approval_asked": "🔐 智能体 %s 请求允许：",
        "approval_until": "截止时间：%s",
        "approval_decide": "由我的主人或指定的人决定：%s",
        "approval_too_long": "🔐 智能体 %s 请求的操作太长（%d 个字符），无法完整显示，我已拒绝。",
        "approval_unknown": "这里没有等待决定的请求 %s。",
        "approval_several": "是哪个请求？现在有几个：%s",
        "approval_choices": "这个请求只接受：%s",
        "approval_once": "✅ 请求 %s 已允许一次。",
        "approval_always": "✅ 请求 %s 已允许，以后不再询问。",
        "approval_denied": "⛔ 请求 %s 已拒绝。",
        "approval_expired": "⌛ 请求 %s 已过期：没有人及时决定。",
        "approval_gone": "⌛ 请求 %s 已结束。",
        "approval_allowed_elsewhere": "✅ 请求 %s 已在别处允许。",
        "approval_denied_elsewhere": "⛔ 请求 %s 已在别处拒绝。",
    }
)
"""The Chinese texts, by the attributes of `ApprovalTexts`."""
