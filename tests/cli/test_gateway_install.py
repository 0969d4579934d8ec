"""`openclaw-octo gateway install` and `uninstall`: files in a gateway's folder, lines in its openclaw.json."""

import asyncio
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.doctor.host import check_host
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.host.plugin.files import PLUGIN, folder_in
from tests.cli.asking import call
from tests.programs import write

BOTS = {"accounts": {"helper": {"botToken": "bf_0123456789abcdef"}, "off": {"enabled": False}}}
WITHOUT = {"gateway": {"port": 4711}, "plugins": {"allow": ["memory-core"], "load": {"paths": []}}}
OTHER = {"id": "octo", "channels": ["octo"], "configSchema": {}}


class Machine:
    """A home folder with a gateway's file and the bots' own."""

    def __init__(self, folder: Path) -> None:
        self.openclaw = folder / ".openclaw" / "openclaw.json"
        self.openclaw.parent.mkdir()
        self.state = folder / "state"
        host = {"kind": "gateway", "stateDir": str(self.state), "openclawConfig": str(self.openclaw)}
        self.config = write(folder, {"channels": {"octo": BOTS}, "host": host})
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.plugin = folder_in(self.openclaw.parent)
        self.gateway_has(WITHOUT)

    def gateway_has(self, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content, indent=4)
        self.openclaw.write_text(text)

    @property
    def content(self) -> Any:
        return json.loads(self.openclaw.read_text())

    def has_program(self, script: str) -> None:
        program = self.programs / "openclaw"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, *words: str, code: int = 0) -> Result:
        path = f"{self.programs}:/usr/bin:/bin"
        env = {"PATH": path, "HOME": str(self.openclaw.parents[1]), "OPENCLAW_STATE_DIR": None}
        return call("gateway", *words, "--config", self.config, code=code, env=env)

    def told(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_installed_plugin_has_the_packages_version_and_its_lines_are_shown_and_not_written(
    machine: Machine,
) -> None:
    before = machine.openclaw.read_bytes()
    result = machine.run("install")
    assert machine.openclaw.read_bytes() == before
    manifest = json.loads((machine.plugin / "openclaw.plugin.json").read_text())
    assert (manifest["id"], manifest["version"]) == (PLUGIN, __version__)
    assert json.loads((machine.plugin / "package.json").read_text())["version"] == __version__
    shown = json.loads(result.stdout[result.stdout.index("\n{") : result.stdout.index("\n}") + 2])
    assert shown["plugins"]["entries"][PLUGIN]["config"] == {
        "socket": str(machine.state / "control.sock"),
        "accounts": ["helper"],
    }
    assert "bf_0123456789abcdef" not in result.output


def test_written_lines_keep_what_else_the_file_says_and_a_second_time_changes_nothing(
    machine: Machine,
) -> None:
    machine.openclaw.chmod(0o640)
    before = machine.openclaw.read_text()
    told = machine.told("install", "--write")
    assert Path(told["backup"]).read_text() == before
    content = machine.content
    assert content["plugins"].pop("entries")[PLUGIN]["enabled"] is True
    assert content.pop("channels") == {"octo": {"enabled": True}}
    allow = ["memory-core", PLUGIN]
    assert content == WITHOUT | {"plugins": WITHOUT["plugins"] | {"allow": allow}}  # type: ignore[operator]  # objects
    assert stat.S_IMODE(machine.openclaw.stat().st_mode) == 0o640
    assert '\n    "gateway"' in machine.openclaw.read_text()
    again = machine.told("install", "--write")
    assert (again["changed"], again["to_do"], again["backup"]) == (False, False, None)


def test_what_is_written_is_this_users_alone_until_it_has_the_owner_and_mode_of_the_file(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.openclaw.chmod(0o640)
    modes, chown = [], os.chown

    def seen(path: Path, uid: int, gid: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        chown(path, uid, gid)

    monkeypatch.setattr(os, "chown", seen)
    backup = machine.told("install", "--write")["backup"]
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE(Path(backup).stat().st_mode) == 0o640


def test_the_folders_agents_send_files_from_are_named_until_the_bots_may_use_them(machine: Machine) -> None:
    agents = {
        "defaults": {"workspace": "/srv/work"},
        "list": [{"id": "main"}, {"id": "b", "workspace": "/srv/b"}],
    }
    machine.gateway_has(WITHOUT | {"agents": agents})
    folders = [str(machine.openclaw.parent / "media" / "outbound"), "/srv/work", "/srv/b"]
    assert machine.told("install")["media_roots"] == folders
    config = json.loads(machine.config.read_text())
    config["channels"]["octo"]["mediaRoots"] = folders[:2]
    machine.config.write_text(json.dumps(config))
    assert '{"mediaRoots": ["/srv/b"]}' in machine.run("install").stdout


def test_the_folders_of_agents_are_found_as_the_gateway_finds_them(machine: Machine) -> None:
    folder = machine.openclaw.parent
    (folder / "agents.json5").write_text(
        json.dumps({"list": [{"id": "a", "workspace": "${WORK}/a"}, {"id": "B"}]})
    )
    (folder / ".env").write_text("WORK=/srv\n")
    machine.gateway_has(WITHOUT | {"agents": {"$include": "./agents.json5"}})
    found = machine.told("install", "--write")["media_roots"]
    assert found == [str(folder / name) for name in ("media/outbound", "workspace", "/srv/a", "workspace-b")]


def test_lines_that_were_put_into_an_included_file_count(machine: Machine) -> None:
    kept = machine.openclaw.parent / "plugins.json"
    kept.write_text("{}")
    machine.gateway_has({"plugins": {"$include": "./plugins.json"}})
    assert "or into the files that plugins includes" in machine.run("install").stdout
    told = machine.told("install")
    assert told["to_do"]
    kept.write_text(json.dumps(told["lines"]["plugins"]))
    machine.gateway_has({"plugins": {"$include": "./plugins.json"}, "channels": told["lines"]["channels"]})
    assert not machine.told("install", "--write")["to_do"]
    for words in ([], ["--write"]):
        assert "take the lines out by hand" in machine.run("uninstall", *words, code=2).stderr
    assert machine.plugin.is_dir()


def test_a_channel_that_the_gateway_has_off_is_switched_on(machine: Machine) -> None:
    machine.gateway_has(WITHOUT | {"channels": {"octo": {"enabled": False}}})
    machine.run("install", "--write")
    assert machine.content["channels"] == {"octo": {"enabled": True}}


def test_a_removed_plugin_leaves_the_file_as_it_was(machine: Machine) -> None:
    machine.run("install", "--write")
    assert machine.told("uninstall", "--write")["removed"]
    assert machine.content == WITHOUT
    assert not machine.plugin.exists()
    assert not machine.told("uninstall", "--write")["removed"]
    assert sorted(entry.name for entry in machine.openclaw.parent.iterdir()) == [
        "extensions",
        "openclaw.json",
        "openclaw.json.octo-backup",
        "openclaw.json.octo-backup.1",
    ]


def test_a_plugin_that_the_file_still_names_is_not_removed_from_under_it(machine: Machine) -> None:
    machine.run("install", "--write")
    assert "nothing was removed: --write takes the lines out first" in machine.run("uninstall", code=2).stderr
    assert machine.plugin.is_dir()


def test_another_version_is_replaced_and_named(machine: Machine) -> None:
    machine.run("install", "--write")
    manifest = machine.plugin / "openclaw.plugin.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "0.1.0"}))
    assert f"version {__version__}, before it 0.1.0" in machine.run("install").stdout
    assert json.loads(manifest.read_text())["version"] == __version__


def test_comments_are_lost_from_the_file_and_kept_beside_it(machine: Machine) -> None:
    commented = "{\n  // mine\n  gateway: {port: 4711},\n}\n"
    machine.gateway_has(commented)
    told = machine.told("install", "--write")
    assert told["comments_lost"]
    assert Path(told["backup"]).read_text() == commented
    assert machine.content["gateway"] == {"port": 4711}


def foreign_folder(machine: Machine) -> None:
    machine.plugin.mkdir(parents=True)
    (machine.plugin / "theirs.txt").write_text("mine")


def plugin_elsewhere(machine: Machine) -> None:
    folder = machine.openclaw.parent / "extensions" / "openclaw-channel-octo"
    folder.mkdir(parents=True)
    (folder / "openclaw.plugin.json").write_text(json.dumps(OTHER))
    machine.gateway_has({"plugins": {"entries": {"octo": {"enabled": True}}}})


def included(machine: Machine) -> None:
    (machine.openclaw.parent / "plugins.json").write_text("{}")
    machine.gateway_has({"plugins": {"entries": {"$include": "./plugins.json"}}})


def refusing(machine: Machine) -> None:
    machine.has_program('test "$1 $2" = "config validate" && echo "plugins.entries: wrong" && exit 1')


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (foreign_folder, "this is not what openclaw-octo gateway install wrote"),
        (plugin_elsewhere, "openclaw plugins disable octo"),
        (included, "plugins includes other files"),
        (refusing, "openclaw config validate does not take it: plugins.entries: wrong"),
        (lambda machine: machine.gateway_has("{"), "is not JSON"),
        (lambda machine: machine.gateway_has({"plugins": []}), "openclaw.json: plugins is no object"),
        (lambda machine: machine.gateway_has({"plugins": {"enabled": False}}), "plugins.enabled is false"),
        (
            lambda machine: machine.gateway_has({"channels": {"octo": {**BOTS, "enabled": False}}}),
            "channels.octo.enabled is false",
        ),
    ],
)
def test_what_is_in_the_way_is_told_and_the_file_stays(
    machine: Machine, prepare: Callable[[Machine], None], words: str
) -> None:
    prepare(machine)
    before = machine.openclaw.read_text()
    assert words in machine.run("install", "--write", code=2).stderr
    assert machine.openclaw.read_text() == before
    assert not list(machine.openclaw.parent.glob(".*"))


def test_the_gateways_program_judges_a_copy_beside_the_file(machine: Machine) -> None:
    seen = machine.programs / "seen"
    machine.has_program(
        f'echo "$OPENCLAW_CONFIG_PATH $OPENCLAW_STATE_DIR" > {seen}; cp "$OPENCLAW_CONFIG_PATH" {seen}.json'
    )
    machine.run("install", "--write")
    copy, folder = seen.read_text().split()
    assert (Path(copy).parent, Path(folder)) == (machine.openclaw.parent, machine.openclaw.parent)
    assert json.loads(Path(f"{seen}.json").read_text()) == machine.content
    assert not os.path.lexists(copy)


def test_a_gateway_that_keeps_the_bots_settings_keeps_the_plugin(machine: Machine) -> None:
    machine.run("install", "--write")
    machine.gateway_has(machine.content | {"channels": {"octo": BOTS}})
    assert "without a plugin the gateway does not start" in machine.run("uninstall", "--write", code=2).stderr
    assert machine.plugin.is_dir()


def test_nothing_that_somebody_else_wrote_is_removed(machine: Machine) -> None:
    foreign_folder(machine)
    machine.run("uninstall", code=2)
    assert (machine.plugin / "theirs.txt").read_text() == "mine"


def test_the_doctor_names_the_plugin_that_a_gateway_has_or_lacks(machine: Machine) -> None:
    def found() -> list[str]:
        host = load_config(machine.config, connecting=False).config
        told = asyncio.run(check_host(host, ask=False, more=""))
        return [finding.words for finding in told if finding.subject == "gateway's plugin"]

    assert "openclaw-octo gateway install" in found()[0]
    machine.run("install", "--write")
    assert found() == [f"the gateway has the plugin {PLUGIN}, version {__version__}"]


def changed(machine: Machine, **plugins: Any) -> None:
    content = machine.content
    machine.gateway_has(content | {"plugins": content["plugins"] | plugins})


def older(machine: Machine) -> None:
    manifest = machine.plugin / "openclaw.plugin.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "0.1.0"}))


def another_socket(machine: Machine) -> None:
    entry = {"enabled": True, "config": {"socket": "/elsewhere/control.sock"}}
    changed(machine, entries={PLUGIN: entry})


def second_plugin(machine: Machine) -> None:
    folder = machine.openclaw.parent / "extensions" / "openclaw-channel-octo"
    folder.mkdir(parents=True)
    (folder / "openclaw.plugin.json").write_text(json.dumps(OTHER))
    changed(machine, allow=["memory-core", PLUGIN, "octo"])


def channel_off(machine: Machine) -> None:
    machine.gateway_has(machine.content | {"channels": {"octo": {"enabled": False}}})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (older, f"the plugin in the gateway has version 0.1.0, these bots {__version__}"),
        (another_socket, "the gateway's plugin speaks to /elsewhere/control.sock, these bots listen at"),
        (lambda machine: changed(machine, allow=["memory-core"]), "plugins.allow does not name it"),
        (lambda machine: changed(machine, deny=[PLUGIN]), "plugins.deny names it"),
        (lambda machine: changed(machine, enabled=False), "plugins.enabled is false; set it to true"),
        (channel_off, "channels.octo.enabled is false; set it to true"),
        (lambda machine: changed(machine, entries={}), f"plugins.entries has no {PLUGIN}"),
        (second_plugin, "also loads the plugin octo for channel octo"),
        (lambda machine: None, ""),
    ],
)
def test_a_check_and_the_doctor_tell_what_keeps_the_plugin_from_working(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Machine], None], words: str
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.gateway.check.CONNECT_WITHIN_S", 0.05)
    machine.run("install", "--write")
    spoil(machine)
    told = machine.run("check", code=2).stderr
    settings = load_config(machine.config, connecting=False).config
    found = [
        finding.words for finding in asyncio.run(check_host(settings, ask=False, more="")) if finding.level
    ]
    if words:
        assert words in told
        assert any(words in each for each in found)
    else:
        assert "plugin" not in told
        assert len(found) == 1


