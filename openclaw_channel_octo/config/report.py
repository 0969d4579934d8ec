"""The effective settings, fit to be shown to anybody: no secret, no word of a prompt (design §8)."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from openclaw_channel_octo.config.agents import AgentConfig, CommandAgentConfig, OpenAIAgentConfig
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, GatewayHostConfig, OctoConfig

__all__ = ["report", "report_text"]

_KEY_WIDTH = 38


def report(config: OctoConfig) -> dict[str, Any]:
    """Return the effective settings as a JSON-able mapping, with ``[set]`` for each secret."""
    accounts = {account_id: _bot(bot) for account_id, bot in config.accounts.items()}
    listening = {
        name: block.model_dump(mode="json", by_alias=True) if block else {key: "[off]"}
        for name, key, block in (
            ("metrics", "listen", config.metrics),
            ("health", "listen", config.health),
            ("mcp", "port", config.mcp),
        )
    }
    return {"host": _host(config.host), **listening, "accounts": accounts}


def report_text(config: OctoConfig) -> str:
    """Return what `report` returns as lines for a person to read."""
    content = report(config)
    blocks = {name: content[name] for name in ("host", "metrics", "health", "mcp")}
    for account_id, settings in content["accounts"].items():
        off = config.accounts[account_id].disabled_by
        blocks[f"account {account_id} ({'off' if off else 'on'})"] = settings
    return "\n\n".join("\n".join((title, *_lines(settings))) for title, settings in blocks.items())


def _bot(bot: BotConfig) -> dict[str, Any]:
    hidden = {"account_id", "token", "token_source", "token_problem"} | (
        set() if bot.disabled_by else {"disabled_by"}
    )
    settings = bot.model_dump(mode="json", by_alias=True, exclude=hidden)
    settings["wsUrl"] = _without_query(bot.ws_url) if bot.ws_url else "[as the server says]"
    settings["dispatchTimeoutMs"] = bot.dispatch_timeout_ms or "[host.timeoutSeconds]"
    settings["guard"]["noticeText"] = bot.restart_notice
    settings["texts"] = {"language": bot.texts.language, **bot.texts.changed()}
    token = f"{_secret(bot.token)} ({bot.token_source})" if bot.token_source else "[none]"
    return {"botToken": token, **settings}


def _host(host: EmbeddedHostConfig | GatewayHostConfig) -> dict[str, Any]:
    if isinstance(host, GatewayHostConfig):
        settings = host.model_dump(mode="json", by_alias=True, exclude={"token", "password", "routing"})
        settings["url"] = _without_query(host.url)
        return {**settings, "token": _secret(host.token), "password": _secret(host.password)}
    settings = host.model_dump(mode="json", by_alias=True, exclude={"agent"})
    return {**settings, "agent": _agent(host.agent)}


def _agent(agent: AgentConfig) -> dict[str, Any]:
    match agent:
        case CommandAgentConfig():
            shown = agent.model_dump(
                mode="json", by_alias=True, exclude={"env", "command"}, exclude_none=True
            )
            program, *arguments = agent.command
            more = f" [+{len(arguments)} hidden]" if arguments else ""
            return {**shown, "command": program + more, "env": dict.fromkeys(agent.env, "[set]")}
        case OpenAIAgentConfig():
            hidden = {"api_key", "system_prompt", "headers", "body"}
            shown = agent.model_dump(mode="json", by_alias=True, exclude=hidden, exclude_none=True)
            return {
                **shown,
                "apiKey": _secret(agent.api_key),
                "systemPrompt": f"[{len(agent.system_prompt)} characters]",
                "headers": {name: _secret(value) for name, value in agent.headers.items()},
                "body": dict.fromkeys(agent.body, "[set]"),
            }
        case _:
            return agent.model_dump(mode="json", by_alias=True)


def _secret(value: SecretStr | None) -> str:
    if value is None:
        return "[none]"
    return "[set]" if value.get_secret_value() else "[not read]"


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query="…").geturl() if parts.query else url


def _lines(settings: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in settings.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{name}.")
        else:
            plain = isinstance(value, str) and value.isprintable() and value
            yield f"  {name:<{_KEY_WIDTH}}{value if plain else json.dumps(value)}"
