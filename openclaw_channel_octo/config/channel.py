"""The ``channels.octo`` block: one resolved bot for each account (reference-behaviour §a.2)."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import SecretStr

from openclaw_channel_octo.config.access import contradictions, nobody_left
from openclaw_channel_octo.config.diagnostics import Findings, is_token, join
from openclaw_channel_octo.config.model import BotConfig, BotSettings
from openclaw_channel_octo.config.secrets import FoundSecret, SecretContext, read_secret

__all__ = ["CHANNEL_PATH", "ChannelReader"]

CHANNEL_PATH = "channels.octo"

_WITHOUT_EFFECT = frozenset(
    {
        "botUid",
        "cardDisplay",
        "cardInteraction",
        "cardProgress",
        "docTaskProgress",
        "docTasks",
        "docsApiUrl",
        "eventWaitSeconds",
        "heartbeatIntervalMs",
        "historyPromptTemplate",
        "onBehalfOf",
        "pollIntervalMs",
        "reasoningCardTemplateMode",
        "secretsFileRoot",
    }
)
_READ_APART = frozenset({"accounts", "botToken"})
_ONLY_ACCOUNT = "default"
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9_]+")
_BOT_PREFIXES = ("bf_", "app_")
_USER_KEY_PREFIX = "uk_"
_SERVES_NONE = "with several accounts each needs its own; the channel's serves none of them"
_NO_TOKEN = FoundSecret(value=SecretStr(""), source="")

Block = Mapping[str, Any]


class ChannelReader:
    """Reads the channel block into bots.

    Args:
        raw: the block.
        around: what it refers to.
        findings: takes every mistake and warning.
    """

    def __init__(self, raw: Block, around: SecretContext, findings: Findings) -> None:
        self._raw = raw
        self._around = around
        self._findings = findings
        self._common = self._settings(raw, CHANNEL_PATH)

    def accounts(self) -> dict[str, BotConfig]:
        """Return the bots by lower-case account id, those without mistakes.

        An account's settings are its own, else the channel's, else the defaults. It is on only if channel
        and account are. The channel's token serves an account only where there is no other account.
        """
        if "accounts" not in self._raw:
            found = [self._bot(_ONLY_ACCOUNT, CHANNEL_PATH, {}, single=True)]
        else:
            blocks = self._blocks(self._raw["accounts"])
            if len(blocks) > 1 and "botToken" in self._raw:
                self._findings.warn(f"{CHANNEL_PATH}.botToken", _SERVES_NONE)
            found = [
                self._bot(account_id, _account_path(account_id), block, single=len(blocks) == 1)
                for account_id, block in blocks.items()
            ]
        bots = {bot.account_id: bot for bot in found if bot is not None}
        self._refuse_shared_tokens(bots)
        return bots

    def _blocks(self, raw: object) -> dict[str, Block]:
        path = join(CHANNEL_PATH, "accounts")
        if not self._findings.is_object(raw, path):
            return {}
        if not raw:
            self._findings.problem(path, "is empty: add an account, or leave it out to have just one")
        seen: dict[str, str] = {}
        blocks = {}
        for key, block in raw.items():
            account_id = str(key)
            other = seen.setdefault(account_id.lower(), account_id)
            if not _ACCOUNT_ID.fullmatch(account_id) or is_token(account_id):
                self._findings.problem(
                    join(path, key), "account ids are letters, digits and _ only, no token"
                )
            elif other != account_id:
                text = f'differs from "{other}" only in case; the two would be one account'
                self._findings.problem(join(path, key), text)
            elif self._findings.is_object(block, join(path, key)):
                blocks[account_id] = block
        return blocks

    def _settings(self, raw: Block, path: str) -> Block | None:
        block = {}
        for key, value in raw.items():
            if key in _WITHOUT_EFFECT:
                self._findings.warn(join(path, key), "known, but without effect here")
            elif key not in _READ_APART or (key == "accounts" and path != CHANNEL_PATH):
                block[key] = self._prepared(key, value, path)
        known = _WITHOUT_EFFECT | (_READ_APART if path == CHANNEL_PATH else {"botToken"})
        valid = self._findings.validate(BotSettings, block, path, known)
        return None if valid is None else block

    def _prepared(self, key: str, value: object, path: str) -> object:
        """Return a value as the model takes it: paths absolute, of commands what has an effect or looks like it.

        Texts that are just a language become an object that others can be merged with.
        """
        if key == "texts" and isinstance(value, str):
            return {"language": value}
        if key == "mediaRoots" and isinstance(value, list):
            return [self._around.path(text) if isinstance(text, str) and text else text for text in value]
        if key == "commands" and isinstance(value, Mapping):
            idle = [name for name in value if not get_close_matches(str(name).lower(), ["allowfrom"])]
            for name in idle:
                self._findings.warn(join(path, key, name), "known, but without effect here")
            return {name: inner for name, inner in value.items() if name not in idle}
        return value

    def _bot(self, account_id: str, path: str, own: Block, *, single: bool) -> BotConfig | None:
        common, settings = self._common, self._settings(own, path)
        switches = ((CHANNEL_PATH, self._raw), (path, own))
        off = tuple(f"{place}.enabled" for place, block in switches if block.get("enabled") is False)
        token = self._token(own, path, on=not off, single=single)
        if common is None or settings is None or token is None:
            return None
        merged = {**common, **settings}
        for key in ("guard", "texts", "commands", "rateLimit", "botLoopProtection"):
            merged[key] = {**common.get(key, {}), **settings.get(key, {})}
        merged |= {
            "accountId": account_id.lower(),
            "enabled": not off,
            "disabledBy": off,
            "token": token.value,
            "tokenSource": token.source,
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
        token = read_secret(block["botToken"], place, self._around, self._findings, wanted=on)
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


def _account_path(account_id: str) -> str:
    return join(CHANNEL_PATH, "accounts", account_id)
