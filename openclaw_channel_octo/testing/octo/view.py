"""The double as one JSON value: who is there, what was said, who is typing, what the bots asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.payloads import attached, text_beside_files
from openclaw_channel_octo.testing.octo.records import ChatLine, RestCall
from openclaw_channel_octo.testing.web.markdown import as_html

__all__ = ["LINES", "PAGE", "TYPING_SHOWN_S", "Conversation", "conversations", "page", "state"]

TYPING_SHOWN_S: Final = 8.0
"""How long clients show the indicator after a typing command (octo-bot-api §3.1)."""

LINES: Final = 200
"""Lines of each conversation in a `state`."""

PAGE: Final = 120
"""Lines of a `page`."""

_LARGEST_SIDE: Final = 100_000
_CALLS: Final = 100


class Conversation(Struct, frozen=True, kw_only=True):
    """One conversation of the double.

    Attributes:
        channel: as bots address it.
        title: for people.
        bot: the bot's uid in a direct one, empty elsewhere.
        members: uids of those in it.
    """

    channel: ChannelRef
    title: str
    bot: str = ""
    members: Sequence[str]

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.channel.type}:{self.channel.id}:{self.bot}"


def state(octo: OctoDouble, clock: Clock, lines: int = LINES) -> dict[str, Any]:
    """Return what a page or a script needs to show the chat; tokens are not in it.

    Args:
        octo: the double.
        clock: the one the double has.
        lines: how many of each conversation, the newest.
    """
    first = max(0, len(octo.calls) - _CALLS)
    return {
        "api_url": octo.api_url,
        "ws_url": octo.ws_url,
        "accounts": [
            {
                "uid": account.uid,
                "name": account.name,
                "bot": account.is_bot,
                "owner": account.owner,
                "online": bool(octo.online(account.uid)),
            }
            for account in octo.accounts()
        ],
        "conversations": [_conversation(octo, found, clock.now(), lines) for found in conversations(octo)],
        "calls": [_call(number, call) for number, call in enumerate(octo.calls[first:], first)],
    }


def conversations(octo: OctoDouble) -> Iterator[Conversation]:
    """Yield every group, thread, and direct conversation of a person with a bot."""
    for channel, name, members in octo.channels():
        yield Conversation(channel=channel, title=name, members=members)
    people = [account for account in octo.accounts() if not account.is_bot]
    for bot in (account for account in octo.accounts() if account.is_bot):
        for person in people:
            yield Conversation(
                channel=ChannelRef(person.uid, ChannelType.PERSON),
                title=f"{person.name} and {bot.name}",
                bot=bot.uid,
                members=[person.uid, bot.uid],
            )


def page(octo: OctoDouble, key: str, until: int | None = None) -> dict[str, Any]:
    """Return a piece of a conversation, with what a page shows besides the text: Markdown as HTML, and the files.

    Args:
        octo: the double.
        key: which conversation, see `Conversation.key`.
        until: the ``message_seq`` of the last line, ``None`` for the newest.

    Raises:
        LookupError: there is no such conversation.
    """
    found = next((found for found in conversations(octo) if found.key == key), None)
    if found is None:
        raise LookupError(f"no conversation {key!r}")
    shown = octo.chat(found.channel, found.bot, until=until, limit=PAGE + 1)
    return {
        "lines": [_shown(octo, line) for line in shown[-PAGE:]],
        "older": len(shown) > PAGE,
        "newer": until is not None and bool(octo.chat(found.channel, found.bot, after=until, limit=1)),
    }


def _shown(octo: OctoDouble, line: ChatLine) -> dict[str, Any]:
    files = [_file(octo, each) for each in attached(line.payload)]
    text = text_beside_files(line.payload) if files else line.text
    shown = {name: value for name, value in _line(line).items() if name != "payload"}
    return {**shown, "files": files, "body": text, "html": as_html(text)}


def _file(octo: OctoDouble, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a page shows of a file; only one that lies here has an address there."""
    url, name = str(told.get("url", "")), str(told.get("name") or "")
    try:
        stored = octo.file(url)
    except KeyError:
        return {"name": name or url, "href": ""}
    return {
        "name": name or stored.name,
        "href": url.removeprefix(octo.api_url),
        "picture": stored.content_type.startswith("image/"),
        "size": len(stored.content),
        "width": _pixels(told.get("width")),
        "height": _pixels(told.get("height")),
    }


def _pixels(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value <= _LARGEST_SIDE else 0


def _conversation(octo: OctoDouble, found: Conversation, now: float, lines: int) -> dict[str, Any]:
    there = [account.uid for account in octo.accounts() if account.uid in found.members]
    newest = octo.chat(found.channel, found.bot, limit=max(1, lines))
    typed = {uid: octo.typing_at(uid, found.channel) for uid in there}
    return {
        "id": found.bot or found.channel.id,
        "type": int(found.channel.type),
        "key": found.key,
        "title": found.title,
        "members": list(found.members),
        "typing": [uid for uid, at in typed.items() if at is not None and now - at <= TYPING_SHOWN_S],
        "newest": newest[-1].message_seq if newest else 0,
        "lines": [_line(line) for line in newest[-lines:]] if lines else [],
    }


def _line(line: ChatLine) -> dict[str, Any]:
    return {
        "message_id": line.message_id,
        "message_seq": line.message_seq,
        "at": line.timestamp,
        "from": line.from_uid,
        "name": line.name or "system",
        "text": line.text,
        "edited": line.edited,
        "read_by": sorted(line.read_by),
        "payload": line.payload,
    }


def _call(number: int, call: RestCall) -> dict[str, Any]:
    return {
        "number": number,
        "at": call.at,
        "bot": call.bot,
        "name": call.name,
        "status": call.status,
        "body": call.body,
    }
