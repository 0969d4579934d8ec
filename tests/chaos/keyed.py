"""Sends with a key over the control socket, as a gateway makes them: repeated by their key until they are confirmed."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_channel_octo.control.client import asked
from openclaw_channel_octo.errors import ControlError, NotRunning
from openclaw_channel_octo.ids import ChannelRef, ChannelType

__all__ = ["MARK", "Speaker"]

MARK = "keyed #"
"""How each message of such a send begins."""

TRIES = 200
"""Tries of a send behind the last life, a short pause between them."""


@dataclass(slots=True, eq=False)
class _Send:
    key: str
    talk: str
    texts: Sequence[str]
    params: Mapping[str, str]
    ids: list[str] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class Speaker:
    """A gateway that speaks through the bots.

    Attributes:
        state_dir: the state folder of the bots.
        wrong: answers to a repeated key that differ from the first one.
    """

    state_dir: Path
    wrong: list[str] = field(default_factory=list)
    _sends: list[_Send] = field(default_factory=list)

    def speak(self, luck: random.Random, talk: str, place: ChannelRef, *, in_run: bool = False) -> None:
        """Begin a send of one or two messages; ``in_run`` as a part of the answer of the run under way there."""
        number = len(self._sends)
        texts = [f"{MARK}{number}"]
        if luck.random() < 0.3:
            texts = [f"{MARK}{number} {part} {'word ' * 14}{part}" for part in ("one", "two")]
        kind = "user" if place.type == ChannelType.PERSON else "group"
        params = {
            "account": "helper",
            "target": f"{kind}:{place.id}",
            "text": "\n\n".join(texts),
            "key": f"k{number}",
        }
        if place.type != ChannelType.THREAD and (in_run or luck.random() < 0.3):
            session = "direct" if place.type == ChannelType.PERSON else "group"
            params["session"] = f"agent:main:octo:{session}:{place.id}"
        send = _Send(f"k{number}", talk, texts, params)
        self._sends.append(send)
        self._begin(send)

    def repeat(self, luck: random.Random) -> None:
        """Repeat some of what is not confirmed, and a little of what is."""
        for send in self._sends:
            if luck.random() < (0.05 if send.ids else 0.5):
                self._begin(send)

    async def settle(self) -> None:
        """End the calls that are on their way: those to a process that has ended get no answer."""
        tasks = [send.task for send in self._sends if send.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self) -> None:
        """Repeat every send until it is confirmed, and once more."""
        await self.settle()
        for send in self._sends:
            for _ in range(TRIES):
                await self._ask(send)
                if send.ids:
                    break
                await asyncio.sleep(0.1)
            await self._ask(send)

    def texts(self, talk: str) -> list[str]:
        """Return the messages that have to stand in a conversation, each once."""
        return [text for send in self._sends if send.talk == talk for text in send.texts]

    def _begin(self, send: _Send) -> None:
        if send.task is None or send.task.done():
            send.task = asyncio.create_task(self._ask(send))

    async def _ask(self, send: _Send) -> None:
        ids: list[str] | None = None
        while ids is None:
            try:
                ids = (await asked(self.state_dir, "operator.send", send.params))["message_ids"]
            except NotRunning:
                await asyncio.sleep(0.1)
            except ControlError:
                return
        if send.ids not in ([], ids) or len({*ids}) != len(send.texts):
            self.wrong.append(f"{send.talk}: {send.key} became {ids}, before {send.ids}")
        send.ids = ids
