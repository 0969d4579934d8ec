"""Secrets that the secret providers of a gateway's file keep."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import Loaded, load_config
from openclaw_channel_octo.errors import ConfigError
from tests.config.conftest import TOKEN, Parse, Problems

ANSWER = """
import json, os, sys
asked = json.load(sys.stdin)
print(json.dumps({"protocolVersion": 1, "values": {"a/b": asked["provider"] + "_" + os.environ.get("K", ""),
    "c": " ".join(sys.argv[1:]), "env": " ".join(sorted(set(os.environ) - {"LC_CTYPE"})).replace(" ", ","), "n": 5},
    "errors": {"bad": {"code": "NOT_FOUND"}}}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program that answers as providers do, and with files."""
    (tmp_path / "secrets.json").write_text(json.dumps({"x": {"a/b": [TOKEN]}, "number": 5}))
    (tmp_path / "single").write_text(f"{TOKEN}\n")
    for name, code in (("answer", ANSWER), ("plain", f"print({TOKEN!r})"), ("fails", "raise SystemExit(3)")):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable} -S\n{code}")
        program.chmod(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "answer")
    for file in ("secrets.json", "single"):
        (tmp_path / file).chmod(0o600)
    return tmp_path


def gateway(
    folder: Path, ref: Any, provider: Any, env: Mapping[str, str] | None = None, **secrets: Any
) -> Loaded:
    """Read a gateway's file whose token is ``ref``, kept by the provider ``p``."""
    content = {
        "gateway": {"auth": {"token": ref}},
        "secrets": {"providers": {"p": provider}, **secrets},
        "channels": {"octo": {"botToken": TOKEN}},
    }
    (folder / "openclaw.json").write_text(json.dumps(content))
    return load_config(None, openclaw=folder / "openclaw.json", env={"HOME": str(folder), **(env or {})})


def ref(source: str, secret: str, provider: str = "p") -> dict[str, str]:
    return {"source": source, "provider": provider, "id": secret}


def token(loaded: Loaded) -> str:
    assert loaded.config.host.kind == "gateway"
    assert loaded.config.host.token is not None
    return loaded.config.host.token.get_secret_value()


@pytest.mark.parametrize(
    ("asked", "provider", "meant"),
    [
        (ref("env", "K"), {"source": "env", "allowlist": ["K"]}, "k"),
        (ref("env", "K", "default"), None, "k"),
        (ref("file", "/x/a~1b/0"), {"source": "file", "path": "~/secrets.json"}, TOKEN),
        (ref("file", "value"), {"source": "file", "path": "~/single", "mode": "singleValue"}, TOKEN),
        (ref("exec", "a/b"), {"source": "exec", "command": "~/answer", "passEnv": ["K", "GONE"]}, "p_k"),
        (
            ref("exec", "a/b"),
            {"source": "exec", "command": "~/answer", "env": {"K": "${K}2"}, "new": 1},
            "p_k2",
        ),
        (
            ref("exec", "c"),
            {"source": "exec", "command": "~/answer", "args": ["-x"], "trustedDirs": ["~/"]},
            "-x",
        ),
        (ref("exec", "env"), {"source": "exec", "command": "~/answer", "passEnv": ["K"]}, "K"),
        (ref("exec", "value"), {"source": "exec", "command": "~/plain", "jsonOnly": False}, TOKEN),
        (
            {"source": "exec", "id": "a/b"},
            {"source": "exec", "command": "~/answer", "env": {"K": "k"}},
            "p_k",
        ),
    ],
)
def test_a_secret_is_fetched_from_the_provider_that_the_gateway_asks(
    folder: Path, asked: Any, provider: Any, meant: str
) -> None:
    assert token(gateway(folder, asked, provider, {"K": "k"}, defaults={"exec": "p"})) == meant


@pytest.mark.parametrize(
    ("asked", "provider", "problem"),
    [
        (
            ref("env", "K"),
            {"source": "env", "allowlist": []},
            'the allowlist of the secret provider "p" does not name K',
        ),
        (ref("env", "GONE"), {"source": "env"}, "the environment variable GONE is not set"),
        (ref("exec", "a", "q"), {}, 'the secret provider "q" is not in secrets.providers'),
        (ref("exec", "a"), {"source": "file"}, 'the secret provider "p" is of the kind file'),
        (ref("exec", "a"), {"source": "exec"}, 'the secret provider "p" is not configured rightly: command'),
        (ref("store", "A", "default"), {}, "the gateway's own secret store is not read"),
        (
            ref("exec", "a"),
            {"source": "exec", "pluginIntegration": {}},
            'the secret provider "p" is a plugin of',
        ),
        (
            ref("file", "/x"),
            {"source": "file", "path": "${GONE}"},
            'the secret provider "p" needs more: the env',
        ),
        (
            ref("file", "/x"),
            {"source": "file", "path": "~/gone"},
            'the file of the secret provider "p" cannot be read',
        ),
        (
            ref("file", "/x"),
            {"source": "file", "path": "~/single"},
            'the file of the secret provider "p" is not JSON',
        ),
        (
            ref("file", "/y/0"),
            {"source": "file", "path": "~/secrets.json"},
            'the secret provider "p" has no such secret',
        ),
        (
            ref("file", "/x/a~1b/1"),
            {"source": "file", "path": "~/secrets.json"},
            'the secret provider "p" has no such',
        ),
        (
            ref("file", "/number"),
            {"source": "file", "path": "~/secrets.json"},
            'the secret provider "p" has no such',
        ),
        (
            ref("file", "x"),
            {"source": "file", "path": "~/single", "mode": "singleValue"},
            'the secret provider "p" has one',
        ),
        (
            ref("file", "value"),
            {"source": "file", "path": "~/single", "maxBytes": 9},
            'the file of the secret provider "p" ca',
        ),
        (
            ref("exec", "bad"),
            {"source": "exec", "command": "~/answer"},
            'the program of the secret provider "p" gave no',
        ),
        (
            ref("exec", "n"),
            {"source": "exec", "command": "~/answer"},
            'the program of the secret provider "p" gave no',
        ),
        (
            ref("exec", "a"),
            {"source": "exec", "command": "~/plain"},
            'the program of the secret provider "p" printed no',
        ),
        (ref("exec", "a"), {"source": "exec", "command": "~/fails"}, "the program failed with exit code 3"),
        (
            ref("exec", "c"),
            {"source": "exec", "command": "~/answer", "maxOutputBytes": 9},
            "the program printed more",
        ),
        (
            ref("exec", "a"),
            {"source": "exec", "command": "~/gone"},
            'the program of the secret provider "p" is not there',
        ),
        (
            ref("exec", "a"),
            {"source": "exec", "command": "~/link"},
            'the program of the secret provider "p" must be a reg',
        ),
        (ref("exec", "a"), {"source": "exec", "command": "answer"}, 'the program of the secret provider "p"'),
        (
            ref("exec", "a"),
            {"source": "exec", "command": "~/answer", "trustedDirs": ["/usr"]},
            'the program of the secret provider "p" lies outside its trustedDirs',
        ),
    ],
)
def test_a_secret_that_a_provider_does_not_give_is_told_with_the_reason(
    folder: Path, asked: Any, provider: Any, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        gateway(folder, asked, provider, {"K": "k"})
    (found,) = caught.value.problems
    assert found.startswith(f"{folder}/openclaw.json: gateway.auth.token: {problem}")
    assert found.endswith("(OPENCLAW_GATEWAY_TOKEN would do instead)")
    assert TOKEN not in found


def test_a_program_that_others_can_write_is_not_run(folder: Path) -> None:
    (folder / "answer").chmod(0o720)
    with pytest.raises(ConfigError, match="must be this user's, and nobody else may write it"):
        gateway(folder, ref("exec", "a/b"), {"source": "exec", "command": "~/answer"})


def test_a_bots_token_may_be_kept_by_a_provider_wherever_the_bot_is_configured(folder: Path) -> None:
    openclaw = {"secrets": {"providers": {"p": {"source": "file", "path": "~/secrets.json"}}}}
    (folder / "openclaw.json").write_text(json.dumps(openclaw))
    octo = {"channels": {"octo": {"botToken": ref("file", "/x/a~1b/0")}}}
    (folder / "octo.json").write_text(json.dumps(octo))
    (folder / "secrets.json").chmod(0o644)
    loaded = load_config(folder / "octo.json", openclaw=folder / "openclaw.json", env={"HOME": str(folder)})
    bot = loaded.config.accounts["default"]
    assert (bot.token.get_secret_value(), bot.token_source) == (TOKEN, "secret provider p")
    assert loaded.warnings == (
        f"channels.octo.botToken: other users can read {folder}/secrets.json: chmod 600 it",
    )


def test_without_a_gateways_file_a_variable_is_read_all_the_same_and_nothing_else(
    parse: Parse, problems: Problems
) -> None:
    loaded = parse({"botToken": ref("env", "OCTO")}, env={"OCTO": TOKEN})
    assert loaded.config.accounts["default"].token.get_secret_value() == TOKEN
    (problem,) = problems({"botToken": ref("exec", "a")})
    assert problem.startswith("channels.octo.botToken: names a secret provider of a gateway: read")
