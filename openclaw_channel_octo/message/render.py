"""Messages as text for an agent: each type gives at least a marked line (reference-behaviour §c.5)."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from msgspec import Struct

from openclaw_channel_octo.message.content import Block, Contact, File, Forward, Location, RichText, System
from openclaw_channel_octo.message.marks import marked, own_words
from openclaw_channel_octo.message.payload import SYSTEM_TYPES, ContentType, Payload, Reply, read_payload
from openclaw_channel_octo.message.text import (
    CUT_MARK,
    clip,
    file_name,
    indented,
    is_visible,
    label,
    readable,
    single_line,
    url_text,
)

__all__ = ["MediaRef", "Quoted", "Rendered", "files_of", "render"]

TEXT_BYTES = 65_536
"""Longest message that is shown whole. A longer one would fill the memory of its conversation and end every later
turn there with it; who has more to say sends a file."""
QUOTE_BYTES = 4_096
FORWARD_BYTES = 8_192
FORWARD_MESSAGES = 50
FORWARD_DEPTH = 3
MEDIA_LIMIT = 20
URL_LIMIT = 2_048
"""Characters of an address that are shown."""
FETCH_LIMIT = 8_192
"""Characters of an address that are kept to fetch it."""
SYSTEM_BYTES = 4_096

_EMPTY = "空消息"
_FORWARD = "合并转发: 聊天记录"
_IMAGE = "图片"
_PLACEHOLDER = re.compile(r"\{([0-9]{1,3})\}")

_KINDS: Mapping[int, tuple[str, str]] = {
    ContentType.IMAGE: ("image", _IMAGE),
    ContentType.GIF: ("gif", "GIF"),
    ContentType.VOICE: ("voice", "语音消息"),
    ContentType.VIDEO: ("video", "视频"),
    ContentType.FILE: ("file", "文件"),
    ContentType.VECTOR_STICKER: ("", "表情"),
    ContentType.EMOJI_STICKER: ("", "表情"),
}

_MARKERS: Mapping[int, str] = {
    ContentType.ORGANISATION_INVITE: "组织邀请",
    ContentType.DOCUMENT: "文档分享",
    ContentType.SCREENSHOT: "截屏",
    ContentType.SUMMARY: "总结",
    ContentType.CONTENT_ERROR: "无法显示的消息",
    ContentType.DECRYPTION_ERROR: "无法解密的消息",
    ContentType.COMMAND: "指令消息",
}


class MediaRef(Struct, frozen=True, kw_only=True):
    """A file a message brings.

    Attributes:
        kind: ``image``, ``gif``, ``voice``, ``video`` or ``file``.
        url: where it lies, as the sender wrote it but on one line: maybe relative, not trusted.
        name: file name fit for display, without any path; may be empty.
        size: bytes as the sender claims, ``None`` when unknown.
    """

    kind: str
    url: str
    name: str = ""
    size: int | None = None


class Rendered(Struct, frozen=True, kw_only=True):
    """A message for an agent.

    Attributes:
        text: what was said, never blank.
        media: files that came with it, in order.
        quote: the message it answers, to be shown as context; empty when it quotes nothing.
        quoted_media: files of that message.
    """

    text: str
    quote: str = ""
    media: tuple[MediaRef, ...] = ()
    quoted_media: tuple[MediaRef, ...] = ()

    @property
    def files(self) -> tuple[MediaRef, ...]:
        """Its own files and those of the message it answers, in this order, `MEDIA_LIMIT` at most."""
        return (*self.media, *self.quoted_media)[:MEDIA_LIMIT]


class Quoted(Struct, frozen=True, kw_only=True):
    """A message that is known to have been said, as others quote it.

    Attributes:
        uid: who wrote it, empty for the bot itself.
        payload: what it says.
    """

    uid: str
    payload: Payload


def render(payload: Payload, *, own_name: str = "", mark: str = "", quoted: Quoted | None = None) -> Rendered:
    """Return the message as text for an agent, or without a mark for people. Never raises.

    Args:
        payload: the message.
        own_name: the bot's display name; a quote of its own words bears it.
        mark: of the run that gets the text: lines that are not the sender's words carry it, and words that imitate
            such a line get a ``>``.
        quoted: the message it answers, where that is known; what the sender's client says of it counts only otherwise.

    Text comes back unchanged but for its line ends, control characters and imitations, cut where it is longer than
    `TEXT_BYTES`. A quote stands apart from the message, so that nobody can put words into the request by being quoted;
    its further lines are set in (reference-behaviour §c.6).
    """
    body, reply = _body(payload, mark), payload.reply
    text = _shortened(body.text, mark)
    text = own_words(text, mark) if mark else text
    if reply is None or not (reply.payload or quoted):
        return Rendered(text=text, media=body.media)
    if quoted:
        answered, author = _body(quoted.payload, mark), label(quoted.uid or own_name) or "you"
    else:
        answered = _claimed(read_payload(reply.payload), mark)
        author = f"{_author(reply, own_name)}, as its sender claims"
    head = marked(f"Quoted message from {author}", mark)
    return Rendered(
        text=text,
        media=body.media,
        quote=f"{head}: {indented(clip(answered.text, QUOTE_BYTES))}",
        quoted_media=answered.media,
    )


def files_of(payload: Payload) -> tuple[MediaRef, ...]:
    """Return the files of a message, and of its quote as the sender's client tells it; see `Rendered.files`."""
    reply = payload.reply
    quoted = _claimed(read_payload(reply.payload), "").media if reply is not None and reply.payload else ()
    return (*_body(payload, "").media, *quoted)[:MEDIA_LIMIT]


