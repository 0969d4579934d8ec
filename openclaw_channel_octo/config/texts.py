"""Every text of ours that people read in the chat, in each language (design §8).

`Texts` with its defaults is the English table, `CHINESE` the other one.

Over 350 lines: every text, in each language, and what it has to contain.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import model_validator
from pydantic.alias_generators import to_camel

from openclaw_channel_octo.config.action_texts import ACTIONS_IN_CHINESE, ActionTexts
from openclaw_channel_octo.config.approval_texts import APPROVALS_IN_CHINESE, ApprovalTexts
from openclaw_channel_octo.config.command_texts import COMMANDS_IN_CHINESE, CommandTexts
from openclaw_channel_octo.config.notices import Notice, with_signs

__all__ = ["CHINESE", "Language", "Notice", "Reason", "Texts"]

Language = Literal["en", "zh"]


class Texts(ActionTexts, ApprovalTexts, CommandTexts):
    """What people read in the chat. Keys that are not given are in the language (design §8).

    Attributes:
        language: of the texts.
        failed: the turn failed.
        timeout: the turn ran out of time.
        empty: the turn ended without an answer.
        stopped: in the place of the answer somebody stopped.
        busy: the conversation's lane is full.
        cut_off: a restart cut the answer off.
        working: the turn takes long; ``%s`` stands for how long so far.
        working_with: another line of it; ``%s`` stands for the tools the agent uses.
        worked: in the place of both where the answer is another message, or there is none.
        paused: in the place of both while the bot is away.
        left_out: stands between the beginning and the end of an answer that is too long; ``%d`` stands for the
            characters that are missing.
        too_long: the agent was stopped because there was no end to its answer.
        part_refused: the chat did not take a part of an answer for what it is.
        too_late: messages were found that are too old to be answered.
        restarting: the session's last run failed, and it begins anew; ``guard.noticeText`` wins.
        third_failure: third failure in a row and later; ``%d`` stands for the count.
        refused: the person may not talk to the bot here.
        limited: somebody asks more than the bot answers.
        loop: the bot has stopped answering another bot.
        pairing: the person may, once the owner lets them in; ``%s`` stands for the code that does it.
        paired: the owner has let the person in.
        help_status: line of ``/help``, as the next three.
        help_stop: likewise.
        help_reset: likewise.
        help_help: likewise.
        command_failed: the host could not carry a command out.
        owner_only: the person may not command that here.
        reset: a new conversation has begun.
        stopping: the turn that runs is being stopped.
        nothing_running: there is no turn to stop.
        status: answer to ``/status``; ``%s`` stands for the status, ``%d`` for the messages that wait.
        sending: another line of it; ``%s`` stands for which message of an answer is sent, ``%d`` for how many it has.
        session_new: a status, as the next eight; of a session that never ran.
        session_idle: likewise.
        session_queued: likewise.
        session_running: likewise.
        session_done: likewise.
        session_failed: likewise.
        session_timeout: likewise.
        session_killed: likewise.
        session_interrupted: likewise.
        length_limit: stands behind an answer that a length limit of the model ended.
        content_filter: stands behind one that a content filter ended.
        file_failed: begins the line in the place of a file that could not be sent; name and reason follow.
        file_too_many: a reason, as all from here on; ``%s`` stands for how many files an answer may have.
        file_not_sent: for want of a better reason.
        file_address: its address is not valid.
        file_address_private: its address lies in a network the bot fetches nothing from.
        file_unnamed: none is named.
        file_redirect: its address leads to an invalid one.
        file_redirects: its address leads on and on.
        file_not_fetched: it did not come.
        file_status: ``%s`` stands for the HTTP status of its server's answer.
        file_slow: it took too long.
        file_no_room: the disk, or the share of it, is full.
        file_too_large: ``%s`` stands for the limit.
        file_empty: it has no content.
        file_type: the server takes no such files.
        file_upload: the upload failed.
        file_outside: it lies in no folder that files may be sent from.
        file_gone: it is not there.
        file_link: it is a link.
        file_special: it is no ordinary file.
        file_unreadable: it cannot be read.
        file_lost: it cannot be read any more; ``%s`` stands for the system's words.
        file_shrank: it became shorter while it was being sent.
    """

    language: Language = "en"
    failed: Notice = "⚠️ Something went wrong while I was working on that. Please try again."
    timeout: Notice = "⚠️ That took too long, so I stopped."
    empty: Notice = "⚠️ I finished, but had nothing to say."
    stopped: Notice = "⏹️ Stopped."
    busy: Notice = "⏳ Still busy with earlier messages; I will not get to this one."
    cut_off: Notice = "⚠️ I was interrupted; the answer above may be incomplete."
    working: Annotated[Notice, with_signs(s="the time")] = "⏳ Working on it… %s"
    working_with: Annotated[Notice, with_signs(s="the tools")] = "🔧 %s"
    worked: Notice = "✅ Done."
    paused: Notice = "⏸️ I had to stop in the middle of this. I go on as soon as I am back."
    left_out: Annotated[Notice, with_signs(d="the number of characters")] = (
        "[…] %d characters of this answer are left out here."
    )
    too_long: Notice = "⚠️ My answer got too long, so I stopped."
    part_refused: Notice = "⚠️ A part of my answer was not accepted by the chat."
    too_late: Notice = (
        "⏳ I was away too long to answer earlier messages here. Please ask again if it still matters."
    )
    restarting: Notice = "⚠️ Previous session failed, restarting..."
    third_failure: Annotated[Notice, with_signs(d="the number of failures")] = (
        "⚠️ This conversation has failed %d times in a row. "
        "An operator can look with: openclaw-octo sessions show"
    )
    refused: Notice = "🔒 I may not answer you here. Please ask my owner to let you in."
    limited: Notice = "⏳ That is more than I can take in at once. Please write to me again in a minute."
    loop: Notice = "🔁 Another bot and I keep answering each other. I stop until a person writes here."
    pairing: Annotated[Notice, with_signs(s="the code")] = (
        "🔒 I do not know you yet. If my owner runs this within an hour, you can write to me here: "
        "openclaw-octo pairing approve %s"
    )
    paired: Notice = "✅ My owner has let you in: you can write to me here now."
    help_status: Notice = "/status – what this conversation's session is doing"
    help_stop: Notice = "/stop – stop the answer being worked on"
    help_reset: Notice = "/reset – begin a new conversation; I forget what was said here"
    help_help: Notice = "/help – this list"
    command_failed: Notice = "⚠️ That did not work. The operator's log says why."
    owner_only: Notice = "Only the bot's owner, or somebody they have named for it, may do that here."
    reset: Notice = "🔄 New conversation. What was said before is forgotten."
    stopping: Notice = "Stopping."
    nothing_running: Notice = "Nothing is running here."
    status: Annotated[Notice, with_signs(s="the status", d="the number of messages")] = (
        "Session: %s\nWaiting messages: %d"
    )
    sending: Annotated[Notice, with_signs(s="which message", d="how many there are")] = (
        "Sending part %s of %d"
    )
    session_new: Notice = "new"
    session_idle: Notice = "idle"
    session_queued: Notice = "queued"
    session_running: Notice = "running"
    session_done: Notice = "done"
    session_failed: Notice = "failed"
    session_timeout: Notice = "timeout"
    session_killed: Notice = "killed"
    session_interrupted: Notice = "interrupted"
    length_limit: Notice = "✂️ I reached the length limit of an answer before I was done."
    content_filter: Notice = "✂️ A content filter of my model ended this answer before I was done."
    file_failed: Notice = "⚠️ I could not send a file:"
    file_too_many: Annotated[Notice, with_signs(s="the limit")] = "more than %s in one answer"
    file_not_sent: Notice = "it could not be sent"
    file_address: Notice = "its address is not valid"
    file_address_private: Notice = "its address may not be fetched"
    file_unnamed: Notice = "no file is named"
    file_redirect: Notice = "its address leads to one that is not valid"
    file_redirects: Notice = "its address leads from one to the next without end"
    file_not_fetched: Notice = "it could not be fetched"
    file_status: Annotated[Notice, with_signs(s="the status")] = "its server answers %s"
    file_slow: Notice = "it took too long"
    file_no_room: Notice = "there is no room for it at the moment"
    file_too_large: Annotated[Notice, with_signs(s="the limit")] = "it is larger than %s"
    file_empty: Notice = "it is empty"
    file_type: Notice = "this server takes no files of its type"
    file_upload: Notice = "the upload failed"
    file_outside: Notice = "it is not in a folder I may send files from"
    file_gone: Notice = "it is not there"
    file_link: Notice = "it is a link, which I do not follow"
    file_special: Notice = "it is not an ordinary file"
    file_unreadable: Notice = "it cannot be read"
    file_lost: Annotated[Notice, with_signs(s="the system's words")] = "it cannot be read any more: %s"
    file_shrank: Notice = "it became shorter while it was being sent"

    @model_validator(mode="before")
    @classmethod
    def _in_language(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("language") != "zh":
            return given
        texts = {to_camel(key): text for key, text in CHINESE.items() if key not in given}
        return texts | dict(given)

    def session(self, status: str) -> str:
        """Return what people read of a session's status; one of another host as it is."""
        named: str = getattr(self, f"session_{status}", status)
        return named

    def changed(self) -> dict[str, str]:
        """Return the texts that are not those of the language, by key as in files."""
        usual = type(self)(language=self.language)
        fields = type(self).model_fields
        return {
            to_camel(key): getattr(self, key) for key in fields if getattr(self, key) != getattr(usual, key)
        }


