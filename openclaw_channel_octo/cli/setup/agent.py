"""The agent: what answers, asked for until it looks as if it could."""

import asyncio
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import SecretStr

from openclaw_channel_octo.cli.setup.console import Console, Unusable, http_address, one_word
from openclaw_channel_octo.cli.setup.endpoint import models_at
from openclaw_channel_octo.cli.setup.files import secret_file
from openclaw_channel_octo.cli.setup.openclaw import usual_file

__all__ = ["KINDS", "GivenAgent", "Host", "chosen_host"]

KINDS: Mapping[str, str] = {
    "endpoint": "an OpenAI-compatible model: OpenAI, Ollama, vLLM, …",
    "program": "any program: prompt on standard input, answer on standard output",
    "gateway": "an OpenClaw gateway on this machine",
    "echo": "repeats what it is told, to try the rest",
}
"""What can answer, and a word on it."""

_ENDPOINTS = "OpenAI: https://api.openai.com/v1, Ollama on this machine: http://127.0.0.1:11434/v1"
_OPENAI = "https://api.openai.com/v1"
_MOST_MODELS = 30


class GivenAgent(Struct, frozen=True, kw_only=True):
    """What options say of the agent; ``None`` for what is asked for."""

    kind: str | None = None
    base_url: str | None = None
    model: str | None = None
    key: SecretStr | None = None
    command: str | None = None
    openclaw: Path | None = None

    @property
    def named_kind(self) -> str | None:
        """The kind, also where only something of it is given."""
        if self.kind:
            return self.kind
        found = {"endpoint": self.base_url or self.model, "program": self.command, "gateway": self.openclaw}
        return next((kind for kind, value in found.items() if value), None)


class Host(Struct, frozen=True):
    """The block ``host`` of a configuration.

    Attributes:
        block: its content.
        secrets: by the name of the file, relative to the configuration, what it refers to.
    """

    block: Mapping[str, Any]
    secrets: Mapping[str, SecretStr] = {}

    @property
    def costs(self) -> bool:
        """Whether a word of its agent may cost something: not of an echo, and a gateway is not asked for one."""
        return self.block.get("agent", {}).get("kind") in {"openai", "command"}


def chosen_host(console: Console, given: GivenAgent, config_file: Path, *, check: bool) -> Host:
    """Return the host with the agent that somebody names; the program ends where nobody can be asked about a mistake.

    Args:
        console: asks.
        given: what options say.
        config_file: where the configuration will be.
        check: whether a model endpoint is asked for its models.
    """
    kind = given.named_kind
    if kind is None and console.asks:
        found = usual_file()
        words = {**KINDS, "gateway": f"the OpenClaw gateway of {found}"} if found.is_file() else KINDS
        kind = tuple(KINDS)[console.choice("Which", tuple(words.items()))]
    match kind:
        case "endpoint":
            return _endpoint(console, given, config_file, check=check)
        case "program":
            return Host({"agent": _program(console, given.command, config_file)})
        case "gateway":
            return _gateway(console, given.openclaw)
        case _:
            return Host({"agent": {"kind": "echo"}})


def _endpoint(console: Console, given: GivenAgent, config_file: Path, *, check: bool) -> Host:
    if console.asks and given.base_url is None:
        console.say(_ENDPOINTS)
    base_url, key, suggested = given.base_url, given.key, _OPENAI
    names: Sequence[str] = ()
    bearer: SecretStr | None = None
    while True:
        base_url = console.text(base_url, "Endpoint's base URL", "--base-url URL", suggested)
        if key is None and console.asks:
            key = SecretStr(console.secret("API key (it is not shown; empty for none)", empty=""))
        try:
            base_url = http_address(base_url, _OPENAI)
            bearer = one_word(key) if key and key.get_secret_value() else None
            if check:
                found = asyncio.run(models_at(base_url, bearer))
                base_url, names = found.base_url, found.names
            break
        except Unusable as problem:
            console.refuse(str(problem))
            suggested = base_url
            base_url, key = (base_url, None) if problem.about_secret else (None, key)
    block = {"kind": "openai", "baseUrl": base_url, "model": _model(console, given.model, names)}
    if bearer is None:
        return Host({"agent": block})
    file = secret_file(config_file, "agent.key")
    return Host({"agent": {**block, "apiKey": {"source": "file", "id": file}}}, {file: bearer})


def _model(console: Console, given: str | None, names: Sequence[str]) -> str:
    if given is None and console.asks and names:
        shown = names[:_MOST_MODELS]
        console.say(f"✓ it has {len(names)} model{'s' if len(names) != 1 else ''}")
        console.say(*(f"  {number:>2}  {name}" for number, name in enumerate(shown, 1)))
        answer = console.text(None, "Model, by its number or name", "--model NAME", shown[0])
        return shown[int(answer) - 1] if answer in map(str, range(1, len(shown) + 1)) else answer
    return console.text(given, "Model", "--model NAME")


def _program(console: Console, given: str | None, config_file: Path) -> dict[str, Any]:
    while True:
        line = console.text(given, "Command line", "--command LINE")
        try:
            words = shlex.split(line)
        except ValueError as error:
            words, problem = [], f"that is no command line: {error}"
        else:
            problem = (
                "" if words and shutil.which(words[0]) else f"{line} cannot be run: there is no such program"
            )
        if not problem:
            break
        console.refuse(problem)
        given = None
    here = Path.cwd()
    folder = "." if here == config_file.absolute().parent else str(here)
    return {"kind": "command", "command": words, "cwd": folder}


def _gateway(console: Console, given: Path | None) -> Host:
    while True:
        asked = console.text(
            str(given) if given else None, "Gateway's file", "--openclaw FILE", str(usual_file())
        )
        file = Path(asked).expanduser().absolute()
        if file.is_file():
            return Host({"kind": "gateway", "openclawConfig": str(file)})
        console.refuse(f"there is no file {file}")
        given = None
