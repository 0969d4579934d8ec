"""The double as one JSON value: who is there, what was said, who is typing, what the bots asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.octo.double import OctoDouble
from openclaw_channel_octo.testing.octo.records import ChatLine, RestCall

__all__ = ["TYPING_SHOWN_S", "Conversation", "conversations", "state"]

TYPING_SHOWN_S: Final = 8.0
"""How long clients show the indicator after a typing command (octo-bot-api §3.1)."""

_LINES: Final = 200
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


def state(octo: OctoDouble, clock: Clock) -> dict[str, Any]:
    """Return what a page or a script needs to show the chat; tokens are not in it.

    Args:
        octo: the double.
        clock: the one the double has.
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
        "conversations": [_conversation(octo, found, clock.now()) for found in conversations(octo)],
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


def _conversation(octo: OctoDouble, found: Conversation, now: float) -> dict[str, Any]:
    there = [account.uid for account in octo.accounts() if account.uid in found.members]
    typed = {uid: octo.typing_at(uid, found.channel) for uid in there}
    return {
        "id": found.bot or found.channel.id,
        "type": int(found.channel.type),
        "key": found.key,
        "title": found.title,
        "members": list(found.members),
        "typing": [uid for uid, at in typed.items() if at is not None and now - at <= TYPING_SHOWN_S],
        "lines": [_line(line) for line in octo.chat(found.channel, found.bot)[-_LINES:]],
    }


def _line(line: ChatLine) -> dict[str, Any]:
    return {
        "message_id": line.message_id,
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
