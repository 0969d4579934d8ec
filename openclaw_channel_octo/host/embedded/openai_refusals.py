"""Why an OpenAI-compatible endpoint refuses a request, as far as another request can do better.

There is no standard for it: OpenAI and Azure have a code, llama.cpp a type, most others words alone. The words here
were seen in public reports of errors: of OpenAI, Azure, OpenRouter, vLLM, SGLang, TGI, llama.cpp and its Python server,
Ollama, LM Studio, Anthropic, Bedrock, Gemini, Groq, xAI, Mistral, Cohere, Copilot, Kimi, GLM, Qwen, MiniMax, Spark and
SiliconFlow.
"""

import re
from enum import Enum, auto
from http import HTTPStatus

__all__ = ["Refusal", "refusal_of"]

_CONTEXT = r"(?:context|prompt|input|message)[ _-]?(?:size|length|window|limit|tokens?|text)"
_MORE = r"(?:exceed|overflow|too (?:long|large|big|many)|(?:longer|greater) than|at most|maximum|only)"
_WHAT = r"(?:prompt|inputs?|request|conversation|messages?)"
_SAID_ZH = r"(?:输入|上下文|提示词?|prompt|请求|消息|对话|会话|历史|文本|问题)"
_SIZE_ZH = r"(?<!输出)(?:长度|上下文|(?<!max_)(?<!completion_)(?<!output_)tokens?|字数|字符|窗口)"
_TOO_LONG = re.compile(
    rf"{_CONTEXT}\W.{{0,120}}?{_MORE}|{_MORE}.{{0,120}}?{_CONTEXT}|{_CONTEXT}[ _]*(?:is |was |has been )?exceeded"
    r"|exceed_context_size|model_max_prompt_tokens_exceeded|string_above_max_length|contextwindowexceeded"
    rf"|{_WHAT}\W.{{0,60}}?too (?:long|large)|too many (?:input |total )?tokens|{_WHAT} exceeds max"
    r"|reduce the length of (?:the|your) (?:messages|prompt|input)|provide a shorter input|n_keep.{0,40}n_ctx"
    r"|exceed(?:s|ed|ing)?.{0,60}?\btokens?\b|\btokens?\b.{0,80}?exceed"
    r"|`?inputs`? (?:tokens )?(?:\+.{0,30})?must (?:have|be).{0,30}(?:less|<)"
    r"|range of input length|longer than the (?:maximum )?model|less than max_seq_len"
    rf"|{_SAID_ZH}[^。时]{{0,20}}?[超过太]长|{_SIZE_ZH}[^。]{{0,20}}?(?:超(?!时)|过多|太多)"
    rf"|超[过出](?:(?!输出)[^。]){{0,20}}?{_SIZE_ZH}|压缩上下文",
    re.IGNORECASE | re.DOTALL,
)
_RATE = re.compile(
    r"\b(?:TPM|RPM|TPD)\b|per (?:minute|day|hour)|rate.?limit|quota|每分钟|每[天日]|频率|速率|限流|并发|额度|配额",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"request too large", re.IGNORECASE)
_LIMIT_AND_REQUESTED = re.compile(
    r"\blimit:? ([\d,]{1,20})\b.{0,60}?\brequested:? ([\d,]{1,20})", re.IGNORECASE | re.DOTALL
)
_PICTURES = re.compile(
    r"image|picture|\bvision|visual|multi.?modal|mmproj|content.{0,40}\bstring\b", re.IGNORECASE
)
_TOOLS = re.compile(r"\btools?\b|tool[_ -](?:choice|use|call)|function.?call|\bjinja\b", re.IGNORECASE)

_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.PAYMENT_REQUIRED,
    HTTPStatus.FORBIDDEN,
}
"""Statuses that say nothing about what is in a request."""

_ESCAPED = re.compile(r"\\+u([0-9a-f]{4})", re.IGNORECASE)
"""A character as JSON may write it; in JSON within JSON it has more than one backslash."""

_SERVER_ERRORS = 500


class Refusal(Enum):
    """What is in a request that the model does not take."""

    TOO_LONG = auto()
    PICTURES = auto()
    TOOLS = auto()


def refusal_of(status: int, reason: str, *, pictures: bool = False, tools: bool = False) -> Refusal | None:
    """Return what of a request was refused, ``None`` where another request would do no better.

    Args:
        status: of the HTTP answer, 0 for an error inside an answer.
        reason: what the answer said. It may quote the request, so a wrong guess must cost one more request at most.
        pictures: whether the request showed pictures; they are to blame where nothing else is.
        tools: whether it offered tools.
    """
    reason = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), reason)
    if status in _PASSING:
        return None
    if _asks_too_much_at_once(reason):
        return Refusal.TOO_LONG
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return None
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and not _RATE.search(reason):
        return Refusal.TOO_LONG
    if _TOO_LONG.search(reason) and not _RATE.search(reason):
        return Refusal.TOO_LONG
    if pictures and _PICTURES.search(reason):
        return Refusal.PICTURES
    if tools and _TOOLS.search(reason):
        return Refusal.TOOLS
    return Refusal.PICTURES if pictures and 0 < status < _SERVER_ERRORS else None


def _asks_too_much_at_once(reason: str) -> bool:
    """Return whether one request alone is over a limit for a minute or a day: waiting is no use then."""
    if _TOO_LARGE.search(reason):
        return True
    found = _LIMIT_AND_REQUESTED.search(reason)
    if found is None:
        return False
    limit, requested = (int(number.replace(",", "") or 0) for number in found.groups())
    return requested > limit
