"""Services as they are written down, read by systemd's own tools, and what is called to look after them."""

import asyncio
import json
import os
import plistlib
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from openclaw_channel_octo.cli.service.launchd import Launchd
from openclaw_channel_octo.cli.service.plan import Files, Place, Plan, claim_state, plan_for
from openclaw_channel_octo.cli.service.systemd import Systemd
from openclaw_channel_octo.errors import ConfigError
from tests.cli.asking import call
from tests.managers import listening_manager
from tests.programs import PROGRAM, stopped, up, write
from tests.runtime.rig import HELPER, TOKEN, Rig

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's tools")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives things to other users")
WEIRD = 'we ird%h $HOME ${HOME} "q" \\x \'ü'
ECHO = {"kind": "echo"}
PROGRAM_AGENT = {"kind": "command", "command": ["cat"]}


def config(folder: Path, agent: Any = ECHO, token: Any = TOKEN, **host: Any) -> Path:
    """Write the configuration of one bot, whose state lies in a folder beside it."""
    folder.mkdir(exist_ok=True)
    host = {"stateDir": "state", "agent": agent, **host}
    return write(folder, {"channels": {"octo": {"botToken": token}}, "host": host})


def plan(folder: Path, *, system: bool = False, agent: Any = ECHO, **files: Any) -> Plan:
    """Return the plan of a service that runs as this user."""
    run_as = pwd.getpwuid(os.geteuid()).pw_name if system else ""
    return plan_for(Place(system=system), Files(config=config(folder, agent), **files), (), run_as)


def analyzed(tmp_path: Path, text: str, *words: str) -> str:
    """Return what systemd's own tool says of a unit."""
    unit = tmp_path / "openclaw-octo.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", *words, str(unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        check=False,
    )
    return done.stdout + done.stderr


@analyze
@pytest.mark.parametrize("agent", [ECHO, PROGRAM_AGENT], ids=["endpoint", "program"])
@pytest.mark.parametrize("system", [True, False], ids=["machine", "user"])
def test_systemd_finds_nothing_wrong_with_a_unit_in_a_folder_of_any_name(
    tmp_path: Path, system: bool, agent: Any
) -> None:
    made = plan(tmp_path / WEIRD, system=system, agent=agent, variables=(tmp_path / WEIRD / "vars",))
    program = tmp_path / "we ird%h $HOME ü"
    program.symlink_to(shutil.which("true") or "")
    made = replace(made, command=(str(program), *made.command[1:]))
    verify = ("verify", "--man=no", *(() if system else ("--user",)))
    text = Systemd(made.place).text(made)
    assert analyzed(tmp_path, text, *verify) == ""
    assert "not executable" in analyzed(tmp_path, text.replace(" ü", " ö", 1), *verify)  # it does look


@analyze
@pytest.mark.parametrize(
    ("agent", "system", "most"), [(ECHO, True, 2.5), (PROGRAM_AGENT, True, 5.0), (ECHO, False, 6.5)]
)
def test_a_unit_gives_the_bots_no_more_of_the_machine_than_they_need(
    tmp_path: Path, agent: Any, system: bool, most: float
) -> None:
    made = plan(tmp_path, system=system, agent=agent)
    text = Systemd(made.place).text(made)
    if os.geteuid() == 0:
        text = text.replace("User=root", "User=daemon").replace("Group=0", "Group=daemon")
    found = re.search(
        r"exposure level .*: ([\d.]+)", analyzed(tmp_path, text, "security", "--offline=true", "--no-pager")
    )
    assert found
    assert float(found[1]) <= most


async def test_the_command_of_a_service_runs_with_the_variables_a_service_has(
    rig: Rig, tmp_path: Path
) -> None:
    made = plan_for(Place(), Files(config=write(tmp_path, rig.config())), ())
    with listening_manager(tmp_path / "notify") as heard:
        env = {"HOME": str(made.home), "PATH": made.path, "NOTIFY_SOCKET": heard.address}
        suite = ("XDG_RUNTIME_DIR", "PYTHONPATH")  # where its leases and, perhaps, this package are
        env |= {name: os.environ[name] for name in suite if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *made.command, cwd=made.folder, env=env, stdout=PIPE, stderr=PIPE
        )
        await up(rig.octo, process, HELPER)
        await heard.until("READY=1")
        await stopped(process)


