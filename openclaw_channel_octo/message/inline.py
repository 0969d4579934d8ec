"""What of a fetched file goes into the text for an agent, and how a missing one is told (reference-behaviour §c.5)."""

import codecs
from unicodedata import category

from openclaw_channel_octo.message.marks import marked
from openclaw_channel_octo.message.text import file_name, indented

__all__ = ["INLINE_BYTES", "inlined", "is_text_like", "missing", "unshown"]

INLINE_BYTES = 20 * 1024
"""Largest file whose content goes into the text."""

_TEXT_ENDINGS = frozenset(
    ["txt", "html", "htm", "md", "csv", "json", "xml", "yaml", "yml", "log", "py", "js", "ts", "go", "java"]
)
_BEGIN, _END = "文件内容", "文件结束"
_LABELS = {"image": "图片", "gif": "GIF", "voice": "语音消息", "video": "视频"}


def is_text_like(name: str) -> bool:
    """Return whether a file's name says that its content is text."""
    return file_name(name).rpartition(".")[2].lower() in _TEXT_ENDINGS


def inlined(name: str, content: bytes, mark: str = "") -> str:
    """Return a file's content between two marks it cannot break out of; empty where it is no text.

    Every line of the file is set in, so that none of them can pass for a mark or for words of somebody else.

    Args:
        name: the sender's name of the file.
        content: the whole file; nothing is shown of one larger than `INLINE_BYTES`.
        mark: the run's.
    """
    text = _decoded(content) if len(content) <= INLINE_BYTES else ""
    if not text.strip():
        return ""
    head = marked(f"文件: {file_name(name)}", mark)
    return f"{head}\n{_rule(_BEGIN, mark)}\n  {indented(text.rstrip())}\n{_rule(_END, mark)}"


def _rule(words: str, mark: str) -> str:
    return f"--- {mark} {words} ---" if mark else f"--- {words} ---"


def _decoded(content: bytes) -> str:
    """Return a text file's text, empty where it is none: UTF-8, UTF-16 with its mark, or GB 18030."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text if all(_is_text(character) for character in text) else ""
    return ""


def _is_text(character: str) -> bool:
    """Return whether a character belongs into a text: neither a control character nor one that no script has."""
    return character in "\t\n\r\f" or category(character) not in {"Cc", "Cn", "Co", "Cs"}


def missing(kind: str, name: str, why: str, mark: str = "") -> str:
    """Return the line, with the run's mark, that tells agent and people that a file is not there, and why."""
    label = _LABELS.get(kind, "文件")
    shown = file_name(name)
    return marked(f"{label}{f': {shown}' if shown else ''} - {why}", mark)


def unshown(name: str, size: int, mark: str = "") -> str:
    """Return the line, with the run's mark, that tells why a text file's content is not in the text."""
    why = f"{size} 字节，超过 {INLINE_BYTES} 字节" if size > INLINE_BYTES else "不是可识别的文本"
    return marked(f"文件: {file_name(name)} - 内容未显示: {why}", mark)