def _author(reply: Reply, own_name: str) -> str:
    own = bool(own_name) and reply.from_name == own_name
    return label(own_name if own else reply.from_uid or reply.from_name) or "unknown"


def _shortened(text: str, mark: str) -> str:
    """Return the text, readable, and cut with a line that says how much is missing where it is too long."""
    shown = readable(text[:TEXT_BYTES])  # what lies behind it is too much whatever it is
    if len(text) <= TEXT_BYTES and len(shown.encode()) <= TEXT_BYTES:
        return shown
    size = len(text.encode())
    told = marked(f"消息过长: 共 {size} 字节，仅显示前 {TEXT_BYTES} 字节", mark)
    cut = clip(shown, TEXT_BYTES)
    return f"{cut if cut != shown else cut + CUT_MARK}\n{told}"


def _body(payload: Payload, mark: str) -> Rendered:
    if payload.problem is not None:
        return Rendered(text=marked(f"无法解析的消息: {payload.problem}", mark))
    return _RENDERERS.get(payload.type or 0, _marked)(payload, mark)


def _claimed(payload: Payload, mark: str) -> Rendered:
    """Return a message as somebody shows it who may have made it up: no server stands behind a system message."""
    return _body(payload, "" if payload.type in SYSTEM_TYPES else mark)


def _text(payload: Payload, mark: str) -> Rendered:
    return Rendered(text=payload.text if is_visible(payload.text) else marked(_EMPTY, mark))


def _file(payload: Payload, mark: str) -> Rendered:
    kind, words = _KINDS[payload.type or 0]
    file = File.model_validate(payload.data)
    name = file_name(file.name)
    if kind == "file" and name:
        words = f"文件: {name}"
    line = _line(marked(words, mark), url_text(file.url, URL_LIMIT))
    caption = (file.caption or payload.text).strip()
    media = (_media(kind, file),) if kind and file.url.strip() else ()
    return Rendered(text=f"{line}\n{caption}" if caption else line, media=media)


def _media(kind: str, file: File | Block) -> MediaRef:
    return MediaRef(
        kind=kind, url=single_line(file.url, FETCH_LIMIT), name=file_name(file.name), size=file.size
    )


