"""What people read of the commands of an agent host, in each language."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.notices import Notice, with_signs

__all__ = ["COMMANDS_IN_CHINESE", "CommandTexts"]


class CommandTexts(FrozenModel):
    """What people read of the commands of an agent host.

    Attributes:
        help_whoami: line of ``/help``, as the next five.
        help_models: likewise.
        help_context: likewise.
        help_model: likewise.
        help_think: likewise.
        help_compact: likewise.
        whoami: answer to ``/whoami``; ``%s`` stands for the person's id.
        whoami_may: second line of it.
        whoami_may_not: likewise.
        host_refuses: the host lets nobody do that from a chat.
        model_is: which model answers; ``%s`` stands for it.
        model_set: the same, once somebody has chosen it.
        model_unknown: there is no such model, or more than one; those stand below.
        models: begins the list of ``/models``.
        models_more: ends it; ``%s`` stands for how many are left out.
        models_none: there is none.
        thinking_is: how much the model thinks; ``%s`` stands for the level, ``%d`` for the levels there are.
        thinking_set: the level, once somebody has chosen it.
        thinking_unknown: there is no such level; ``%s`` stands for those there are.
        context: ``%s`` stands for the tokens in the model's context, ``%d`` for those it takes.
        context_unknown: it is not known yet; ``%s`` stands for the tokens it takes.
        context_prompt: a part of it, as the next three; ``%s`` stands for its characters.
        context_files: likewise.
        context_skills: likewise.
        context_tools: likewise.
        context_new: nothing was said in the session yet.
        cost: ``%s`` stands for what the session has cost, in US dollars.
        compacted: what was said is summed up.
        compact_nothing: there was nothing to sum up.
        compact_busy: a run goes on in the session that is none of ours.
    """

    help_whoami: Notice = "/whoami – who you are to me, and what you may do here"
    help_models: Notice = "/models [word] – the models there are"
    help_context: Notice = "/context – how full my memory of this conversation is"
    help_model: Notice = "/model name – answer here with another model; /model default: with the usual one"
    help_think: Notice = "/think level – how much the model thinks here; /think default: as usual"
    help_compact: Notice = "/compact – sum up what was said here, to make room"
    whoami: Annotated[Notice, with_signs(s="the person's id")] = "You are %s."
    whoami_may: Notice = "You may stop, reset and change this conversation's settings."
    whoami_may_not: Notice = "Only my owner, or somebody they have named for it, changes anything here."
    host_refuses: Notice = "That cannot be changed from a chat here. My operator can."
    model_is: Annotated[Notice, with_signs(s="the model")] = "Model: %s"
    model_set: Annotated[Notice, with_signs(s="the model")] = "Model from now on: %s"
    model_unknown: Notice = "I know no such model. /models shows those there are."
    models: Notice = "Models:"
    models_more: Annotated[Notice, with_signs(s="how many")] = (
        "… and %s more: /models with a word shows fewer"
    )
    models_none: Notice = "No such models."
    thinking_is: Annotated[Notice, with_signs(s="the level", d="the levels")] = "Thinking: %s (of %d)"
    thinking_set: Annotated[Notice, with_signs(s="the level")] = "Thinking from now on: %s"
    thinking_unknown: Annotated[Notice, with_signs(s="the levels")] = "This model has no such level: %s"
    context: Annotated[Notice, with_signs(s="the tokens", d="the limit")] = "Context: %s of %d tokens"
    context_unknown: Annotated[Notice, with_signs(s="the limit")] = "Context: not counted yet, of %s tokens"
    context_prompt: Annotated[Notice, with_signs(s="the characters")] = "Instructions: %s characters"
    context_files: Annotated[Notice, with_signs(s="the characters")] = "of them files of the workspace: %s"
    context_skills: Annotated[Notice, with_signs(s="the characters")] = "Skills: %s characters"
    context_tools: Annotated[Notice, with_signs(s="the characters")] = "Tools: %s characters"
    context_new: Notice = "Nothing was said in this session yet."
    cost: Annotated[Notice, with_signs(s="the dollars")] = "Cost: $%s"
    compacted: Notice = "🗜️ What was said here is summed up now."
    compact_nothing: Notice = "There is nothing to sum up yet."
    compact_busy: Notice = "Something else runs in this session. Please try again when it has ended."


COMMANDS_IN_CHINESE: Mapping[str, str] = MappingProxyType(
    {
        "help_whoami": "/whoami（/我是谁）– 你是谁，你在这里可以做什么",
        "help_models": "/models（/模型列表）[词] – 有哪些模型",
        "help_context": "/context（/上下文）– 我对这个会话的记忆占用了多少",
        "help_model": "/model（/模型）名称 – 在这里换一个模型；/model default：用默认的",
        "help_think": "/think（/思考）级别 – 模型在这里思考多少；/think default：用默认的",
        "help_compact": "/compact（/压缩）– 总结这里说过的内容，腾出空间",
        "whoami": "你是 %s。",
        "whoami_may": "你可以停止、重置和更改这个会话的设置。",
        "whoami_may_not": "在这里，只有我的主人或主人指定的人可以更改设置。",
        "host_refuses": "这里不能在聊天中更改这一项，请让管理员更改。",
        "model_is": "模型：%s",
        "model_set": "现在起使用的模型：%s",
        "model_unknown": "没有这个模型。发送 /models 查看有哪些模型。",
        "models": "模型：",
        "models_more": "……还有 %s 个：在 /models 后面加一个词可以缩小范围",
        "models_none": "没有这样的模型。",
        "thinking_is": "思考级别：%s（可选：%d）",
        "thinking_set": "现在起的思考级别：%s",
        "thinking_unknown": "这个模型没有这个级别，可选：%s",
        "context": "上下文：%s / %d 个 token",
        "context_unknown": "上下文：还没有统计，上限 %s 个 token",
        "context_prompt": "系统提示：%s 个字符",
        "context_files": "其中工作区文件：%s",
        "context_skills": "技能：%s 个字符",
        "context_tools": "工具：%s 个字符",
        "context_new": "这个会话里还没有说过什么。",
        "cost": "费用：$%s",
        "compacted": "🗜️ 这里说过的内容已经总结。",
        "compact_nothing": "还没有可以总结的内容。",
        "compact_busy": "这个会话里还有别的任务在运行，请等它结束后再试。",
    }
)
"""The Chinese texts, by the attributes of `CommandTexts`."""
