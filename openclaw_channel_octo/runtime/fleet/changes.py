"""What a configuration that was read again changes; no I/O."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from types import MappingProxyType

from msgspec import Struct

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.model import BotConfig, EmbeddedHostConfig, GatewayHostConfig, OctoConfig

__all__ = ["Change", "Reload", "Reloads", "change_of", "kept", "settings_changed", "told", "with_tokens"]

_NO_SETTINGS = frozenset({"account_id", "enabled", "disabled_by", "token_source", "token_problem"})
"""Fields of a bot that tell where its settings come from."""

_OF_THE_CONNECTION = frozenset({"name", "api_url", "cdn_url", "ws_url", "media_max_mb"})
"""Settings that parts of a bot are built from, its connection among them."""


_LISTENING = ("metrics", "health", "mcp")
_FIXED = ("state_dir", "agent_id")
"""Settings of a host that name the folder of what it keeps."""


class Change(Enum):
    """What a running bot needs for other settings."""

    NOTHING = "nothing"
    SETTINGS = "settings"
    """They count from the next message on; the connection stays."""
    TOKEN = "token"  # noqa: S105  # a kind of change
    """Another connection; what is in hand goes on."""
    ALL = "all"
    """The bot ends as at a stop, and another one begins."""


class Reloads(Struct, frozen=True, kw_only=True):
    """How often the configuration was read again, and what came of it the last time.

    Attributes:
        done: how often it was taken over.
        refused: how often it was wrong, so that nothing changed.
        last_ms: when the last time was, Unix milliseconds; 0 for never.
        problems: what was wrong then, empty where it was taken over.
    """

    done: int = 0
    refused: int = 0
    last_ms: int = 0
    problems: Sequence[str] = ()


class Reload(Struct, frozen=True, kw_only=True):
    """What a reload came to.

    Attributes:
        added: accounts that were started.
        removed: accounts that end: running turns get ``host.drainSeconds``, what waits stays in the journal.
        changed: names of the changed settings by account, for those that were running and run on.
        reconnecting: those of the changed accounts that connect anew.
        unreadable: why the tokens of some accounts cannot be read, by account; those that run go on with the one
            they have.
        host: names of the changed settings of the host, for turns that begin from now on.
        restart: names of changed settings that count after a restart only.
    """

    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Mapping[str, Sequence[str]] = MappingProxyType({})
    reconnecting: Sequence[str] = ()
    unreadable: Mapping[str, str] = MappingProxyType({})
    host: Sequence[str] = ()
    restart: Sequence[str] = ()

    def lines(self) -> list[str]:
        """Return the same in words, a line for each account and matter."""
        lines = [f"{name}: started" for name in self.added]
        lines += [f"{name}: ends, what it has not answered stays in the journal" for name in self.removed]
        for name, settings in self.changed.items():
            anew = "; it connects anew" if name in self.reconnecting else ""
            lines.append(f"{name}: {', '.join(settings)} changed{anew}")
        lines += [f"{name}: {problem}" for name, problem in self.unreadable.items()]
        if self.host:
            lines.append(f"host: {', '.join(self.host)} changed, for turns that begin from now on")
        if self.restart:
            lines.append(f"{', '.join(self.restart)} changed: that counts after a restart")
        return lines or ["nothing has changed"]


def change_of(before: BotConfig, after: BotConfig) -> Change:
    """Return what a bot that runs with the settings ``before`` needs for ``after``."""
    fields = _changed_fields(before, after)
    if fields & _OF_THE_CONNECTION:
        return Change.ALL
    if "token" in fields:
        return Change.TOKEN
    return Change.SETTINGS if fields else Change.NOTHING


def settings_changed(before: FrozenModel, after: FrozenModel) -> list[str]:
    """Return the names, as in the file, of the settings in which two blocks of a kind differ; never their values."""
    fields = type(after).model_fields
    return sorted(_name(fields[field].alias or field) for field in _changed_fields(before, after))


def kept(before: OctoConfig, after: OctoConfig) -> tuple[OctoConfig, list[str]]:
    """Return a configuration with what cannot change while bots run as it was, and the names of those settings."""
    listening = {name: getattr(before, name) for name in _LISTENING}
    names = [name for name, was in listening.items() if was != getattr(after, name)]
    host: EmbeddedHostConfig | GatewayHostConfig = after.host
    if before.host.kind != host.kind:
        names.append("host.kind")
        host = before.host
    for field in _FIXED:
        if (was := getattr(before.host, field, None)) != getattr(host, field, None):
            names.append(f"host.{type(host).model_fields[field].alias}")
            host = host.model_copy(update={field: was})
    return after.model_copy(update={**listening, "host": host}), names


def with_tokens(chosen: Collection[BotConfig], running: Mapping[str, BotConfig]) -> Iterator[BotConfig]:
    """Yield the bots that can run: where a token cannot be read now, one that runs goes on with the one it has."""
    for bot in chosen:
        if not bot.token_problem:
            yield bot
        elif (known := running.get(bot.account_id)) is not None:
            yield bot.model_copy(update={"token": known.token, "token_problem": ""})


def told(
    before: Mapping[str, BotConfig],
    after: Mapping[str, BotConfig],
    chosen: Collection[BotConfig],
    host: Sequence[str],
    restart: Sequence[str],
) -> Reload:
    """Return what a reload came to.

    Args:
        before: the bots that ran.
        after: those that run now.
        chosen: those that should run.
        host: names of the changed settings of the host.
        restart: names of those that need a restart.
    """
    both = [name for name in after if name in before]
    changes = {name: change_of(before[name], after[name]) for name in both}
    return Reload(
        added=[name for name in after if name not in before],
        removed=[name for name in before if name not in after],
        changed={
            name: settings_changed(before[name], after[name])
            for name, change in changes.items()
            if change is not Change.NOTHING
        },
        reconnecting=[name for name, change in changes.items() if change in {Change.TOKEN, Change.ALL}],
        unreadable={bot.account_id: bot.token_problem for bot in chosen if bot.token_problem},
        host=host,
        restart=restart,
    )


def _changed_fields(before: FrozenModel, after: FrozenModel) -> set[str]:
    return {
        field
        for field in type(after).model_fields
        if field not in _NO_SETTINGS and getattr(before, field, None) != getattr(after, field)
    }


def _name(alias: str) -> str:
    return "botToken" if alias == "token" else alias