def test_what_a_line_cannot_hold_is_refused_and_never_written(tmp_path: Path) -> None:
    for name, why in (
        ("new\nline", "cannot be printed"),
        ("bell\a", "cannot be printed"),
        ("slash\\", "its end"),
    ):
        made = plan(tmp_path / name)
        with pytest.raises(ConfigError, match=why):
            Systemd(made.place).text(made)


def test_a_program_that_systemd_would_not_start_is_refused(tmp_path: Path) -> None:
    made = plan(tmp_path)
    with pytest.raises(ConfigError, match="quotes"):
        Systemd(made.place).text(replace(made, command=("/it's/openclaw-octo", "run")))


def test_a_units_times_are_those_of_the_configuration(tmp_path: Path) -> None:
    file = config(tmp_path, drainSeconds=600)
    text = call("service", "install", "--print", "--user", "--config", file).stdout
    assert "\nTimeoutStopSec=630\n" in text
    assert "\nKillMode=mixed\n" in text


def test_a_state_folder_below_var_lib_is_made_by_systemd(tmp_path: Path) -> None:
    file = config(tmp_path, stateDir="/var/lib/octo/bots")
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = call("service", "install", "--print", "--system", "--run-as", user, "--config", file).stdout
    assert '\nStateDirectory="octo/bots"\n' in text
    assert "ReadWritePaths" not in text


def test_a_variable_of_this_terminal_is_missed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCTO_TERMINAL_TOKEN", TOKEN)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = config(tmp_path, token="${OCTO_TERMINAL_TOKEN}")
    result = call("service", "install", "--user", "--config", file, code=2)
    assert "OCTO_TERMINAL_TOKEN is not set" in result.stderr
    assert f"{tmp_path / '.env'} (chmod 600)" in result.stderr
    assert not (tmp_path / "config").exists()
    assert not (tmp_path / "state").exists()

    variables = tmp_path / "variables"
    variables.write_text(f"OCTO_TERMINAL_TOKEN={TOKEN}\n")
    install = ("service", "install", "--print", "--user", "--config", file)
    text = call(*install, "--env-file", variables).stdout
    assert f"\nEnvironmentFile={variables}\n" in text
    assert TOKEN not in text
    variables.write_bytes(b"\xff\xfe\xfa")
    assert "its variables are missing" in call(*install, "--env-file", variables, code=2).stderr


def test_what_a_service_could_not_run_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = write(tmp_path, {"channels": {"octo": {"botToken": TOKEN, "enabled": False}}})
    assert "nothing to run" in call("service", "install", "--print", "--user", "--config", off, code=2).stderr
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "openclaw_channel_octo.control.prometheus", raising=False)
    file = write(tmp_path, {**json.loads(config(tmp_path).read_text()), "metrics": {"listen": "127.0.0.1:0"}})
    install = ("service", "install", "--print", "--user", "--config", file)
    assert "openclaw-channel-octo[metrics]" in call(*install, code=2).stderr


def test_a_mistake_in_the_configuration_is_told_without_a_word_on_variables(tmp_path: Path) -> None:
    file, nowhere = config(tmp_path, drainSeconds=True), tmp_path / "nope.json"
    install = ("service", "install", "--user", "--config")
    assert call(*install, file, code=2).stderr == f"{file}: host.drainSeconds: must be a number\n"
    missing = call(*install, nowhere, code=2).stderr
    assert str(nowhere) in missing
    assert "No such file" in missing


