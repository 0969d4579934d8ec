"""Metrics as Prometheus reads them, from the real program and from a channel in this process."""

import logging
import re
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from openclaw_channel_octo.cli.run.start import metrics_served, probes_served
from openclaw_channel_octo.config.load import parse_config
from openclaw_channel_octo.config.model import HealthConfig, MetricsConfig
from openclaw_channel_octo.control.health import Health
from openclaw_channel_octo.control.prometheus import PrometheusMeter
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.base import Accepted, Failed, Final
from openclaw_channel_octo.testing import HANG, ErrorAnswer, ScriptedHost
from tests.cli.asking import call
from tests.programs import write
from tests.runtime.rig import HELPER, TOKEN, Rig
from tests.until import until

SESSION = "agent:main:octo:group:g1"


@pytest.fixture
async def meter(fast_rig: Rig) -> PrometheusMeter:
    """Return what collects for a channel with one failed session, which is on the air."""
    made = PrometheusMeter()
    host = ScriptedHost(
        [Accepted("r"), Final("fine")],
        [Accepted("r"), Failed("failed", "boom")],
        [Accepted("r"), HANG, Final("at last")],
    )
    await fast_rig.start(fast_rig.config(), host, meter=made)
    made.watch(fast_rig.channel.status)
    return made


def samples(text: str) -> dict[str, float]:
    """Return every sample under its name with the labels that are not the account."""
    return {
        sample.name
        + "".join(f" {value}" for name, value in sample.labels.items() if name != "account"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_happened_is_counted_and_what_is_now_is_shown(
    fast_rig: Rig, meter: PrometheusMeter
) -> None:
    host = fast_rig.host
    assert isinstance(host, ScriptedHost)
    for text in ("one", "two"):
        message_id = await fast_rig.mention(text)
        await fast_rig.until_row(message_id, "answered" if text == "one" else "notified")
    await fast_rig.octo.say("ann", fast_rig.group, "chatter")
    await fast_rig.under_way("three")
    await fast_rig.mentioned("four", "queued")
    await fast_rig.octo.wait_for(lambda: samples(meter.text().decode())["octo_messages_total context"] >= 1)
    text = meter.text().decode()
    found = samples(text)
    host.release()

    assert found["octo_messages_total turn"] == 4
    assert found["octo_turns_total done"] == 1
    assert found["octo_turns_total failed"] == 1
    assert found["octo_announcements_total"] == 1
    assert found["octo_rest_calls_total register ok"] == 1
    assert found["octo_rest_calls_total sendMessage ok"] == 3  # an answer, a notice, an announcement
    assert found["octo_receive_to_reply_seconds_count"] == 2
    assert found["octo_receive_to_typing_seconds_count"] >= 2
    assert found["octo_receive_to_typing_seconds_sum"] > 0
    assert found["octo_connection_state online"] == 1
    assert found["octo_connection_state connecting"] == 0
    assert (found["octo_turns_running"], found["octo_lanes"], found["octo_lane_waiting"]) == (1, 1, 1)
    assert found["octo_journal_waiting"] == 0
    assert not [word for word in (TOKEN, "ann", "g1", "one", "boom", SESSION) if f'"{word}' in text]


async def test_a_failed_call_is_counted_by_its_error(fast_rig: Rig, meter: PrometheusMeter) -> None:
    fast_rig.octo.fail_next("typing", ErrorAnswer(status=500), times=None)
    await fast_rig.mentioned("hello")
    found = samples(meter.text().decode())
    assert found["octo_rest_calls_total typing Unavailable"] >= 1
    assert "octo_receive_to_typing_seconds_count" not in found


async def test_an_address_that_is_taken_costs_the_metrics_and_not_the_bots(
    fast_rig: Rig, meter: PrometheusMeter, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = MetricsConfig(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        health = Health(fast_rig.channel.status)
        async with (
            metrics_served(config, meter, fast_rig.channel.status, health),
            probes_served(HealthConfig(listen=config.listen), health),
        ):
            await fast_rig.mentioned("hello")
    assert "no metrics: 127.0.0.1:" in caplog.text
    assert "no readyz: 127.0.0.1:" in caplog.text


async def test_the_endpoint_answers_prometheus_and_nothing_else(
    fast_rig: Rig, meter: PrometheusMeter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        metrics_served(
            MetricsConfig(listen="127.0.0.1:0"),
            PrometheusMeter(),
            fast_rig.channel.status,
            Health(fast_rig.channel.status),
        ),
        aiohttp.ClientSession() as http,
    ):
        (where,) = re.findall(r"metrics at (\S+/)metrics", caplog.text)
        async with http.get(f"{where}metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert 'octo_connection_state{account="helper",state="online"} 1.0' in await answer.text()
        async with http.get(where) as answer:
            assert answer.status == 404


async def test_probes_tell_whether_the_loop_runs_and_whether_the_bots_work(
    fast_rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # probes do without the extra
    caplog.set_level(logging.INFO)
    await fast_rig.start(fast_rig.config())
    health = Health(fast_rig.channel.status)
    async with probes_served(HealthConfig(listen="127.0.0.1:0"), health), aiohttp.ClientSession() as http:
        (where,) = re.findall(r"readyz at (\S+/)readyz", caplog.text)

        async def asked(path: str) -> tuple[int, str]:
            async with http.get(f"{where}{path}") as answer:
                return answer.status, await answer.text()

        assert await asked("readyz") == (503, "starting\n")
        health.begun = True
        assert await asked("readyz") == (200, "ok\n")
        fast_rig.octo.kick(HELPER)
        await until(lambda: health.troubles, "a kick that is noticed")
        status, why = await asked("readyz")
        assert status == 503
        assert why.startswith("helper: kicked: ")
        assert await asked("healthz") == (200, "ok\n")
        assert (await asked("metrics"))[0] == 404


@pytest.mark.parametrize(
    "listen",
    [
        "9464",
        "localhost",
        ":9464",
        "127.0.0.1:http",
        "127.0.0.1:99999",
        "::1:9464",
        "a b:1",
        "a..b:1",
        9464,
        "",
    ],
)
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(tmp_path: Path, listen: Any) -> None:
    config = {"channels": {"octo": {"botToken": TOKEN}}, "metrics": {"listen": listen}}
    with pytest.raises(ConfigError, match=r"metrics\.listen"):
        parse_config(config, base=tmp_path)


def test_addresses_of_both_kinds_are_taken_and_shown(tmp_path: Path) -> None:
    found = MetricsConfig(listen="[::1]:9464")
    assert (found.host, found.port) == ("::1", 9464)
    config: dict[str, Any] = {
        "channels": {"octo": {"botToken": TOKEN}},
        "metrics": {"listen": "127.0.0.1:9464"},
    }
    assert parse_config(config, base=tmp_path).config.metrics == MetricsConfig(listen="127.0.0.1:9464")
    config["health"] = {"listen": "0.0.0.0:9465", "hosts": ["bots.internal"]}
    found_health = parse_config(config, base=tmp_path).config.health
    assert found_health == HealthConfig(listen="0.0.0.0:9465", hosts=("bots.internal",))
    with pytest.raises(ConfigError, match=r"metrics\.lisen"):
        parse_config({**config, "metrics": {"lisen": "127.0.0.1:9464"}}, base=tmp_path)


@pytest.mark.parametrize(
    ("library", "ours", "extra", "settings"),
    [
        (
            "prometheus_client",
            "openclaw_channel_octo.control.prometheus",
            "metrics",
            {"metrics": {"listen": "127.0.0.1:0"}},
        ),
        (
            "openai",
            "openclaw_channel_octo.host.embedded.openai_client",
            "openai",
            {"host": {"agent": {"kind": "openai", "baseUrl": "http://127.0.0.1:9/v1", "model": "m"}}},
        ),
        ("mcp.server.transport_security", "openclaw_channel_octo.control.mcp_http", "mcp", {"mcp": {}}),
    ],
)
def test_without_a_library_the_program_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, ours: str, extra: str, settings: Any
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    for name in (ours, "openclaw_channel_octo.host.embedded.openai"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    file = write(tmp_path, {"channels": {"octo": {"botToken": TOKEN}}, **settings})
    for command, exit_code in (
        (["run", "--config"], 2),
        (["doctor", "--config"], 2),
        (["config", "check"], 0),
    ):
        result = call(*command, file, code=exit_code)
        assert f"pip install 'openclaw-channel-octo[{extra}]'" in result.output