def test_without_any_file_it_is_said_which_to_name(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "OPENCLAW_CONFIG_PATH": None, "OPENCLAW_STATE_DIR": None}
    told = call("gateway", "install", code=2, env=env).stderr
    assert f"{tmp_path}/.openclaw/openclaw.json" in told
    assert "--config octo.json" in told
    assert (
        f"{tmp_path}/.openclaw/openclaw.json: cannot be read"
        in call("gateway", "uninstall", code=2, env=env).stderr
    )


def test_bots_that_are_configured_in_the_gateways_own_file_need_no_other(machine: Machine) -> None:
    machine.gateway_has(WITHOUT | {"channels": {"octo": BOTS}})
    env = {
        "HOME": str(machine.openclaw.parents[1]),
        "XDG_STATE_HOME": str(machine.state),
        "PATH": "/usr/bin:/bin",
    }
    told = json.loads(call("gateway", "install", "--write", "--json", env=env).stdout)
    assert told["socket"] == str(machine.state / "openclaw-octo" / "control.sock")
    assert machine.content["channels"] == {"octo": BOTS}


def test_a_check_that_knows_no_file_of_the_gateway_says_so(machine: Machine) -> None:
    config = json.loads(machine.config.read_text())
    del config["host"]["openclawConfig"]
    machine.config.write_text(json.dumps(config))
    next_step = machine.run("install", "--write").stdout.splitlines()[-1]
    assert next_step.endswith(f"--config {machine.config} --openclaw {machine.openclaw}")
    settings = load_config(machine.config, connecting=False).config
    found = [finding.words for finding in asyncio.run(check_host(settings, ask=False, more=""))]
    assert any("name its file, --openclaw FILE" in each for each in found)
