"""Mistakes and remarks gathered while a configuration is read, none of them holding a value from it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.model import BotSettings, EmbeddedHostConfig, GuardConfig, Texts

__all__ = ["Findings", "is_token", "join", "sentence"]

_TOKEN = re.compile(r"(?:bf|app|uk)_[0-9a-f]{16,}", re.IGNORECASE)
_LONGEST_KEY = 60

Model = TypeVar("Model", bound=FrozenModel)


def is_token(text: str) -> bool:
    """Return whether ``text`` holds something shaped like a token or user key (octo-bot-api §1.2)."""
    return _TOKEN.search(text) is not None


def join(path: str, *keys: object) -> str:
    """Return the dotted path of ``keys`` below ``path``; keys that would confuse a reader are quoted."""
    parts = [path] if path else []
    for key in keys:
        text = str(key)[:_LONGEST_KEY]
        parts.append(text if re.fullmatch(r"[\w$-]+", text) else repr(text))
    return ".".join(parts)


class Findings:
    """Collects problems and warnings, each one line that begins with the path it is about.

    Args:
        patient: whether a secret that cannot be read now is no mistake: it is told in ``unread``.

    Files with secrets that other users can read are listed in ``open_files``.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.unread: list[str] = []
        self.open_files: list[Path] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.causes: list[str] = []
        self._excused: set[str] = set()

    def problem(self, path: str, text: str) -> None:
        """Record a mistake at ``path``, unless it follows from another; the configuration cannot be used."""
        if not any(not up or path == up or path.startswith(f"{up}.") for up in self._excused):
            self.problems.append(sentence(path, text))

    def unreadable(self, path: str, text: str) -> None:
        """Record a secret that cannot be read now: a mistake, unless these findings are patient."""
        if self.patient:
            self.unread.append(sentence(path, text))
        else:
            self.problem(path, text)

    def open_file(self, path: str, file: Path) -> None:
        """Record that other users can read a file with secrets."""
        self.open_files.append(file)
        self.warn(path, f"other users can read {file}: chmod 600 it")

    def explain(self, path: str, text: str) -> None:
        """Record a mistake at ``path`` from which all others there and below follow."""
        self.problem(path, text)
        self.excuse(path)

    def excuse(self, path: str) -> None:
        """Record no further mistake at ``path`` and below: what was to stand there could not be read."""
        self._excused.add(path)

    def warn(self, path: str, text: str, *, cause: bool = False) -> None:
        """Record something at ``path`` the operator should know, but that stops nothing.

        Args:
            path: where it stands.
            text: what it is.
            cause: whether mistakes may follow from it: it is told with them as well.
        """
        self.warnings.append(sentence(path, text))
        if cause:
            self.causes.append(self.warnings[-1])

    def is_object(self, raw: object, path: str) -> TypeGuard[Mapping[str, Any]]:
        """Return whether ``raw`` is a JSON object, recording a mistake where it is not."""
        if isinstance(raw, Mapping):
            return True
        self.problem(path, "must be an object: { … }")
        return False

    def unknown(self, path: str, key: object, known: Iterable[str], also_known: Iterable[str] = ()) -> None:
        """Record an unknown ``key`` of the block at ``path``, with the nearest or all known ones."""
        hint = _hint(path, str(key)[:_LONGEST_KEY], sorted(known), also_known)
        self.problem(join(path, key), f"unknown key; {hint}")

    def validate(
        self, model: type[Model], raw: object, path: str, also_known: Iterable[str] = ()
    ) -> Model | None:
        """Return ``raw`` as ``model``, or ``None`` with every mistake recorded.

        Args:
            model: what the block at ``path`` has to be; keys are its camelCase aliases.
            raw: the block.
            path: where it stands in the file.
            also_known: keys of the block that are read elsewhere; good for a hint about a misspelt one.
        """
        try:
            return model.model_validate(raw, by_alias=True, by_name=False)
        except ValidationError as error:
            details = error.errors(include_input=False, include_url=False, include_context=True)
        for detail in details:
            *above, last = detail["loc"] or ("",)
            if detail["type"] == "extra_forbidden":
                block = _model_at(model, above)
                extra = () if above else also_known
                self.unknown(join(path, *above), last, _aliases(block), extra)
            else:
                context = detail.get("ctx", {})
                sentence = _SENTENCES.get(detail["type"], "is not valid").format(**context)
                self.problem(join(path, *detail["loc"]), sentence)
        return None

    def choose(
        self, kinds: Mapping[str, type[Model]], raw: object, path: str, *, by: str
    ) -> type[Model] | None:
        """Return the model that the key ``by`` of ``raw`` names, or ``None`` with a mistake recorded."""
        if not self.is_object(raw, path):
            return None
        kind = raw.get(by)
        if isinstance(kind, str) and kind in kinds:
            return kinds[kind]
        *most, last = (f'"{name}"' for name in kinds)
        what = "must be" if by in raw else "missing: give"
        self.problem(join(path, by), f"{what} {', '.join(most)} or {last}")
        return None


def sentence(path: str, text: str) -> str:
    """Return the line about something at ``path``; what looks like a token is hidden in it."""
    return _TOKEN.sub("[hidden]", f"{path}: {text}" if path else text)


def _aliases(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _model_at(model: type[BaseModel], keys: Iterable[object]) -> type[BaseModel]:
    inner: Any = model
    for key in keys:
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
            inner = next(field.annotation for field in inner.model_fields.values() if field.alias == key)
        else:
            inner = get_args(inner)[-1]  # what a mapping holds under any key
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _elsewhere() -> dict[str, str]:
    places: tuple[tuple[str, type[BaseModel]], ...] = (
        ("channels.octo.texts", Texts),
        ("channels.octo.guard", GuardConfig),
        ("host", EmbeddedHostConfig),
        ("channels.octo", BotSettings),
    )
    found = {_plain(alias): f"{path}.{alias}" for path, model in places for alias in _aliases(model)}
    return found | {
        "accounts": "channels.octo.accounts",
        "bottoken": "channels.octo.botToken",
        "octo": "channels.octo",
    }


def _hint(path: str, key: str, known: list[str], also_known: Iterable[str]) -> str:
    by_plain = {_plain(name): name for name in (*known, *also_known)}
    plain = _plain(key)
    if plain not in by_plain and (place := _elsewhere().get(plain)):
        if place == join(path, key):  # right but for the kind of the block
            return f"it goes with another kind; known here: {', '.join(known)}"
        return f"not here, but at {place}"
    if near := get_close_matches(plain, by_plain, n=1):
        return f"did you mean {by_plain[near[0]]}?"
    return f"known here: {', '.join(known)}"


_SENTENCES = {
    "value_error": "{error}",
    "missing": "missing",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "string_unicode": "must not hold half a character (one half of a surrogate pair)",
    "is_instance_of": "must be a path, as a string that is not empty",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list of strings",
    "dict_type": "must be an object: {{ … }}",
    "mapping_type": "must be an object: {{ … }}",
    "model_type": "must be an object: {{ … }}",
    "invalid_key": "keys must be strings",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}, spelt exactly so",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entry",
}
