"""The ``channels.octo`` block: one resolved bot for each account (reference-behaviour §a.2)."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.config.access import contradictions, nobody_left
from openclaw_channel_octo.config.diagnostics import Findings, is_token, join, sentence
from openclaw_channel_octo.config.model import BotConfig, BotSettings
from openclaw_channel_octo.config.secrets import FoundSecret, SecretContext, read_secret
from openclaw_channel_octo.config.streaming import StreamingConfig
from openclaw_channel_octo.config.variables import settled, unset_in

__all__ = ["CHANNEL_PATH", "ChannelReader", "is_account_id", "switched_off"]

CHANNEL_PATH = "channels.octo"

_ACCOUNTS_PATH = f"{CHANNEL_PATH}.accounts"

_WITHOUT_EFFECT = frozenset(
    {
        "botTasks",
        "botUid",
        "cardDisplay",
        "cardInteraction",
        "cardProgress",
        "defaultAccount",
        "docTaskProgress",
        "docTasks",
        "docsApiUrl",
        "docsCliPath",
        "eventWaitSeconds",
        "heartbeatIntervalMs",
        "historyPromptTemplate",
        "onBehalfOf",
        "pollIntervalMs",
        "reasoningCardTemplateMode",
        "secretsFileRoot",
    }
)
_IDLE_STREAMING = frozenset({"block", "chunkMode", "nativeTransport", "preview", "progress"})
_READ_APART = frozenset({"accounts", "botToken"})
_ADDRESSES = frozenset({"apiUrl", "cdnUrl", "wsUrl"})
_ONLY_ACCOUNT = "default"
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_BOT_PREFIXES = ("bf_", "app_")
_USER_KEY_PREFIX = "uk_"
_SERVES_NONE = "with several accounts each needs its own; the channel's serves none of them"
_KEEP = 'serves no bot beside these accounts: to keep its bot, add it to them: {}: {{"botToken": …}}'
_NO_TOKEN = FoundSecret(value=SecretStr(""), source="")

Block = Mapping[str, Any]


class ChannelReader:
    """Reads the channel block into bots.

    Args:
        raw: the block.
        around: what it refers to.
        findings: takes every mistake and warning.
        connecting: false where the bots do not connect to their servers: no token is read, and no address.
    """

    def __init__(
        self, raw: Block, around: SecretContext, findings: Findings, *, connecting: bool = True
    ) -> None:
        self._connecting = connecting
        self._read_apart = _READ_APART if connecting else _READ_APART | _ADDRESSES
        self._raw = raw
        self._around = around
        self._findings = findings
        self._common = self._settings(raw, CHANNEL_PATH, on=raw.get("enabled") is not False)

    def accounts(self, only: Collection[str] = ()) -> dict[str, BotConfig]:
        """Return the bots by lower-case account id, those without mistakes.

        An account's settings are its own, else the channel's, else the defaults. It is on only if channel
        and account are. The channel's token serves an account only where there is no other account.

        Args:
            only: ids of the accounts to look at, in any case; none for all.
        """
        listed = self._raw.get("accounts", {})
        if not self._findings.is_object(listed, _ACCOUNTS_PATH):
            return {}
        wanted = {each.lower() for each in only}
        found = []
        for account_id, block in self._blocks(listed or {_ONLY_ACCOUNT: {}}, wanted).items():
            path = _account_path(account_id) if listed else CHANNEL_PATH
            found.append(self._bot(account_id, path, block, single=len(listed) <= 1))
        if not wanted:
            self._point_out_spare_token(listed)
        bots = {bot.account_id: bot for bot in found if bot is not None}
        for off in (bot for bot in bots.values() if wanted and not bot.enabled):
            self._findings.problem("", switched_off(off))
        self._refuse_shared_tokens(bots)
        return bots

    def _blocks(self, listed: Block, wanted: Collection[str]) -> dict[str, Block]:
        """Return the wanted accounts by their ids as written; all where none is named."""
        known = {str(key).lower() for key in listed}
        for missing in (each for each in wanted if each not in known):
            self._findings.problem(
                "", f"there is no account {missing!r}; known: {', '.join(map(str, listed))}"
            )
        seen: dict[str, str] = {}
        blocks = {}
        for key, block in listed.items():
            account_id, path = str(key), join(_ACCOUNTS_PATH, key)
            if wanted and account_id.lower() not in wanted:
                continue
            other = seen.setdefault(account_id.lower(), account_id)
            if not is_account_id(account_id):
                text = "account ids are at most 64 letters, digits, _ and -, no - first, no token"
                self._findings.problem(path, text)
            elif other != account_id:
                text = f'differs from "{other}" only in case; the two would be one account'
                self._findings.problem(path, text)
            elif self._findings.is_object(block, path):
                blocks[account_id] = block
        return blocks

    def _point_out_spare_token(self, listed: Block) -> None:
        """Remark upon a token of the channel that no account uses."""
        tokens = [block.get("botToken") for block in listed.values() if isinstance(block, Mapping)]
        own = self._raw.get("botToken")
        if listed and own is not None and own not in tokens and tokens != [None]:
            name = _ONLY_ACCOUNT if _ONLY_ACCOUNT not in {str(key).lower() for key in listed} else "another"
            self._findings.warn(f"{CHANNEL_PATH}.botToken", _KEEP.format(f'"{name}"'))

    def _settings(self, raw: Block, path: str, *, on: bool) -> Block | None:
        block = {}
        for key, value in raw.items():
            if key in _WITHOUT_EFFECT:
                self._findings.warn(join(path, key), "known, but without effect here")
            elif key in self._read_apart and not (key == "accounts" and path != CHANNEL_PATH):
                continue
            elif on or not unset_in(value):
                plain = settled(value, join(path, key), self._findings)
                block[key] = self._prepared(key, plain, path)
        known = _WITHOUT_EFFECT | (_READ_APART if path == CHANNEL_PATH else {"botToken"})
        valid = self._findings.validate(BotSettings, block, path, known)
        return None if valid is None else block

    def _prepared(self, key: str, value: object, path: str) -> object:
        """Return a value as the model takes it: paths absolute, of commands what has an effect or looks like it.

        Texts that are a language and streaming that is a mode become objects that others can be merged with.
        """
        if key == "texts" and isinstance(value, str):
            return {"language": value}
        if key == "mediaRoots" and isinstance(value, list):
            return [self._around.path(text) if isinstance(text, str) and text else text for text in value]
        if key == "streaming":
            value = StreamingConfig.as_object(value)
        if key in {"commands", "streaming"} and isinstance(value, Mapping):
            idle = [name for name in value if _is_idle(key, str(name))]
            for name in idle:
                self._findings.warn(join(path, key, name), "known, but without effect here")
            return {name: inner for name, inner in value.items() if name not in idle}
        return value

    def _bot(self, account_id: str, path: str, own: Block, *, single: bool) -> BotConfig | None:
        switches = ((CHANNEL_PATH, self._raw), (path, own))
        off = tuple(f"{place}.enabled" for place, block in switches if block.get("enabled") is False)
        common, settings = self._common, self._settings(own, path, on=not off)
        place = f"{path if 'botToken' in own else CHANNEL_PATH}.botToken"
        token = self._token(own, path, on=not off, single=single)
        if common is None or settings is None or token is None:
            return None
        merged = {**common, **settings}
        for key in ("guard", "texts", "commands", "rateLimit", "botLoopProtection", "streaming"):
            merged[key] = {**common.get(key, {}), **settings.get(key, {})}
        merged |= {
            "accountId": account_id.lower(),
            "enabled": not off,
            "disabledBy": off,
            "token": token.value,
            "tokenSource": token.source,
            "tokenProblem": sentence(place, token.problem) if token.problem else "",
        }
        bot = BotConfig.model_validate(merged, by_alias=True, by_name=False)
        if not off:
            for key, text in contradictions(bot):
                self._findings.problem(join(path, key), text)
            for key, text in nobody_left(bot):
                self._findings.warn(join(path, key), text)
        return bot

    def _token(self, own: Block, path: str, *, on: bool, single: bool) -> FoundSecret | None:
        place, block = (path, own) if "botToken" in own else (CHANNEL_PATH, self._raw)
        if "botToken" not in block or (block is not own and not single):
            if not on:
                return _NO_TOKEN
            self._findings.problem(f"{path}.botToken", "missing" if single else f"missing: {_SERVES_NONE}")
            return None
        place = f"{place}.botToken"
        wanted = on and self._connecting
        token = read_secret(
            block["botToken"], place, self._around, self._findings, wanted=wanted, patient=True
        )
        if token is None:
            return None
        value = token.value.get_secret_value()
        if value.startswith(_USER_KEY_PREFIX):
            text = "is a user's API key (uk_…), not a bot's token: BotFather gives that, it begins with bf_"
            self._findings.problem(place, text)
            return None
        if value and not value.startswith(_BOT_PREFIXES):
            self._findings.warn(place, "begins with neither bf_ nor app_: an old bot's token, or none at all")
        return token

    def _refuse_shared_tokens(self, bots: Mapping[str, BotConfig]) -> None:
        owners: dict[tuple[str, str], str] = {}
        for account_id, bot in bots.items():
            token = bot.token.get_secret_value()
            if not bot.enabled or not token:
                continue
            other = owners.setdefault((bot.api_url, token), account_id)
            if other != account_id:
                text = f'the same token as account "{other}": two connections of one bot throw each other off'
                self._findings.problem(f"{_account_path(account_id)}.botToken", text)


def is_account_id(text: str) -> bool:
    """Return whether an account may have this id; a token put in its place may not be shown as one."""
    return _ACCOUNT_ID.fullmatch(text) is not None and not is_token(text)


def _is_idle(key: str, name: str) -> bool:
    """Return whether a key of OpenClaw's in one of its blocks has no effect here."""
    if key == "streaming":
        return name in _IDLE_STREAMING
    return not get_close_matches(name.lower(), ["allowfrom", "approvers"])


def switched_off(bot: BotConfig) -> str:
    """Return the sentence about an account that somebody asked for and that is off."""
    return (
        f'account "{bot.account_id}" is off: {" and ".join(bot.disabled_by) or "its enabled switch"} is false'
    )


def _account_path(account_id: str) -> str:
    return join(_ACCOUNTS_PATH, account_id)
