"""The double as one JSON value: who is there, what was said, who is typing, what the bots asked for."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from openclaw_channel_octo.clock import Clock
from openclaw_channel_octo.ids import ChannelRef, ChannelType
from openclaw_channel_octo.testing.double import OctoDouble
from openclaw_channel_octo.testing.records import ChatLine, RestCall

__all__ = ["TYPING_SHOWN_S", "state", "typing"]

TYPING_SHOWN_S: Final = 8.0
"""How long clients show the indicator after a typing command (octo-bot-api §3.1)."""

_LINES: Final = 200
_CALLS: Final = 100


def state(octo: OctoDouble, clock: Clock) -> dict[str, Any]:
    """Return what a page or a script needs to show the chat; tokens are not in it.

    Args:
        octo: the double.
        clock: the one the double has.
    """
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
        "conversations": [_conversation(octo, *found, clock.now()) for found in _conversations(octo)],
        "calls": [_call(call) for call in octo.calls[-_CALLS:]],
    }


def typing(octo: OctoDouble, channel: ChannelRef, bot: str, now: float) -> bool:
    """Return whether clients show a bot as typing in a conversation.

    Args:
        octo: the double.
        channel: the conversation as the bot addresses it.
        bot: whose indicator.
        now: the double's clock, seconds.
    """
    for call in reversed(octo.calls):
        if now - call.at > TYPING_SHOWN_S:
            return False
        here = isinstance(call.body, dict) and call.body.get("channel_id") == channel.id
        if here and call.bot == bot and call.status == HTTPStatus.OK:
            if call.name == "sendMessage":
                return False
            if call.name == "typing":
                return True
    return False


def _conversations(octo: OctoDouble) -> Iterator[tuple[ChannelRef, str, str, list[str]]]:
    """Yield each conversation as bots address it, its title, the bot's uid of a direct one, and who is in it."""
    for channel, name, members in octo.channels():
        yield channel, name, "", members
    people = [account for account in octo.accounts() if not account.is_bot]
    for bot in (account for account in octo.accounts() if account.is_bot):
        for person in people:
            title = f"{person.name} and {bot.name}"
            yield ChannelRef(person.uid, ChannelType.PERSON), title, bot.uid, [person.uid, bot.uid]


def _conversation(
    octo: OctoDouble, channel: ChannelRef, title: str, bot: str, members: list[str], now: float
) -> dict[str, Any]:
    bots = [account.uid for account in octo.accounts() if account.is_bot and account.uid in members]
    return {
        "id": bot or channel.id,
        "type": int(channel.type),
        "key": f"{channel.type}:{channel.id}:{bot}",
        "title": title,
        "members": members,
        "typing": [uid for uid in bots if typing(octo, channel, uid, now)],
        "lines": [_line(line) for line in octo.chat(channel, bot)[-_LINES:]],
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


def _call(call: RestCall) -> dict[str, Any]:
    return {"at": call.at, "bot": call.bot, "name": call.name, "status": call.status, "body": call.body}
