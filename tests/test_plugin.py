"""The plugin as a host meets it: found by its entry point, complete in ten lines."""

import asyncio
import inspect
import re
import signal
import sys
from pathlib import Path

import click
import pluggy
import pytest

from openclaw_channel_octo import hookspecs, plugin
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.embedded.host import EmbeddedHost
from openclaw_channel_octo.runtime.channel import OctoChannel
from tests.programs import write
from tests.runtime.rig import HELPER, TOKEN, Rig

PLUGINS = Path(__file__).parents[1] / "docs" / "plugins.md"


@pytest.fixture
def plugins() -> pluggy.PluginManager:
    """A host's plugins, with this one among them."""
    found = pluggy.PluginManager("openclaw")
    found.add_hookspecs(hookspecs)
    found.register(plugin)
    return found


@pytest.fixture
def registry() -> hookspecs.ChannelRegistry:
    """A host's channels, with this plugin's among them."""
    found = hookspecs.ChannelRegistry()
    plugin.openclaw_register_channels(found)
    return found


def test_the_schema_has_every_kind_of_host_and_agent_and_only_what_can_be_written() -> None:
    schema = OctoChannel.config_schema()
    assert set(schema["properties"]["host"]["discriminator"]["mapping"]) == {"embedded", "gateway"}
    agent = schema["$defs"]["EmbeddedHostConfig"]["properties"]["agent"]
    assert set(agent["discriminator"]["mapping"]) == {"echo", "command", "openai"}
    gateway = schema["$defs"]["GatewayHostConfig"]["properties"]
    assert {"url", "token", "scopes", "openclawConfig"} <= gateway.keys()
    assert "routing" not in gateway  # resolved from the gateway's own file
    assert "guard" in schema["$defs"]["BotConfig"]["properties"]


def test_the_entry_point_brings_the_channel_and_the_commands() -> None:
    plugins = pluggy.PluginManager("openclaw")
    plugins.add_hookspecs(hookspecs)
    plugins.load_setuptools_entrypoints("openclaw")
    plugins.check_pending()
    registry = hookspecs.ChannelRegistry()
    plugins.hook.openclaw_register_channels(registry=registry)
    assert list(registry) == ["octo"]
    assert registry["octo"].label == "Octo"
    group = click.Group("host")
    plugins.hook.openclaw_register_commands(group=group)
    assert "octo" in group.commands


def test_two_plugins_with_the_same_channel_are_refused(registry: hookspecs.ChannelRegistry) -> None:
    with pytest.raises(ValueError, match="octo"):
        plugin.openclaw_register_channels(registry)


async def test_the_embedded_host_is_offered_only_where_the_configuration_asks_for_it(
    rig: Rig, plugins: pluggy.PluginManager
) -> None:
    assert plugins.hook.openclaw_agent_host(config={}) is None
    assert isinstance(plugins.hook.openclaw_agent_host(config=rig.config()), EmbeddedHost)


async def test_another_plugins_host_is_preferred_to_the_embedded_one(
    rig: Rig, plugins: pluggy.PluginManager
) -> None:
    class Mine:
        @hookspecs.hookimpl
        def openclaw_agent_host(self, config: object) -> str:
            return "mine"

    plugins.register(Mine())
    assert plugins.hook.openclaw_agent_host(config=rig.config()) == "mine"


async def test_a_created_channel_takes_the_hosts_whole_configuration(
    rig: Rig, registry: hookspecs.ChannelRegistry
) -> None:
    assert isinstance(registry["octo"].create(rig.config()), OctoChannel)


async def test_blocks_of_other_channels_and_keys_of_the_host_are_theirs_to_judge(
    rig: Rig, plugins: pluggy.PluginManager, registry: hookspecs.ChannelRegistry
) -> None:
    config = rig.config()
    config["channels"]["terminal"] = {"accounts": 7}
    config["plugins"] = {"entries": {}}
    assert isinstance(registry["octo"].create(config), OctoChannel)
    assert isinstance(plugins.hook.openclaw_agent_host(config=config), EmbeddedHost)
    without_octo = {"channels": {"terminal": {}}, "host": config["host"]}
    assert isinstance(plugins.hook.openclaw_agent_host(config=without_octo), EmbeddedHost)


@pytest.mark.parametrize("config", [{"channels": {"octo": {"nonsense": 1}}}, {"host": {"nonsense": 1}}])
def test_what_is_wrong_in_the_plugins_own_blocks_is_named(
    plugins: pluggy.PluginManager, registry: hookspecs.ChannelRegistry, config: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        registry["octo"].create({"host": {}, "channels": {}} | config)
    with pytest.raises(ConfigError, match="nonsense"):
        plugins.hook.openclaw_agent_host(config={"host": {}} | config)


@pytest.mark.parametrize(
    "spec", [value for name, value in vars(hookspecs).items() if name.startswith("openclaw_")]
)
def test_every_hook_explains_itself_and_each_of_its_arguments(spec: object) -> None:
    assert callable(spec)
    told = inspect.getdoc(spec) or ""
    assert len(told) > 80
    for argument in inspect.signature(spec).parameters:
        assert f"{argument}: " in told
    assert not inspect.iscoroutinefunction(spec)


def embedding_example() -> str:
    """Return the code of the section on hosts."""
    section = PLUGINS.read_text().partition("## A host of your own")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_example_has_no_more_than_ten_lines_in_its_main_function() -> None:
    body = embedding_example().partition("async def main() -> None:\n")[2].partition("\n\n")[0]
    assert 0 < len(body.strip().splitlines()) <= 10


async def test_the_ten_lines_of_a_host_answer_a_mention(rig: Rig, tmp_path: Path) -> None:
    write(tmp_path, rig.config())
    (tmp_path / "host.py").write_text(embedding_example())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "host.py", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    try:
        await rig.octo.wait_for(lambda: rig.octo.online(HELPER), timeout=60)
        await rig.mention("hello")
        assert await rig.until_said(1) == ["@Helper hello"]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert TOKEN.encode() not in errors
