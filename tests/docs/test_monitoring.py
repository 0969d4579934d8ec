"""Alert rules and dashboard ask for what there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml

from openclaw_channel_octo.control.prometheus import PrometheusMeter
from openclaw_channel_octo.runtime.channel import ChannelStatus
from openclaw_channel_octo.runtime.connection.supervisor import ConnectionStatus, LinkState
from openclaw_channel_octo.session.status import SKIPPED, Status

DOCS = Path(__file__).parents[2] / "docs"
VALUES = {"state": {*LinkState}, "status": {*Status, SKIPPED}, "outcome": {"ok"}, "account": {"helper"}}
"""What labels can be, where it is known."""


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    dashboard = json.loads((DOCS / "dashboard.json").read_text())
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])


def selectors(text: str) -> Iterator[promql_parser.VectorSelector]:
    """Yield what an expression reads, the dashboard's variables replaced."""
    filled = text.replace("$__rate_interval", "5m").replace("$account", "helper")
    left = [promql_parser.parse(filled)]
    while left:
        part = left.pop()
        if isinstance(part, promql_parser.VectorSelector):
            yield part
        names = ("expr", "lhs", "rhs", "vector_selector", "param")
        left += [inner for name in names if (inner := getattr(part, name, None)) is not None]
        left += list(getattr(part, "args", None) or ())


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Return the labels of every metric there is, by the names that expressions use."""
    meter = PrometheusMeter()
    online = ConnectionStatus(state=LinkState.ONLINE, since_ms=0, why="")
    status = ChannelStatus(bots={"helper": online}, turns={}, lanes={}, failing={}, trouble="")
    meter.watch(lambda: status)
    meter.count("messages", account="helper", decision="turn")
    meter.count("turns", account="helper", status="done")
    meter.count("announcements", account="helper")
    meter.count("rest_calls", account="helper", call="typing", outcome="ok")
    for name in ("receive_to_typing", "receive_to_reply"):
        meter.observe(name, 1.0, account="helper")
    found = re.findall(r"^(\w+)(?:\{(.*)\})? ", meter.text().decode(), re.MULTILINE)
    return {name: set(re.findall(r'(\w+)="', labels)) for name, labels in found} | {"up": {"job", "instance"}}


@pytest.mark.parametrize("text", [*expressions()])
def test_an_expression_reads_metrics_that_there_are_with_labels_they_have(
    text: str, samples: dict[str, set[str]]
) -> None:
    read = list(selectors(text))
    assert read
    for selector in read:
        assert selector.name in samples, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in samples[selector.name], matcher.name
            values = matcher.value.split("|")
            assert set(values) <= VALUES.get(matcher.name, set(values)), matcher.value
    by = {name for found in re.findall(r"by \((.*?)\)", text) for name in re.split(r",\s*", found)}
    assert by <= set.union(*(samples[str(selector.name)] for selector in read))


def test_every_metric_is_on_the_dashboard(samples: dict[str, set[str]]) -> None:
    text = (DOCS / "dashboard.json").read_text()
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in samples} - {"up"}
    assert {name for name in families if name not in text} == set()


def test_the_rules_for_prometheus_have_the_form_it_reads() -> None:
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
