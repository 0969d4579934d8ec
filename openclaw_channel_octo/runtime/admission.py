"""Messages that address the bot and get no turn: who is told what, and how often."""

from collections.abc import Sequence

from msgspec.structs import replace

from openclaw_channel_octo.config.model import Texts
from openclaw_channel_octo.policy.access import NOT_PAIRED
from openclaw_channel_octo.runtime.inbox import Outcome
from openclaw_channel_octo.runtime.limits import Limits
from openclaw_channel_octo.runtime.notices import Notice, Notices
from openclaw_channel_octo.runtime.pairing import Pairing
from openclaw_channel_octo.store.records import InboundRow

__all__ = ["Admission"]

REFUSAL_STANDS_S = 86_400.0
"""Seconds after which somebody who may not talk to the bot is told so again."""

LANE_FULL = "lane full"
"""Why a message of somebody who may talk got no turn."""


class Admission:
    """Turns messages of one bot away.

    Args:
        texts: what people read.
        notices: sends it.
        limits: says what is too much.
        pairing: what those read who can ask to be let in.
    """

    def __init__(self, texts: Texts, notices: Notices, limits: Limits, pairing: Pairing) -> None:
        self._texts = texts
        self._notices = notices
        self._limits = limits
        self._pairing = pairing

    def admit(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Return recorded messages; those that are too many have no row any more, and end with a notice."""
        return [self._admitted(outcome) for outcome in outcomes]

    def refuse(self, row: InboundRow) -> None:
        """End a message of somebody who may not talk to the bot; they are told once a day in a conversation."""
        if row.reason == NOT_PAIRED:
            self._notices.end(row, self._pairing.notice(row))
            return
        self._notices.end(
            row,
            Notice(
                text=self._texts.refused,
                reason=row.reason,
                burst=(row.channel, row.from_uid, row.reason),
                stands_s=REFUSAL_STANDS_S,
            ),
        )

    def _admitted(self, outcome: Outcome) -> Outcome:
        notice = self._limits.excess(outcome)
        if notice is None or outcome.row is None:
            return outcome
        self._notices.end(outcome.row, notice)
        return replace(outcome, row=None, session_key="")

    def busy(self, row: InboundRow) -> None:
        """End a message its lane has no room for."""
        self._notices.end(row, Notice(text=self._texts.busy, reason=LANE_FULL, burst=row.session_key))

    def room(self, row: InboundRow) -> None:
        """Note that a lane has taken a message: the next one it has no room for begins a new burst."""
        self._notices.over(row.session_key)
