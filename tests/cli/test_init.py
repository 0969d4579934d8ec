"""`init`: from a server and a token to a file that runs, over the double."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from click.testing import CliRunner, Result

from openclaw_channel_octo.cli.app import main
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.testing import Hang
from tests.cli.asking import call, command
from tests.programs import PROGRAM, launched, stopped, up
from tests.runtime.rig import HELPER, OTHER_TOKEN, TOKEN, Rig
from tests.serving import serving
from tests.terminal import on_a_terminal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    return folder / "octo.json"


def written(file: Path) -> Any:
    return json.loads(file.read_text())


async def made(rig: Rig, file: Path, *options: object, code: int = 0, server: str = "") -> Result:
    """Carry out `init` for a script that has the token in a variable; nothing it prints holds it."""
    words = (
        "--yes",
        "--config",
        file,
        "--server",
        server or rig.octo.api_url,
        "--token-env",
        "GIVEN",
        *options,
    )
    result = await command("init", *words, code=code, env={"GIVEN": TOKEN})
    assert TOKEN not in result.output
    return result


async def test_what_a_script_makes_runs_and_answers(rig: Rig, file: Path) -> None:
    result = await made(rig, file)

    assert f"Next: openclaw-octo run --config {file}" in result.stdout
    assert TOKEN not in file.read_text()
    files = [file, *file.parent.glob("octo.secrets/*")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600, 0o600]
    assert not rig.calls("register")
    assert "fine, 1 account, 1 on" in call("config", "check", file).stdout
    process = await launched(file)
    await up(rig.octo, process, HELPER)
    await rig.mention("hello")
    assert await rig.until_said(1)
    await stopped(process)


async def test_a_person_is_asked_again_until_the_answers_work(rig: Rig, file: Path) -> None:
    async with on_a_terminal(PROGRAM, "init", cwd=file.parent) as terminal:
        await terminal.answer("Server's address:", "no address")
        await terminal.answer("Bot's token", "bf_wrong")
        await terminal.answer(
            "without user, query or fragment\nServer's address [no address]:", rig.octo.api_url
        )
        await terminal.answer("Bot's token", TOKEN)
        await terminal.answer("takes the token\nName for the bot in logs and commands [bot]:", "my desk")
        await terminal.answer("no - first\nName for the bot in logs and commands [bot]:", "desk")
        await terminal.answer("Which [1]:", "2")
        await terminal.answer("Command line:", "none-of-that-name --quiet")
        await terminal.answer("there is no such program\nCommand line:", "sed 's/^/heard: /'")
        await terminal.answer("Ask the agent for a word now? It may cost something [Y/n]:", "y")
        code = await terminal.ended()

    assert code == 0
    assert "agent's answer" in terminal.screen
    assert terminal.screen.endswith("Then mention the bot in a group it is in, or write to it.\n")
    assert TOKEN not in terminal.screen
    assert written(file)["host"]["agent"] == {
        "kind": "command",
        "command": ["sed", "s/^/heard: /"],
        "cwd": ".",
    }
    assert list(written(file)["channels"]["octo"]["accounts"]) == ["desk"]


@pytest.mark.parametrize(
    ("path", "found"), [("", ""), ("/api", "/api"), ("/", ""), ("/login", "/api"), ("/v1/bot", "/api")]
)
async def test_the_api_is_found_on_the_server(rig: Rig, file: Path, path: str, found: str) -> None:
    await made(rig, file, "--no-ask-agent", server=rig.octo.api_url + path)
    assert written(file)["channels"]["octo"]["apiUrl"] == rig.octo.api_url + found


async def test_a_prefix_of_the_proxy_is_found_although_it_was_left_out(rig: Rig, file: Path) -> None:
    """The server behind its proxy has the API at ``/api`` only, and a page everywhere else."""

    async def handle(request: web.Request) -> web.Response:
        if not request.path.startswith("/api/"):
            return web.Response(text="<html>the chat</html>", content_type="text/html")
        token = {name: value for name, value in request.headers.items() if name == "Authorization"}
        async with (
            ClientSession() as session,
            session.get(rig.octo.api_url + request.path, headers=token) as said,
        ):
            text = await said.text()
            return web.Response(text=text, status=said.status, content_type="application/json")

    async with serving("/{any:.*}", handle) as server:
        await made(rig, file, server=server)

    assert written(file)["channels"]["octo"]["apiUrl"] == f"{server}/api"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--server", "http://127.0.0.1:1"), "no answer: Connection refused at http://127.0.0.1:1"),
        (
            ("--server", "http://no-such-host.invalid"),
            "the server's name is not known here at http://no-such-host.invalid; check --server and the network",
        ),
        (
            ("--agent", "endpoint", "--base-url", "http://no-such-host.invalid/v1"),
            "http://no-such-host.invalid/v1 does not answer: the server's name is not known here",
        ),
        (("--server", "ftp://octo.example"), "an address is like https://octo.example.com/api"),
        (("--token-env", "WRONG"), "the bot token is refused"),
        (("--token-env", "USER_KEY"), "this is a user's API key (uk_…), which runs no bot"),
        (("--token-env", "TWO_WORDS"), "a token or key is one word of printable ASCII"),
        (("--token-env", "UNSET"), "the environment variable UNSET is not set"),
        (("--token-file", "none"), "none cannot be read: No such file or directory"),
        (("--account", "my desk"), "letters, digits, _ and -, no - first"),
        (("--account", TOKEN), "letters, digits, _ and -, no - first"),
        (("--base-url", "http://127.0.0.1:1/v1", "--model", "m"), "http://127.0.0.1:1/v1 does not answer"),
        (("--agent", "program"), "pass --command LINE"),
        (("--command", "none-of-that-name"), "none-of-that-name cannot be run: there is no such program"),
        (("--command", "sh -c 'open"), "that is no command line: No closing quotation"),
        (("--openclaw", "none.json"), "there is no file"),
    ],
)
@pytest.mark.usefixtures("unknown_names")
async def test_what_does_not_work_is_named_and_nothing_is_written(
    rig: Rig, file: Path, options: tuple[str, ...], words: str
) -> None:
    given = {"--server": rig.octo.api_url, **dict(zip(options[::2], options[1::2], strict=True))}
    if not given.keys() & {"--token-env", "--token-file"}:
        given["--token-env"] = "GIVEN"
    secrets = {
        "WRONG": "bf_" + "9" * 32,
        "USER_KEY": "uk_" + "9" * 32,
        "TWO_WORDS": "bf_99 bf_99",
        "GIVEN": TOKEN,
    }

    words_given = [word for pair in given.items() for word in pair]
    result = await command("init", "--yes", "--config", file, *words_given, code=2, env=secrets)

    assert words in result.stderr
    assert not any(secret in result.output for secret in secrets.values())
    assert list(file.parent.iterdir()) == []
    assert not rig.calls("register")


async def test_a_server_that_hangs_ends_it_in_time(
    rig: Rig, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openclaw_channel_octo.cli.setup.server.ANSWER_WITHIN_S", 0.2)
    rig.octo.fail_next("groups", Hang(), times=None)

    result = await made(rig, file, code=2)

    assert f"{rig.octo.api_url} does not answer within 0.2 s" in result.stderr
    assert list(file.parent.iterdir()) == []


async def test_without_a_check_nothing_is_asked(rig: Rig, file: Path) -> None:
    await made(rig, file, "--no-check", server="octo.invalid/api")
    assert written(file)["channels"]["octo"]["apiUrl"] == "https://octo.invalid/api"
    assert not rig.octo.calls


async def test_a_second_run_overwrites_nothing_and_asks_nothing(rig: Rig, file: Path) -> None:
    await made(rig, file)
    before = {each: each.read_bytes() for each in file.parent.rglob("*.*") if each.is_file()}

    result = await made(rig, file, code=2)

    advice = "name another with --config FILE, or add a bot to it with --add"
    assert result.stderr == f"nothing was written: {file} exists: {advice}\n"
    assert {each: each.read_bytes() for each in file.parent.rglob("*.*") if each.is_file()} == before


@pytest.mark.parametrize("where", ["none/octo.json", "file/octo.json"])
def test_a_folder_that_cannot_be_written_is_named_before_the_first_question(
    where: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = call("init", "--config", tmp_path / where, code=2)
    assert f"there is no folder {(tmp_path / where).parent}" in result.stderr


def test_a_read_only_folder_is_named_before_the_first_question(plain_user_folder: Path) -> None:
    plain_user_folder.chmod(0o500)
    result = call("init", "--config", plain_user_folder / "octo.json", code=2)
    assert f"this user cannot write into {plain_user_folder}" in result.stderr


async def test_a_disk_that_fails_in_the_middle_leaves_nothing(
    rig: Rig, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def failing(source: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise OSError(errno.ENOSPC, "No space left on device")
        link(source, target)

    monkeypatch.setattr(os, "link", failing)
    result = await made(rig, file, code=2)

    assert f"nothing was written: {file} cannot be written: No space left on device" in result.stderr
    assert list(file.parent.iterdir()) == []


def test_without_a_terminal_it_says_what_to_pass(file: Path) -> None:
    result = call("init", "--config", file, code=2)
    assert "pass --yes, --server URL, and --token-env NAME or --token-file FILE" in result.stderr


@pytest.mark.parametrize("question", ["Server's address", "Bot's token", "Name for the bot", "Which [1]:"])
async def test_ctrl_c_at_any_question_leaves_nothing(rig: Rig, file: Path, question: str) -> None:
    answers = {"Server's address": rig.octo.api_url, "Bot's token": TOKEN, "Name for the bot": ""}
    async with on_a_terminal(PROGRAM, "init", cwd=file.parent) as terminal:
        for asked, answer in answers.items():
            if asked == question:
                break
            await terminal.answer(asked, answer)
        await terminal.interrupt(question)
        code = await terminal.ended()

    assert code == 2
    assert terminal.screen.endswith("\nended: nothing was written\n")
    assert list(file.parent.iterdir()) == []


async def test_the_token_comes_from_a_file_or_standard_input(rig: Rig, file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(f"{TOKEN}\n")
    words = ("init", "--yes", "--no-check", "--server", rig.octo.api_url)
    call(*words, "--config", file, "--token-file", kept)
    result = CliRunner().invoke(
        main, [*words, "--config", str(file.with_name("b.json")), "--token-file", "-"], input=f"{TOKEN}\n"
    )

    assert result.exit_code == 0, result.output
    secrets = [file.parent / "octo.secrets" / "bot.token", file.parent / "b.secrets" / "bot.token"]
    assert [each.read_text() for each in secrets] == [f"{TOKEN}\n"] * 2


async def test_a_model_is_chosen_from_those_the_endpoint_has(rig: Rig, file: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer sk-right":
            return web.json_response({"error": {"message": "no"}}, status=401)
        if request.path != "/v1/models":
            return web.Response(status=404)
        return web.json_response({"data": [{"id": "large"}, {"id": "small"}]})

    words = (
        "init",
        "--no-ask-agent",
        "--server",
        rig.octo.api_url,
        "--token-env",
        "GIVEN",
        "--agent",
        "endpoint",
    )
    async with (
        serving("/{any:.*}", handle) as endpoint,
        on_a_terminal(PROGRAM, *words, cwd=file.parent, env={"GIVEN": TOKEN}) as terminal,
    ):
        await terminal.answer("Name for the bot", "")
        await terminal.answer("base URL", endpoint)
        await terminal.answer("API key", "sk-wrong")
        await terminal.answer("refuses the key (HTTP 401)\nAPI key", "sk-right")
        await terminal.answer(
            "it has 2 models\n   1  large\n   2  small\nModel, by its number or name [large]:", "2"
        )
        await terminal.ended()

    agent = written(file)["host"]["agent"]
    key = {"source": "file", "id": "octo.secrets/agent.key"}
    assert agent == {"kind": "openai", "baseUrl": f"{endpoint}/v1", "model": "small", "apiKey": key}
    assert (file.parent / "octo.secrets" / "agent.key").read_text() == "sk-right\n"
    assert "sk-right" not in terminal.screen + file.read_text()


async def test_a_bot_is_added_and_everything_else_kept(rig: Rig, file: Path) -> None:
    one = {"apiUrl": rig.octo.api_url, "botToken": TOKEN, "texts": "zh"}
    old = {"channels": {"octo": one}, "host": {"stateDir": "mine", "agent": {"kind": "echo"}}}
    file.write_text(json.dumps(old))
    words = ("init", "--add", "--yes", "--config", file, "--token-env", "GIVEN")

    result = await command(*words, env={"GIVEN": OTHER_TOKEN})

    assert written(file) == {
        "channels": {
            "octo": {
                "apiUrl": rig.octo.api_url,
                "texts": "zh",
                "accounts": {
                    "default": {"botToken": TOKEN},
                    "bot": {"botToken": {"source": "file", "id": "octo.secrets/bot.token"}},
                },
            }
        },
        "host": old["host"],
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "bot: server:" in result.stdout
    before = file.read_bytes()
    again = await command(*words, code=2, env={"GIVEN": OTHER_TOKEN})
    assert f"this is the bot bot, which {file} has already" in again.stderr
    assert (file.read_bytes(), len(list((file.parent / "octo.secrets").iterdir()))) == (before, 1)


async def test_a_bot_is_added_to_those_of_a_gateways_file(rig: Rig, file: Path) -> None:
    openclaw = file.with_name("openclaw.json")
    channel = {"apiUrl": rig.octo.api_url, "accounts": {"desk": {"botToken": TOKEN}}}
    openclaw.write_text(json.dumps({"gateway": {"port": 1}, "channels": {"octo": channel}}))
    file.write_text(json.dumps({"host": {"kind": "gateway", "openclawConfig": "openclaw.json"}}))

    words = ("init", "--add", "--yes", "--no-check", "--config", file, "--token-env", "GIVEN")
    await command(*words, env={"GIVEN": OTHER_TOKEN})

    bots = load_config(file, env={}).config.accounts
    assert {name: bot.token.get_secret_value() for name, bot in bots.items()} == {
        "desk": TOKEN,
        "bot": OTHER_TOKEN,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{channels: {}}", "is no plain JSON, and would lose its comments"),
        ("{}", "has to be right first: channels.octo: missing"),
        ('{"channels": {"octo": {"$include": "bots.json"}}}', "includes other files"),
    ],
)
def test_a_configuration_that_no_bot_can_be_added_to_stays_as_it_is(
    file: Path, content: str | None, words: str
) -> None:
    (file.parent / "bots.json").write_text(json.dumps({"botToken": TOKEN}))
    if content is not None:
        file.write_text(content)
    result = call(
        "init", "--add", "--yes", "--config", file, "--token-env", "GIVEN", code=2, env={"GIVEN": OTHER_TOKEN}
    )
    assert f"{file} {words}" in result.stderr
    assert content is None or file.read_text() == content


async def test_a_gateways_bot_runs_alone_with_its_gateway(
    rig: Rig, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openclaw = tmp_path / "openclaw.json"
    accounts = {
        "Desk": {"botToken": "${DESK}"},
        "other": {"botToken": OTHER_TOKEN},
        "off": {"enabled": False},
    }
    gateway = {"port": 1, "auth": {"mode": "token", "token": "gateway-token"}}
    openclaw.write_text(
        json.dumps(
            {"gateway": gateway, "channels": {"octo": {"apiUrl": rig.octo.api_url, "accounts": accounts}}}
        )
    )
    before = openclaw.read_bytes()
    words = ("init", "--yes", "--config", file, "--openclaw", openclaw)

    unclear = await command(*words, code=2, env={"DESK": TOKEN})
    assert "--account: which of Desk, other" in unclear.stderr
    result = await command(*words, "--account", "desk", code=1, env={"DESK": TOKEN})  # no gateway runs

    assert "✗ gateway" in result.stdout
    bots = load_config(file, env={}).config.accounts
    assert {name: bot.enabled for name, bot in bots.items()} == {"desk": True, "other": False, "off": False}
    assert bots["desk"].token.get_secret_value() == TOKEN
    assert written(file)["host"]["openclawConfig"] == str(openclaw)
    assert openclaw.read_bytes() == before


async def test_a_gateway_in_the_usual_place_and_its_bots_are_offered(rig: Rig, file: Path) -> None:
    openclaw = file.parent / ".openclaw" / "openclaw.json"
    openclaw.parent.mkdir()
    channel = {"apiUrl": rig.octo.api_url, "botToken": TOKEN}
    openclaw.write_text(json.dumps({"gateway": {"port": 1}, "channels": {"octo": channel}}))
    async with on_a_terminal(PROGRAM, "init", cwd=file.parent) as terminal:
        await terminal.answer("Which bot [1]:", "1")
        await terminal.answer("Which [1]:", "3")
        await terminal.answer(f"Gateway's file [{openclaw}]:", "")
        await terminal.ended()

    assert f"{openclaw} has bots of Octo:\n   1  default  its server and token" in terminal.screen
    assert f"the OpenClaw gateway of {openclaw}" in terminal.screen
    (bot,) = load_config(file, env={}).config.accounts.values()
    assert (bot.enabled, bot.api_url, bot.token.get_secret_value()) == (True, rig.octo.api_url, TOKEN)


@pytest.mark.parametrize(
    ("fails", "words"), [(0, "The bot runs as a service"), (1, "Next: openclaw-octo run")]
)
async def test_a_service_is_installed_where_somebody_wants_it(
    rig: Rig, file: Path, fails: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []

    def run(*command: str) -> int:
        called.append(command)
        return fails if command[0] == "service" else 0

    monkeypatch.setattr("openclaw_channel_octo.cli.setup.finish._run", run)

    result = await made(rig, file, "--service", code=fails)

    assert called[-1] == ("service", "install", "--config", str(file))
    assert words in result.stdout


async def test_ctrl_c_once_it_is_written_keeps_what_is_written(rig: Rig, file: Path) -> None:
    words = (
        "init",
        "--server",
        rig.octo.api_url,
        "--token-env",
        "GIVEN",
        "--account",
        "desk",
        "--command",
        "cat",
    )
    async with on_a_terminal(PROGRAM, *words, cwd=file.parent, env={"GIVEN": TOKEN}) as terminal:
        await terminal.interrupt("Ask the agent")
        code = await terminal.ended()

    assert code == 0
    assert "Next: openclaw-octo run --config octo.json" in terminal.screen
    assert "fine, 1 account" in call("config", "check", file).stdout
