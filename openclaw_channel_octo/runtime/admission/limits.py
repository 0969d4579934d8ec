"""Messages that are too many: of one person, in one conversation, or of bots that answer each other."""

from collections.abc import Callable, Hashable

from msgspec import Struct

from openclaw_channel_octo.ids import ChannelRef, split_space
from openclaw_channel_octo.policy.gate import ADDRESSED
from openclaw_channel_octo.policy.rate import LoopCounter, LoopLimits, TokenBuckets
from openclaw_channel_octo.runtime.admission.notifier import Notice
from openclaw_channel_octo.runtime.context import BotContext
from openclaw_channel_octo.runtime.received import Outcome
from openclaw_channel_octo.wire.events import InboundMessage

__all__ = ["Limits"]


class _Burst(Struct, frozen=True):
    """What messages have in common that one notice stands for."""

    kind: str
    channel: ChannelRef
    uid: str = ""


class Limits:
    """Judges what was recorded for one bot, by the times the server gave it, so that catching up is no flood.

    Args:
        context: what every part of the bot is made from; its owner meets no limit.
        over: told when messages that had something in common are let through again.
    """

    def __init__(self, context: BotContext, over: Callable[[Hashable], None]) -> None:
        self._context = context
        self._owner = context.identity.owner_uid
        self._over = over
        self.count_anew()

    def count_anew(self) -> None:
        """Go by the settings as they are now; what was counted so far is forgotten."""
        config = self._context.config
        rate, loops = config.rate_limit, config.bot_loop_protection
        self._people = TokenBuckets(rate.person_per_minute)
        self._conversations = TokenBuckets(rate.conversation_per_minute)
        self._loops = LoopCounter(
            LoopLimits(
                events=loops.max_events_per_window if loops.enabled else 0,
                window_s=loops.window_seconds,
                cooldown_s=loops.cooldown_seconds,
            )
        )

    def excess(self, outcome: Outcome) -> Notice | None:
        """Return what is said in place of an answer to what was `SAID`, ``None`` where it is not one too many.

        To be asked once about each message.
        """
        message, channel, decision = outcome.message, outcome.channel, outcome.decision
        if not decision.from_bot:
            self._loops.person(channel)
        if (
            outcome.row is None
            or decision.kind not in ADDRESSED
            or not isinstance(message, InboundMessage)
            or (uid := split_space(message.from_uid)[1]) == self._owner
        ):
            return None
        if decision.from_bot:
            return self._looping(channel, uid, message.timestamp)
        return self._too_many(channel, uid, message.timestamp)

    def _looping(self, channel: ChannelRef, uid: str, at_s: float) -> Notice | None:
        burst = _Burst("loop", channel, uid)
        if self._loops.admit(channel, uid, at_s):
            self._over(burst)
            return None
        return Notice(text=self._context.config.texts.loop, reason="bots answer each other", burst=burst)

    def _too_many(self, channel: ChannelRef, uid: str, at_s: float) -> Notice | None:
        person, conversation = _Burst("person", channel, uid), _Burst("conversation", channel)
        text = self._context.config.texts.limited
        if not self._people.take(uid, at_s):
            return Notice(text=text, reason="more than rateLimit.personPerMinute", burst=person)
        self._over(person)
        if not self._conversations.take(f"{channel.type}:{channel.id}", at_s):
            return Notice(text=text, reason="more than rateLimit.conversationPerMinute", burst=conversation)
        self._over(conversation)
        return None
