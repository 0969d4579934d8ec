"""Markdown from the models of the configuration and from the metrics."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families as families
from pydantic.alias_generators import to_camel

from openclaw_channel_octo.config.base import FrozenModel
from openclaw_channel_octo.config.model import BotSettings, OctoConfig, Texts
from openclaw_channel_octo.control.prometheus import PrometheusMeter
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState

__all__ = ["metrics", "settings"]

_WORDS = {"integer": "whole number", "array": "list", "boolean": "`true`, `false`", "string": "text"}
_BOUNDS = {
    "minimum": "at least {:,}",
    "exclusiveMinimum": "more than {:,}",
    "maximum": "at most {:,}",
    "maxLength": "at most {:,} characters",
    "minItems": "at least {} entry",
}
_ELSEWHERE = {"stateDir": "`$XDG_STATE_HOME/openclaw-octo`"}
"""Defaults that the environment gives."""


Block = tuple[str, type[FrozenModel]]
"""Where a block stands, and its model."""


def settings() -> str:
    """Return a table for each block of the file; of the texts docs/configuration.md tells the keys."""
    tables: dict[str, list[str]] = {}
    tops: list[Block] = [("channels.octo", BotSettings), *_below("", OctoConfig)]
    for top in tops:
        for place, each in [top, *_below(*top)]:
            tables.setdefault(place, [*_table(place, each)])
    return "\n".join(line for table in tables.values() for line in table)


def metrics() -> str:
    """Return a table of every metric with its type, its labels and its help, as Prometheus reads them."""
    meter = PrometheusMeter()
    bots = {"helper": ConnectionStatus(state=LinkState.ONLINE, since_ms=0, why="")}
    meter.watch(lambda: ChannelStatus(bots=bots, turns={}, lanes={}, failing={}, trouble=""))
    labels = dict(_labels(meter._registry))
    rows = []
    for family in families(meter.text().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        names = labels.get(family.name) or (family.samples[0].labels if family.samples else ())
        rows.append(f"| `{name}` | {family.type} | {', '.join(names) or '–'} | {family.documentation} |")
    kept = [row for row in rows if "_created`" not in row]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *kept, ""])


def _labels(registry: CollectorRegistry) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the labels of counters and histograms, which show none before something was counted."""
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            yield collector._name, collector._labelnames


def _below(path: str, model: type[FrozenModel]) -> Iterator[Block]:
    """Yield the blocks in a block."""
    for name, field in model.model_fields.items():
        found = [
            each for each in _classes(field.annotation) if issubclass(each, FrozenModel) and each is not Texts
        ]
        for each in found if name != "accounts" else []:
            place = f"{path.partition(' ')[0]}.{to_camel(name)}".lstrip(".")
            place += ".NUMBER" if "Mapping" in str(field.annotation) else ""
            kind = f" of kind {each.model_fields['kind'].default}" if "kind" in each.model_fields else ""
            yield f"{place}{kind}", each


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for each in get_args(annotation):
        yield from _classes(each)


def _table(place: str, model: type[FrozenModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    told = dict(_told(model))
    yield from (f"## {place}", "", "| key | takes | default | |", "|---|---|---|---|")
    for name in sorted(model.model_fields):
        key = to_camel(name)
        if found := schema["properties"].get(key):
            default = _default(key, found, required=key in schema.get("required", ()))
            yield f"| `{key}` | {_takes(found, schema)} | {default} | {told.get(name, '')} |"
    yield ""


def _told(model: type) -> Iterator[tuple[str, str]]:
    """Yield what the docstrings of a model, and of those it derives from, say of each attribute."""
    for each in reversed(model.__mro__):
        _, _, told = inspect.cleandoc(vars(each).get("__doc__") or "").partition("Attributes:\n")
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", told, re.MULTILINE):
            plain = " ".join(text.split()).replace("``", "`").replace("`None`", "`null`")
            plain = plain.replace("see `Texts`", "what people read, see [texts](configuration.md#texts)")
            plain = re.sub(r"see `[A-Z]\w+`", "see its own table", plain)
            plain = re.sub(r"`([a-z]+(?:_[a-z]+)+)`", lambda key: f"`{to_camel(key[1])}`", plain)
            yield name, plain


def _takes(found: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if reference := found.get("$ref"):
        return _takes(schema["$defs"][reference.rpartition("/")[2]], schema)
    if options := found.get("anyOf") or found.get("oneOf"):
        words = (_takes(each, schema) for each in options if each.get("type") != "null")
        return " or ".join(dict.fromkeys(words))
    if "const" in found or "enum" in found:
        return ", ".join(f"`{each}`" for each in found.get("enum", [found.get("const")]))
    kind = found.get("type", "anything")
    bounds = (text.format(found[bound]) for bound, text in _BOUNDS.items() if bound in found)
    return ", ".join([_WORDS.get(kind, kind), *bounds])


def _default(key: str, found: Mapping[str, Any], *, required: bool) -> str:
    value = found.get("default")
    if key in _ELSEWHERE or value in (None, "", [], {}):
        return _ELSEWHERE.get(key, "required" if required else "–")
    shown = ", ".join(value) if isinstance(value, list) else str(value).removesuffix(".0")
    return f"`{shown.lower() if isinstance(value, bool) else shown}`"
