"""What of a fetched file goes into the text for an agent, and how a missing one is told (reference-behaviour §c.5)."""

from openclaw_channel_octo.message.text import file_name

__all__ = ["INLINE_BYTES", "inlined", "is_text_like", "missing"]

INLINE_BYTES = 20 * 1024
"""Largest file whose content goes into the text."""

_TEXT_ENDINGS = frozenset(
    ["txt", "html", "htm", "md", "csv", "json", "xml", "yaml", "yml", "log", "py", "js", "ts", "go", "java"]
)
_BEGIN, _END = "--- 文件内容 ---", "--- 文件结束 ---"
_LABELS = {"image": "图片", "gif": "GIF", "voice": "语音消息", "video": "视频"}


def is_text_like(name: str) -> bool:
    """Return whether a file's name says that its content is text."""
    return file_name(name).rpartition(".")[2].lower() in _TEXT_ENDINGS


def inlined(name: str, content: bytes) -> str:
    """Return a file's content between two marks it cannot break out of; empty where it is no UTF-8 text.

    Args:
        name: the sender's name of the file.
        content: at most `INLINE_BYTES` are taken.
    """
    if len(content) > INLINE_BYTES or b"\0" in content:
        return ""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    # A line of the file that looks like a mark would let it speak for somebody else.
    safe = "\n".join(f"> {line}" if line.strip().startswith("---") else line for line in text.splitlines())
    return f"[文件: {file_name(name)}]\n{_BEGIN}\n{safe}\n{_END}"


def missing(kind: str, name: str, why: str) -> str:
    """Return the line that tells agent and people that a file is not there, and why."""
    label = _LABELS.get(kind, "文件")
    shown = file_name(name)
    return f"[{label}{f': {shown}' if shown else ''} - {why}]"