CHINESE: Mapping[str, str] = MappingProxyType(
    {
        **COMMANDS_IN_CHINESE,
        **APPROVALS_IN_CHINESE,
        **ACTIONS_IN_CHINESE,
        "failed": "⚠️ 处理这条消息时出错了，请再试一次。",
        "timeout": "⚠️ 用时太长，我停下来了。",
        "empty": "⚠️ 我处理完了，但没有可以回复的内容。",
        "stopped": "⏹️ 已停止。",
        "busy": "⏳ 前面的消息还没处理完，这一条我顾不上了。",
        "cut_off": "⚠️ 我被打断了，上面的回答可能不完整。",
        "working": "⏳ 正在处理… %s",
        "working_with": "🔧 正在使用 %s",
        "worked": "✅ 处理完了。",
        "paused": "⏸️ 我不得不中途停下，恢复后会继续处理。",
        "left_out": "[…] 这里省略了回答中的 %d 个字符。",
        "too_long": "⚠️ 我的回答太长，我停下来了。",
        "part_refused": "⚠️ 我的回答有一部分没有被聊天服务器接受。",
        "too_late": "⏳ 我离开得太久，没能回答这里之前的消息。如果还需要，请再问一次。",
        "restarting": "⚠️ 上一次会话失败，正在重新开始…",
        "third_failure": "⚠️ 这个会话已经连续失败 %d 次。管理员可以用这条命令查看：openclaw-octo sessions show",
        "refused": "🔒 我不能在这里回答你。请让我的主人允许你使用。",
        "limited": "⏳ 消息太多，我一下子处理不过来。请过一分钟再写给我。",
        "loop": "🔁 我和另一个机器人一直在互相回答。在有人发言之前，我先停下来。",
        "pairing": (
            "🔒 我还不认识你。我的主人在一小时内运行这条命令后，你就可以在这里给我写消息："
            "openclaw-octo pairing approve %s"
        ),
        "paired": "✅ 我的主人已经允许你使用，现在可以在这里给我写消息了。",
        "help_status": "/status（/状态）– 查看这个会话的状态",
        "help_stop": "/stop（/停止）– 停止正在进行的回答",
        "help_reset": "/reset（/重置）– 开始新的对话，我会忘记这里说过的内容",
        "help_help": "/help（/帮助）– 显示这个列表",
        "command_failed": "⚠️ 没有成功。原因在管理员的日志里。",
        "owner_only": "在这里，只有机器人的主人或主人指定的人可以这样做。",
        "reset": "🔄 新的对话开始了。之前说过的内容已经忘记。",
        "stopping": "正在停止。",
        "nothing_running": "这里没有正在进行的回答。",
        "status": "会话：%s\n等待的消息：%d",
        "sending": "正在发送第 %s 条，共 %d 条",
        "session_new": "新会话",
        "session_idle": "空闲",
        "session_queued": "排队中",
        "session_running": "进行中",
        "session_done": "已完成",
        "session_failed": "失败",
        "session_timeout": "超时",
        "session_killed": "已停止",
        "session_interrupted": "被中断",
        "length_limit": "✂️ 还没说完，就到了回答的长度上限。",
        "content_filter": "✂️ 还没说完，回答就被模型的内容过滤中断了。",
        "file_failed": "⚠️ 有一个文件我没能发送：",
        "file_too_many": "一次回答最多 %s 个文件",
        "file_not_sent": "无法发送",
        "file_address": "地址无效",
        "file_address_private": "这个地址不允许访问",
        "file_unnamed": "没有写文件名",
        "file_redirect": "地址跳转到了无效的地址",
        "file_redirects": "地址跳转次数太多",
        "file_not_fetched": "无法下载",
        "file_status": "文件服务器返回 %s",
        "file_slow": "用时太长",
        "file_no_room": "暂时没有存储空间",
        "file_too_large": "超过 %s",
        "file_empty": "文件是空的",
        "file_type": "服务器不接受这种类型的文件",
        "file_upload": "上传失败",
        "file_outside": "不在允许我发送的文件夹里",
        "file_gone": "文件不存在",
        "file_link": "这是一个链接，我不会打开链接",
        "file_special": "不是普通文件",
        "file_unreadable": "无法读取",
        "file_lost": "已经无法读取：%s",
        "file_shrank": "发送过程中文件变短了",
    }
)
"""The Chinese texts, by the attributes of `Texts`."""

_ReasonKey = Literal[
    "file_too_many",
    "file_not_sent",
    "file_address",
    "file_address_private",
    "file_unnamed",
    "file_redirect",
    "file_redirects",
    "file_not_fetched",
    "file_status",
    "file_slow",
    "file_no_room",
    "file_too_large",
    "file_empty",
    "file_type",
    "file_upload",
    "file_outside",
    "file_gone",
    "file_link",
    "file_special",
    "file_unreadable",
    "file_lost",
    "file_shrank",
]


class Reason(Struct, frozen=True):
    """Why a file is not sent.

    Attributes:
        key: the text that says it.
        value: what its placeholder stands for, empty for a text without one.
    """

    key: _ReasonKey
    value: str = ""

    def said(self, texts: Texts) -> str:
        """Return it as people read it."""
        text: str = getattr(texts, self.key)
        return text.replace("%s", self.value)

    def __str__(self) -> str:
        """Return it in English, for logs."""
        return self.said(Texts())