def _location(payload: Payload, mark: str) -> Rendered:
    place = Location.model_validate(payload.data)
    where = single_line(place.coordinates())
    words = f"位置信息: {where}" if where else "位置信息"
    return Rendered(text=_line(marked(words, mark), label(place.title), label(place.address)))


def _contact(payload: Payload, mark: str) -> Rendered:
    contact = Contact.model_validate(payload.data)
    name, uid = label(contact.name), label(contact.uid)
    who = f"{name} ({uid})" if name and uid else name or uid
    return Rendered(text=marked(f"名片: {who}" if who else "名片", mark))


def _forward(payload: Payload, mark: str) -> Rendered:
    lines = list(islice(_forward_lines(payload, mark, 1), FORWARD_MESSAGES + 1))
    if len(lines) > FORWARD_MESSAGES:
        lines[-1] = CUT_MARK
    return Rendered(text=clip("\n".join([marked(_FORWARD, mark), *lines]), FORWARD_BYTES))


def _forward_lines(payload: Payload, mark: str, depth: int) -> Iterator[str]:
    """Yield a line for each forwarded message, an inner forward's messages behind its own."""
    margin = "  " * (depth - 1)
    for sender, data in Forward.model_validate(payload.data).messages():
        message = read_payload(data)
        nested = message.type == ContentType.FORWARD
        text = marked(_FORWARD, mark) if nested else indented(_claimed(message, mark).text, f"{margin}  ")
        yield f"{margin}{label(sender) or 'unknown'}: {text}"
        if nested and depth < FORWARD_DEPTH:
            yield from _forward_lines(message, mark, depth + 1)


def _rich_text(payload: Payload, mark: str) -> Rendered:
    blocks = RichText.model_validate(payload.data).content
    image = marked(_IMAGE, mark)
    joined = "".join(image if block.type == "image" else block.text for block in blocks)
    images = [block for block in blocks if block.type == "image" and block.url.strip()]
    plain = payload.plain.replace(marked(_IMAGE, ""), image, len(images))  # as servers write it for a picture
    text = next((text for text in (plain, joined, payload.text) if is_visible(text)), marked("富文本", mark))
    if len(images) > MEDIA_LIMIT:
        told = marked(f"图片: 共 {len(images)} 张，仅获取前 {MEDIA_LIMIT} 张", mark)
        text = f"{_shortened(text, mark)}\n{told}"
    return Rendered(text=text, media=tuple(_media("image", block) for block in images[:MEDIA_LIMIT]))


def _card(payload: Payload, mark: str) -> Rendered:
    return Rendered(text=payload.plain if is_visible(payload.plain) else marked("卡片", mark))


def _system(payload: Payload, mark: str) -> Rendered:
    names = [label(person.name) for person in System.model_validate(payload.data).extra]

    def name_of(placeholder: re.Match[str]) -> str:
        index = int(placeholder[1])
        return names[index] if index < len(names) else placeholder[0]

    told = clip(_PLACEHOLDER.sub(name_of, clip(payload.text, SYSTEM_BYTES)), SYSTEM_BYTES)
    return Rendered(text=_line(marked("系统消息", mark), told))


def _marked(payload: Payload, mark: str) -> Rendered:
    """Return a line that says what kind of message this is, and whatever text it has."""
    number = "" if payload.type is None else f" {single_line(str(payload.type))}"
    words = _MARKERS.get(payload.type or 0, f"未知消息类型{number}")
    return Rendered(text=_line(marked(words, mark), payload.text if payload.text.strip() else payload.plain))


def _line(marker: str, *parts: str) -> str:
    return " ".join([marker, *(part for part in parts if part.strip())])


_RENDERERS: Mapping[int, Callable[[Payload, str], Rendered]] = {
    **dict.fromkeys(SYSTEM_TYPES, _system),
    **dict.fromkeys(_KINDS, _file),
    ContentType.TEXT: _text,
    ContentType.LOCATION: _location,
    ContentType.CONTACT: _contact,
    ContentType.FORWARD: _forward,
    ContentType.RICH_TEXT: _rich_text,
    ContentType.CARD: _card,
}