def test_a_credential_is_named_in_the_unit_and_found_by_the_configuration(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    file = config(tmp_path, token={"source": "file", "id": "${CREDENTIALS_DIRECTORY}/bot"})
    install = ("service", "install", "--print", "--user", "--config", file)
    assert f"\nLoadCredential=bot:{secret}\n" in call(*install, "--credential", f"bot:{secret}").stdout
    assert "CREDENTIALS_DIRECTORY is not set" in call(*install, code=2).stderr
    assert "NAME:FILE" in call(*install, "--credential", str(secret), code=2).stderr


@as_root
def test_a_service_of_the_machine_is_somebodys_and_so_is_its_state_folder() -> None:
    daemon = pwd.getpwnam("daemon").pw_uid
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # those above a test's own are root's
        os.chown(folder, daemon, -1)
        file = config(Path(folder))
        files = Files(config=file)
        with pytest.raises(ConfigError, match="belongs to root"):
            plan_for(Place(system=True), files, ())
        with pytest.raises(ConfigError, match="cannot be read by daemon"):
            claim_state(plan_for(Place(system=True), files, (), "daemon"))
        os.chown(file, daemon, -1)
        made = plan_for(Place(system=True), files, ())
        claim_state(made)
        assert "\nUser=daemon\n" in Systemd(made.place).text(made)
        assert (Path(folder) / "state").stat().st_uid == daemon
        in_var_lib = replace(made, state_dir=Path("/var/lib/octo-not-made-here"))
        claim_state(in_var_lib)  # where only systemd may make it
        assert not in_var_lib.state_dir.exists()
    assert os.geteuid() == 0


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Put programs that note how they are called in the place of systemd's; return what reads the notes."""
    programs, notes = tmp_path / "programs", tmp_path / "notes"
    programs.mkdir()
    for name in ("systemctl", "journalctl"):
        file = programs / name
        file.write_text(f'#!/bin/sh\necho {name} "$@" >> {notes}\n[ ! -e {tmp_path}/fail-$2 ]\n')
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("sys.platform", "linux")

    def noted() -> list[str]:
        found = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return found

    return noted


def test_a_service_is_installed_looked_at_and_taken_away(
    tmp_path: Path, manager: Callable[[], list[str]]
) -> None:
    file = config(tmp_path)
    result = call("service", "install", "--user", "--config", file)
    unit = tmp_path / "config/systemd/user/openclaw-octo.service"
    assert result.stdout.startswith(f"written: {unit}\n")
    assert "loginctl enable-linger" in result.stdout
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert manager() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable openclaw-octo",
        "systemctl --user restart openclaw-octo",
    ]
    for words in (["status"], ["logs", "--lines", "7", "-f"]):
        subprocess.run([PROGRAM, "service", *words, "--user"], check=True)
    assert manager() == [
        "systemctl --user status --no-pager --full openclaw-octo",
        "journalctl --user-unit openclaw-octo --lines 7 --follow",
    ]
    call("service", "uninstall", "--user")
    assert manager() == ["systemctl --user disable --now openclaw-octo", "systemctl --user daemon-reload"]
    assert not unit.exists()
    assert (tmp_path / "state").exists()
    for words in (["uninstall"], ["status"], ["logs"]):
        assert "there is no service openclaw-octo" in call("service", *words, "--user", code=2).stderr


def test_where_a_service_does_not_start_it_is_said_how_to_see_why_and_what_to_call_then(
    tmp_path: Path, manager: Callable[[], list[str]]
) -> None:
    (tmp_path / "fail-restart").touch()
    install = ("service", "install", "--user", "--name", "octo.b", "--config", config(tmp_path))
    result = call(*install, code=1)
    assert "why: journalctl --user-unit octo.b --lines 20" in result.stderr
    assert "once that is right: systemctl --user restart octo.b" in result.stderr
    assert manager()
    assert "runs" not in call(*install, "--no-start").stdout
    assert manager() == []


def test_what_somebody_else_wrote_is_left_alone(tmp_path: Path, manager: Callable[[], list[str]]) -> None:
    unit = tmp_path / "config/systemd/user/openclaw-octo.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=openclaw-octo run\n")
    for words in (["install", "--config", config(tmp_path)], ["uninstall"]):
        result = call("service", *words, "--user", code=2)
        (line,) = result.stderr.splitlines()
        assert "choose another --name" in line
    assert "ExecStart=openclaw-octo run" in unit.read_text()
    assert manager() == []


@pytest.mark.parametrize("name", ["../evil", "a b", "", "-x"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    call("service", "install", "--print", "--name", name, "--config", config(tmp_path), code=2)


def test_launchd_gets_the_same_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(tmp_path / WEIRD)
    found = plistlib.loads(Launchd(made.place).text(made).encode())
    assert found["ProgramArguments"] == list(made.command)
    assert found["WorkingDirectory"] == str(tmp_path / WEIRD)
    assert found["ExitTimeOut"] == 60
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    log = tmp_path / "Library/Logs/openclaw-octo.log"
    written = plistlib.dumps({"StandardErrorPath": str(log)})
    monkeypatch.setenv("HOME", str(tmp_path))
    manager = Launchd(Place())
    manager.file.parent.mkdir(parents=True)
    manager.file.write_bytes(written)
    assert manager.logs(5, follow=True) == ("tail", "-n", "5", "-F", str(log))
    assert manager.starts()[-1] == ("launchctl", "bootstrap", f"gui/{os.getuid()}", str(manager.file))
    with_variables = replace(made, files=replace(made.files, variables=(tmp_path / "v",)))
    with pytest.raises(ConfigError, match=r"\.env"):
        Launchd(made.place).text(with_variables)
