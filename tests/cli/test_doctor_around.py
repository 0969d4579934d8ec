"""The doctor away from the service, beside running bots, and while servers hang; and its repairs."""

import asyncio
import json
import os
import stat
from asyncio.subprocess import PIPE

import pytest

from openclaw_channel_octo.errors import HostError
from openclaw_channel_octo.host.files import claim_state_folder
from openclaw_channel_octo.testing.octo.faults import Hang
from tests.cli.asking import command, controlled
from tests.cli.examining import AGENT, KEY, NOBODY, examined
from tests.programs import PROGRAM, write
from tests.runtime.rig import OTHER_TOKEN, TOKEN, Rig

pytestmark = pytest.mark.usefixtures("quick", "unknown_names")

UNSET = "${UNSET_OCTO_TOKEN}"
NOT_SET = "channels.octo.accounts.helper.botToken: the environment variable UNSET_OCTO_TOKEN is not set"


async def test_without_a_token_everything_that_needs_none_is_looked_at(rig: Rig) -> None:
    config = rig.config(agent=AGENT, bots={"helper": UNSET})
    result = await examined(rig, config, code=2)

    assert result.stdout.splitlines()[0] == f"✗ helper: token: {NOT_SET}"
    for line in (
        f"✓ helper: server: {rig.octo.api_url} answers",
        "✓ agent: ",
        "✓ disk: ",
        "✓ journal: none yet",
    ):
        assert line in result.stdout
    assert not rig.calls("register")


async def test_where_the_bots_run_their_process_is_asked_instead_of_the_environment(rig: Rig) -> None:
    model = {
        "kind": "openai",
        "baseUrl": f"http://127.0.0.1:{NOBODY}/v1",
        "model": "m",
        "apiKey": "${UNSET_OCTO_KEY}",
    }
    await rig.start(rig.config(agent={**model, "apiKey": KEY}))
    async with controlled(rig):
        result = await examined(rig, rig.config(agent=model, bots={"helper": UNSET}))

    process = f"process {os.getpid()}"
    assert (
        f"- helper: token and login: not looked at: {NOT_SET} here; {process}, which runs the bot, has it"
        in result.stdout
    )
    assert (
        "- agent: not looked at: host.agent.apiKey: the environment variable UNSET_OCTO_KEY is not set"
        in result.stdout
    )
    assert f"✓ helper: connection: {process} is online with it" in result.stdout


async def test_beside_a_configuration_that_is_wrong_running_bots_are_asked(rig: Rig) -> None:
    config = rig.config(agent=AGENT, nonsense=True)
    await rig.start(rig.config(agent=AGENT))
    async with controlled(rig):
        running = await examined(rig, config, code=2)
    await rig.stop()
    stopped = await examined(rig, config, code=2)
    nowhere = await examined(rig, rig.config(agent=AGENT, host={"stateDir": 1}), code=2)

    assert running.stdout.startswith("✗ configuration: channels.octo.nonsense: unknown key")
    assert f"✓ helper: connection: process {os.getpid()} is online with it" in running.stdout
    assert f"✓ state folder: {rig.state_dir}, used by nobody now" in stopped.stdout
    for result in (running, stopped):
        assert (
            "- server, token and agent: not looked at: the configuration has to be right first"
            in result.stdout
        )
    assert "- state folder: not looked at: the configuration has to be right first" in nowhere.stdout


