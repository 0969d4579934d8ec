"""What a model behind an OpenAI-compatible endpoint is asked: the messages of a request, and the pictures in them."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from openclaw_channel_octo.host.base import MediaItem
from openclaw_channel_octo.host.embedded.agents import Prompt
from openclaw_channel_octo.host.embedded.transcript import Message
from openclaw_channel_octo.message.marks import explanation, marked, remarked
from openclaw_channel_octo.message.text import indented, label

__all__ = ["messages_of", "pictures_of"]

MAX_NAME = 64

MAX_PICTURES = 10
MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_PICTURES_BYTES = 20 * 1024 * 1024
"""Most bytes of all pictures of one message."""

UNSEEN = "You are shown text only: of pictures, recordings and other files you know what is written above, no more."
"""Said with a message that brings files, so that no model makes up what it cannot see."""

PARTLY_SEEN = (
    "You are shown pictures only, {shown} of {files} files: of the rest you know what stands above, no more."
)

_TYPES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
"""How pictures of the types that models take begin."""


def pictures_of(media: Iterable[MediaItem]) -> tuple[str, ...]:
    """Return the pictures among a message's files as ``data:`` addresses, as many as a request takes. Blocking.

    What a file is decides its content; one that is too large or cannot be read is left out.
    """
    pictures: list[str] = []
    room = MAX_PICTURES_BYTES
    for item in media:
        content = _content(item)
        kind = next((kind for start, kind in _TYPES.items() if content.startswith(start)), "")
        if not kind or (kind == "webp" and content[8:12] != b"WEBP") or len(content) > room:
            continue
        room -= len(content)
        pictures.append(f"data:image/{kind};base64,{b64encode(content).decode()}")
        if len(pictures) == MAX_PICTURES:
            break
    return tuple(pictures)


def messages_of(
    prompt: Prompt,
    system_prompt: str = "",
    *,
    history: Sequence[Message] = (),
    context: bool = True,
    pictures: Sequence[str] = (),
    acts: bool = False,
) -> list[dict[str, Any]]:
    """Return the messages of a request: instructions, then people and the model in turn.

    Messages of one side that follow each other become one: templates of many models refuse anything else.

    Args:
        prompt: the request.
        system_prompt: the operator's instructions, may be empty.
        history: earlier messages to send along, oldest first.
        context: whether to send what was said around the request.
        pictures: of `pictures_of`, shown with the request.
        acts: whether the model may read more of the channel's lines by its tools.
    """
    grouped, mark = prompt.conversation != "direct", prompt.mark
    around = prompt.context if context else ""
    request = Message(role="user", text=prompt.text, sender=prompt.sender_name, context=around, mark=mark)
    said = [(message.role, _spoken(message, grouped, mark)) for message in (*history, request)]
    if unseen := _unseen(len(prompt.media), len(pictures)):
        said.append(("user", marked(unseen, mark)))
    texts = [
        (role, "\n\n".join(text for _, text in group)) for role, group in groupby(said, lambda one: one[0])
    ]
    if texts[0][0] != "user":  # the question to this answer is not sent along
        del texts[0]
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in texts]
    told = explanation(mark, prompt.notes, *(text for _, text in texts), mark if acts else "")
    system = "\n\n".join(part for part in (system_prompt, told, prompt.notes) if part)
    if pictures:
        shown = [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
        messages[-1]["content"] = [{"type": "text", "text": messages[-1]["content"]}, *shown]
    return [{"role": "system", "content": system}, *messages] if system else messages


def _unseen(files: int, shown: int) -> str:
    if not shown:
        return UNSEEN if files else ""
    return PARTLY_SEEN.format(shown=shown, files=files) if shown < files else ""


def _content(item: MediaItem) -> bytes:
    """Return a file of a message, nothing where it is no picture that could be sent."""
    try:
        if item.path is None or item.path.stat().st_size > MAX_PICTURE_BYTES:
            return b""
        with item.path.open("rb") as file:
            start = file.read(max(map(len, _TYPES)))
            return start + file.read(MAX_PICTURE_BYTES) if start.startswith(tuple(_TYPES)) else b""
    except OSError:
        return b""


def _spoken(message: Message, grouped: bool, mark: str) -> str:
    """Return a message as the model gets it, behind what was shown around it; lines of the channel with this mark."""
    name = label(message.sender, MAX_NAME)
    text, context = (remarked(said, message.mark, mark) for said in (message.text, message.context))
    if grouped and name and message.role == "user":
        who = f"{mark} {name}".lstrip()
        text = f"{who}: {indented(text)}"  # or a line of it could begin with somebody else's name
    return f"{context}\n\n{text}" if context else text
