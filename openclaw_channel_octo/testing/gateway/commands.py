"""What a fake gateway knows of models, and its command parser, in the shape of recorded answers (decision 0052)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from openclaw_channel_octo.testing.gateway import frames
from openclaw_channel_octo.testing.gateway.runs import Asked, GatewayRuns

__all__ = ["METHODS", "MODELS", "GatewayModels", "scope_of"]

METHODS = ("chat.send", "models.list", "sessions.patch", "sessions.usage")
"""What `GatewayModels` answers."""
MODELS = ("stub-1", "stub-2")
"""The models, the default one first; only the others think."""
_LEVELS = ("off", "minimal", "low", "medium", "high")
_COMMANDS = {"/model": "model", "/think": "thinkingLevel"}
_FIELDS = {"model": "modelOverride", "thinkingLevel": "thinkingLevel"}


def scope_of(method: str, params: Mapping[str, Any], *, old: bool) -> str:
    """Return the scope a request needs; what it changes counts for ``sessions.patch``, and not in old releases."""
    if method == "sessions.patch":
        writes = not old and params.keys() <= {"key", *_FIELDS}
        return "operator.write" if writes else "operator.admin"
    return "operator.write" if method == "chat.send" else frames.scope_of(method)


class GatewayModels:
    """Which model each session of a fake gateway is set to, and what its command parser makes of ``chat.send``.

    Args:
        runs: its runs and sessions.
        tell: sends an event to the clients.

    Attributes:
        parsed: what reached the command parser, oldest first.
        takes_commands: whether this client may give commands; of others the parser takes none.
        compaction: what it answers to ``/compact``.
    """

    def __init__(self, runs: GatewayRuns, tell: Callable[[str, Mapping[str, Any]], Awaitable[None]]) -> None:
        self.parsed: list[str] = []
        self.takes_commands = True
        self.compaction = "⚙️ Compaction finished (resulting context unknown) • Context ?/128k"
        self._runs = runs
        self._tell = tell
        self._set: dict[str, dict[str, str]] = {}

    def row(self, key: str, row: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return a session's row with its model and what the model has used; of a session that was only set, too."""
        chosen = self._set.get(key)
        if row is None and chosen is None:
            return None
        model = (chosen or {}).get("modelOverride", MODELS[0])
        known = {
            "key": key,
            "modelProvider": "stub",
            "model": model,
            "thinkingOptions": list(_levels(model)),
            "thinkingDefault": "off" if model == MODELS[0] else "medium",
            "contextTokens": 128_000,
            "totalTokensFresh": row is not None,
        }
        if row is not None:
            known |= {"totalTokens": 12_345, "estimatedCostUsd": 0.000105}
        if self._runs.keeps_keys:
            known["modelOverrideSource"] = "user" if "modelOverride" in (chosen or {}) else None
        if level := (chosen or {}).get("thinkingLevel"):
            known["thinkingLevel"] = level
        return known | dict(row or {})

    async def answer(self, method: str, key: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer to one of `METHODS`."""
        match method:
            case "models.list":
                models = [{"id": one, "name": f"Stub {one[-1]}", "provider": "stub"} for one in MODELS]
                models[0]["alias"] = "one"
                return {"models": models}
            case "sessions.usage":
                chosen = self._set.get(key, {})
                overridden = {"providerOverride": "stub"} if "modelOverride" in chosen else {}
                weight = {
                    "systemPrompt": {"chars": 24_653, "projectContextChars": 1_096},
                    "skills": {"promptChars": 6_483},
                    "tools": {"schemaChars": 5_917},
                }
                return {"sessions": [{"key": key, **overridden, **chosen, "contextWeight": weight}]}
            case "sessions.patch":
                for name in _FIELDS.keys() & params.keys():
                    self._change(key, name, params[name])
                return {"ok": True, "key": key, "entry": {}, "resolved": {}}
            case _:
                return await self._parse(key, params["message"], params["idempotencyKey"])

    def objection(self, key: str, changes: Mapping[str, str | None]) -> str:
        """Return why a session cannot be set so, empty where it can."""
        model, level = changes.get("model"), changes.get("thinkingLevel")
        if model is not None and model.removeprefix("stub/") not in MODELS:
            return f"model not allowed: {model}"
        levels = _levels(self._set.get(key, {}).get("modelOverride", MODELS[0]))
        if level is not None and level not in levels:
            return f"invalid thinkingLevel (use {'|'.join(levels)})"
        return ""

    def _change(self, key: str, field: str, value: str | None) -> None:
        chosen = self._set.setdefault(key, {})
        chosen.pop(_FIELDS[field], None)
        if value is not None:
            chosen[_FIELDS[field]] = value.removeprefix("stub/")

    async def _parse(self, key: str, message: str, run_id: str) -> Mapping[str, Any]:
        if run_id in self._runs.ends:
            return {"runId": run_id, "status": "ok"}
        self.parsed.append(message)
        command, _, value = message.partition(" ")
        answer = ""
        if not self.takes_commands:
            pass
        elif command == "/compact":
            await self._runs.abort(key, None)
            answer = self.compaction
        elif field := _COMMANDS.get(command):
            wish = None if value == "default" else value
            answer = self.objection(key, {field: wish}) or f"{command} is set."
            if answer == f"{command} is set.":
                self._change(key, field, wish)
        else:  # the gateway would ask its model
            self._runs.asked.append(Asked(message=message, session_key=key, run_id=run_id, params={}))
        self._runs.ends[run_id] = (frames.outcome(run_id, ""), None)
        if answer:
            row = frames.assistant_row(answer, 0)
            self._runs.histories[key].append(row | {"idempotencyKey": run_id})
        await self._tell("chat", frames.chat_event(run_id, key, "final", answer))
        return {"runId": run_id, "status": "started"}


def _levels(model: str) -> tuple[str, ...]:
    return _LEVELS[:1] if model == MODELS[0] else _LEVELS
