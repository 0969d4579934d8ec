"""Tool calls of a model: put together from the pieces of a stream, carried out, and told back to it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from openclaw_channel_octo.host.base import ChatTools
from openclaw_channel_octo.host.embedded.agents import AgentError
from openclaw_channel_octo.host.embedded.openai_client import Piece
from openclaw_channel_octo.host.fields import mapping, text

__all__ = ["ModelRound", "with_short_results"]

MAX_CALLS = 16
"""Most tool calls of one answer that are carried out."""

MAX_ARGUMENTS = 1024 * 1024
"""Most characters of what one answer calls tools with."""

MAX_RESULT = 60_000
"""Most characters of one result: a hundred messages."""

CALL_CHARS = 16
"""Characters that a piece of a call counts at least."""

SHORT_RESULT = 2_000
"""Most characters of one result for a model that refuses more."""


class ModelRound:
    """One answer of a model: what it said and thought, and which tools it called."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._thought: list[str] = []
        self._calls: list[_Call] = []
        self._places: dict[int | str, _Call] = {}
        self._room = MAX_ARGUMENTS
        self.is_cut = False
        """Whether a length limit ended it."""
        self.is_filtered = False
        """Whether a content filter ended it."""

    @property
    def calls_tools(self) -> bool:
        """Whether it called any."""
        return bool(self._calls)

    @property
    def tool_names(self) -> list[str]:
        """The names of those it called, in order."""
        return ["".join(call.name) for call in self._calls[:MAX_CALLS]]

    def add(self, piece: Piece) -> None:
        """Take a piece of the answer.

        Raises:
            AgentError: the tool calls are longer than the limit.
        """
        self.is_cut = self.is_cut or piece.is_cut
        self.is_filtered = self.is_filtered or piece.is_filtered
        self._said.append(piece.text)
        self._thought.append(piece.thought)
        for part in map(mapping, piece.calls):
            self._add_call(part)

    async def carried_out(self, tools: ChatTools, ticket: str) -> list[dict[str, Any]]:
        """Carry out the calls, one after the other; return the messages that tell the model what came of them."""
        told: dict[str, Any] = {"role": "assistant", "content": "".join(self._said) or None, "tool_calls": []}
        if thought := "".join(self._thought):
            told["reasoning_content"] = thought
        messages = [told]
        for number, call in enumerate(self._calls):
            name, written = "".join(call.name), "".join(call.arguments)
            arguments = _parsed(written)
            if number >= MAX_CALLS:
                result = f"error: not done, at most {MAX_CALLS} calls at once"
            elif arguments is None:
                result = "error: the arguments are no JSON object"
                written = "{}"  # templates of some servers parse them
            else:
                result = await tools.call(ticket, name, arguments)
            shown = {"id": f"call_{number}", "type": "function", **call.more}
            told["tool_calls"].append({**shown, "function": {"name": name, "arguments": written or "{}"}})
            messages.append(
                {"role": "tool", "tool_call_id": shown["id"], "content": _cut(result, MAX_RESULT)}
            )
        return messages

    def _add_call(self, part: Mapping[str, Any]) -> None:
        function, place = mapping(part.get("function")), part.get("index", part.get("id"))
        known = self._places.get(place) if isinstance(place, int | str) else None
        if known is None and (place is not None or function.get("name") or not self._calls):
            known = _Call()
            self._calls.append(known)
            if isinstance(place, int | str):
                self._places[place] = known
        call = known or self._calls[-1]
        # What else stands there, such as the signature of a thought, some want back as it was.
        call.more |= {key: value for key, value in part.items() if key not in {"index", "function"} and value}
        call.name.append(text(function.get("name")))
        call.arguments.append(text(function.get("arguments")))
        self._room -= CALL_CHARS + len(call.name[-1]) + len(call.arguments[-1])
        if self._room < 0:
            raise AgentError(f"the model calls tools with more than {MAX_ARGUMENTS} characters")


class _Call(Struct):
    name: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def with_short_results(messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return messages of `ModelRound.carried_out` with short results."""
    return [
        {**message, "content": _cut(message["content"], SHORT_RESULT)}
        if message["role"] == "tool"
        else message
        for message in messages
    ]


def _parsed(written: str) -> Mapping[str, Any] | None:
    try:
        arguments = json.loads(written or "{}")
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def _cut(result: str, most: int) -> str:
    return result if len(result) <= most else f"{result[:most]} [cut here: ask for less]"
