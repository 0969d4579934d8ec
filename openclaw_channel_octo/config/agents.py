"""The ``host.agent`` block: what answers."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from openclaw_channel_octo.config.base import FrozenModel, HttpBase
from openclaw_channel_octo.config.environment import Inheritance

__all__ = [
    "AGENT_KINDS",
    "AgentConfig",
    "CommandAgentConfig",
    "EchoAgentConfig",
    "OpenAIAgentConfig",
    "nameable",
]

_HALF = re.compile(r"[\ud800-\udfff]")
"""Half a surrogate pair, which UTF-8 has no form for."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_OWN_FIELDS = {"messages", "model", "stream", "tools", "tool_choice", "n"}


def nameable(path: Path) -> Path:
    """Return a path that something can have, or raise `ValueError`."""
    if "\0" in str(path):
        raise ValueError("must not hold the character NUL: nothing can have that name")
    return path


def _argument(word: str) -> str:
    if "\0" in word:
        raise ValueError("must not hold the character NUL: no program can be given it")
    return word


def _variables(env: Mapping[str, str]) -> Mapping[str, str]:
    if any(not name or "=" in name for name in env):
        raise ValueError("a variable's name must not be empty or hold an =")
    if any("\0" in text or _HALF.search(text) for pair in env.items() for text in pair):
        raise ValueError("neither a variable's name nor its value may hold NUL or half a character")
    return env


def _headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    if not all(map(_HEADER_NAME.fullmatch, headers)):
        raise ValueError("a header's name may hold letters, digits and !#$%&'*+-.^_`|~")
    for value in headers.values():
        if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("a header's value may hold printable ASCII characters only")
    return headers


def _extra_body(body: Mapping[str, Any]) -> Mapping[str, Any]:
    if taken := sorted(_OWN_FIELDS & body.keys()):
        raise ValueError(f"must not hold what is set here: {', '.join(taken)}")
    return body


class EchoAgentConfig(FrozenModel):
    """An agent that answers with what it was told; for trying things out."""

    kind: Literal["echo"] = "echo"


class CommandAgentConfig(FrozenModel):
    """An agent that is a program: prompt on its standard input, answer on its standard output.

    Attributes:
        command: program and arguments; no shell is involved.
        env: variables added to the program's environment; may hold secrets, so not in ``repr``.
        cwd: the program's working directory, ``None`` for that of this process.
        pass_env: names of variables the program inherits although our secrets are read from them.
        clean_env: whether it inherits nothing else but where programs are, the home folder, language and time zone.
        hide_thinking: whether a model's thinking and control tokens are left out of its answer.
    """

    kind: Literal["command"] = "command"
    command: Annotated[
        tuple[Annotated[str, Field(min_length=1, strict=True), AfterValidator(_argument)], ...],
        Field(min_length=1, strict=False, repr=False),
    ]
    env: Annotated[Mapping[str, str], AfterValidator(_variables)] = Field(default_factory=dict, repr=False)
    cwd: Annotated[Path, AfterValidator(nameable)] | None = None
    pass_env: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    clean_env: bool = False
    hide_thinking: bool = True
    _withheld: frozenset[str] = PrivateAttr(default=frozenset())  # no key of the file

    @property
    def inheritance(self) -> Inheritance:
        """What the program inherits of this process's environment."""
        return Inheritance(withheld=self._withheld, passed=frozenset(self.pass_env), clean=self.clean_env)

    def withholding(self, names: frozenset[str]) -> Self:
        """Return the same agent that does not inherit the variables of these names."""
        agent = self.model_copy()
        agent._withheld = names  # noqa: SLF001  # of the same class
        return agent


class OpenAIAgentConfig(FrozenModel):
    """An agent behind an OpenAI-compatible endpoint.

    Attributes:
        base_url: the endpoint up to and including its version, such as ``https://…/v1``.
        model: the model's name there.
        api_key: bearer key, ``None`` where the endpoint takes none.
        system_prompt: instructions put before every conversation, possibly empty.
        temperature: of the model's choices, ``None`` for its own.
        max_tokens: most tokens of an answer, ``None`` for the endpoint's own limit.
        history_messages: most earlier messages of the conversation in a request, 0 for none.
        pictures: whether the model is shown pictures that came with a message.
        tools: whether the model may act in the chat for the person who asked.
        tool_rounds: most times it may look at results of its tools before it has to answer.
        headers: sent with every request.
        body: fields added to every request as they are; may hold secrets, so not in ``repr``.
    """

    kind: Literal["openai"] = "openai"
    base_url: HttpBase
    model: Annotated[str, Field(min_length=1)]
    api_key: SecretStr | None = None
    system_prompt: str = ""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    history_messages: Annotated[int, Field(ge=0, le=200)] = 20
    pictures: bool = True
    tools: bool = True
    tool_rounds: Annotated[int, Field(ge=1, le=100)] = 8
    headers: Annotated[Mapping[str, SecretStr], AfterValidator(_headers)] = Field(default_factory=dict)
    body: Annotated[Mapping[str, Any], AfterValidator(_extra_body)] = Field(default_factory=dict, repr=False)


AgentConfig = Annotated[
    EchoAgentConfig | CommandAgentConfig | OpenAIAgentConfig,
    Field(discriminator="kind"),
]

AGENT_KINDS: Mapping[str, type[FrozenModel]] = MappingProxyType(
    {"echo": EchoAgentConfig, "command": CommandAgentConfig, "openai": OpenAIAgentConfig}
)
"""The agents of the embedded host by their ``kind``."""