async def test_whoever_is_waited_for_is_named_meanwhile(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.look.PROGRESS_S", 0.05)
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.server.ANSWER_WITHIN_S", 0.5)
    rig.octo.fail_next("groups", Hang(), times=None)
    result = await examined(rig, rig.config(agent=AGENT), "--json", code=2)
    rig.octo.release()

    assert any(line.startswith("after 0 s still waiting for: ") for line in result.stderr.splitlines())
    assert any(line.endswith("still waiting for: helper") for line in result.stderr.splitlines())
    assert json.loads(result.stdout)["worst"] == "error"


async def test_a_part_that_does_not_end_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.doctor.look.PART_WITHIN_S", 0.5)
    rig.octo.fail_next("groups", Hang(), times=None)
    result = await examined(rig, rig.config(agent=AGENT), code=2)
    rig.octo.release()

    assert result.stdout.splitlines()[0].startswith("✗ helper: not looked at to its end within")
    assert "✓ agent: " in result.stdout


def opened(rig: Rig) -> list[str]:
    """Leave a failed session, and a folder and files that others can read; return what repairs them."""
    rig.write_session({"status": "failed", "sessionId": "s1"})
    secret, config = rig.state_dir.parent / "token", rig.state_dir.parent / "octo.json"
    secret.write_text(OTHER_TOKEN)
    config.touch()
    for path, mode in ((rig.state_dir, 0o755), (secret, 0o644), (config, 0o640)):
        path.chmod(mode)
    repair = f"openclaw-octo sessions repair --store {rig.state_dir}  (1 failed or stuck)"
    return [f"chmod 700 {rig.state_dir}", f"chmod 600 {config}", f"chmod 600 {secret}", repair]


def modes(rig: Rig) -> list[int]:
    paths = (rig.state_dir, rig.state_dir.parent / "token", rig.state_dir.parent / "octo.json")
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


@pytest.mark.parametrize("yes", [True, False], ids=["with --yes", "without a terminal to ask at"])
async def test_what_can_be_put_right_is_shown_and_done_only_with_a_yes(rig: Rig, yes: bool) -> None:
    todo, before = opened(rig), modes(rig)
    file_token = {"source": "file", "id": "token"}
    config = rig.config(agent=AGENT)
    config["channels"]["octo"]["accounts"] = {
        "helper": {"botToken": TOKEN},
        "other": {"botToken": file_token},
    }
    options = ("--fix", "--no-register", *(["--yes"] if yes else []))
    result = await examined(rig, config, *options, code=0 if yes else 1)

    told = result.stderr.splitlines()
    assert told[:5] == ["what can be put right from here:", *(f"  {words}" for words in todo)]
    if yes:
        assert told[5:] == [f"done: {words}" for words in todo]
        assert modes(rig) == [0o700, 0o600, 0o600]
        assert "status" not in rig.session()
        again = await examined(rig, config, *options)
        assert again.stderr == "nothing that can be put right from here\n"
    else:
        assert told[5:] == ["nothing was changed: --fix --yes does it"]
        assert modes(rig) == before
        assert rig.session()["status"] == "failed"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("broken", ['{"botToken": "%s"', '{"channels": {"octo": {"apiUrl": "%s"}}}'])
async def test_a_faulty_file_with_a_token_is_closed_as_well(rig: Rig, broken: str, encoding: str) -> None:
    file = rig.state_dir.parent / "octo.json"
    file.write_text(broken % TOKEN, encoding)
    file.chmod(0o644)
    told = await command("doctor", "--config", file, "--no-register", code=2)
    assert f"other users of this machine can read the token in {file}" in told.stdout
    told = await command("doctor", "--config", file, "--no-register", "--fix", "--yes", code=2)
    assert f"done: chmod 600 {file}\n" in told.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TOKEN not in told.output


async def test_a_state_folder_that_users_share_is_found_and_keeps_its_mode(rig: Rig) -> None:
    rig.state_dir.mkdir()
    rig.state_dir.chmod(0o1777)
    result = await examined(rig, rig.config(agent=AGENT), "--fix", "--yes", "--no-register", code=2)
    assert f"✗ state folder: users of this machine share {rig.state_dir}" in result.stdout
    with pytest.raises(HostError, match="users of this machine share it"):
        claim_state_folder(rig.state_dir)
    assert stat.S_IMODE(rig.state_dir.stat().st_mode) == 0o1777


@pytest.mark.parametrize(("answer", "last"), [("y", "done: "), ("n", "nothing was changed")])
async def test_at_a_terminal_it_asks(rig: Rig, answer: str, last: str) -> None:
    rig.state_dir.mkdir(mode=0o755)
    file = write(rig.state_dir.parent, rig.config(agent=AGENT))
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "doctor", "--fix", "--no-register", "--config", file),
        stdin=theirs,
        stdout=PIPE,
        stderr=PIPE,
    )
    _, told = await process.communicate()
    os.close(ours)
    os.close(theirs)

    assert f"Do it? [y/N]: {last}" in told.decode().replace("\n", "")
    assert stat.S_IMODE(rig.state_dir.stat().st_mode) == (0o700 if answer == "y" else 0o755)


async def test_a_file_that_a_service_reads_through_its_group_is_left_alone(rig: Rig) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to a group")
    config = rig.state_dir.parent / "octo.json"
    config.touch()
    os.chown(config, 0, 65_534)
    config.chmod(0o640)
    result = await examined(rig, rig.config(agent=AGENT), "--fix", "--yes", "--no-register", code=1)

    assert result.stderr == "nothing that can be put right from here\n"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
