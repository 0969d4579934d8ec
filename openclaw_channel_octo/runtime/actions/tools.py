"""The calls of agents as tools of a model: what there is, what a model asks for, what it is told."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from inspect import cleandoc
from typing import Any

from pydantic import ValidationError

from openclaw_channel_octo.errors import ControlError, OctoError
from openclaw_channel_octo.host.base import ChatTool
from openclaw_channel_octo.runtime.actions.actions import AgentActions
from openclaw_channel_octo.runtime.actions.calls import AGENT_CALLS, AgentCall, wrong_parameter
from openclaw_channel_octo.runtime.actions.manage_calls import MANAGEMENT_CALLS

__all__ = ["AgentTools", "asked_for", "chat_tools", "told"]

_PREFIX = "message_"
"""Of the names of tools: models see them beside tools of others."""


class AgentTools:
    """The calls as tools of a model in this process; see `host.base.ChatTools`.

    Attributes:
        url: see `host.base.ChatTools`; set by who serves the tools there.

    Args:
        outbound_with: returns what the holder of a ticket may do; raises `RequestDenied` for an unknown one.
    """

    def __init__(self, outbound_with: Callable[[str], AgentActions]) -> None:
        self._outbound_with = outbound_with
        self.url = ""

    @cached_property
    def tools(self) -> tuple[ChatTool, ...]:
        """What there is, ``message_send`` and so on."""
        return tuple(chat_tools().values())

    def offered(self, ticket: str) -> Sequence[ChatTool]:
        """Return what there is for the person whose run has a ticket: changes of groups for who may make them alone."""
        try:
            is_manager = self._outbound_with(ticket).manage.may_change
        except OctoError:
            is_manager = False
        if is_manager:
            return self.tools
        return [tool for name, tool in chat_tools().items() if name not in MANAGEMENT_CALLS]

    async def call(self, ticket: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Do what a tool does, for the person whose run has the ticket; return the answer, or why there is none.

        Args:
            ticket: of the run (`Turn.ticket`).
            name: of one of `tools`.
            parameters: see `asked_for`.
        """
        try:
            return await self.answer(ticket, name, parameters)
        except OctoError as error:
            return f"error: {error}"

    async def answer(self, ticket: str, name: str, parameters: Mapping[str, Any]) -> str:
        """Do as `call` does; raise `OctoError` where there is no answer."""
        _, asked = asked_for(name, parameters)
        return told(asked, await asked.answer(self._outbound_with(ticket)))


def chat_tools() -> Mapping[str, ChatTool]:
    """Return the calls as tools of a model, by their names in `AGENT_CALLS`."""
    return {
        name: ChatTool(
            name=f"{_PREFIX}{name}", description=cleandoc(call.__doc__ or ""), parameters=_schema(call)
        )
        for name, call in AGENT_CALLS.items()
    }


def asked_for(tool: str, parameters: Mapping[str, Any]) -> tuple[str, AgentCall]:
    """Return the call that a model asks for by a tool, and its name in `AGENT_CALLS`.

    Args:
        tool: name of one of `chat_tools`.
        parameters: as the model wrote them; numbers may be written as texts, and what is null counts as left out.

    Raises:
        ControlError: there is no such tool, or a parameter is wrong; the message is for the model.
    """
    name = tool.removeprefix(_PREFIX)
    call = AGENT_CALLS.get(name)
    if call is None:
        known = ", ".join(f"{_PREFIX}{each}" for each in AGENT_CALLS)
        raise ControlError("unknown-call", f"there is no tool of this name, only {known}")
    given = {key: value for key, value in parameters.items() if value is not None}
    try:
        return name, call.model_validate(given, strict=False)
    except ValidationError as error:
        raise ControlError("bad-params", wrong_parameter(error)) from None


def told(asked: AgentCall, answer: Any) -> str:
    """Return what a model is told of a call's answer."""
    return json.dumps(asked.brief(answer), ensure_ascii=False)


def _schema(call: type[AgentCall]) -> Mapping[str, Any]:
    schema = call.model_json_schema()
    fields = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema["properties"].items()
    }
    required = {"required": schema["required"]} if "required" in schema else {}
    return {"type": "object", "properties": fields, **required}
