import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config import secrets
from openclaw_channel_octo.config.load import Loaded
from tests.config.conftest import TOKEN, Parse, Problems


def token_of(loaded: Loaded) -> str:
    return loaded.config.accounts["default"].token.get_secret_value()


def source_of(loaded: Loaded) -> str:
    return loaded.config.accounts["default"].token_source


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_a_token_comes_from_the_environment_stripped(parse: Parse) -> None:
    loaded = parse({"botToken": {"source": "env", "id": "OCTO_TOKEN"}}, env={"OCTO_TOKEN": f" {TOKEN}\n"})
    assert token_of(loaded) == TOKEN
    assert source_of(loaded) == "environment variable OCTO_TOKEN"


def test_a_gateways_provider_name_beside_an_environment_reference_is_accepted(parse: Parse) -> None:
    ref = {"source": "env", "provider": "default", "id": "OCTO_TOKEN"}
    assert token_of(parse({"botToken": ref}, env={"OCTO_TOKEN": TOKEN})) == TOKEN


def test_an_unset_variable_is_named(problems: Problems) -> None:
    (problem,) = problems({"botToken": {"source": "env", "id": "OCTO_TOKEN"}})
    assert problem == "channels.octo.botToken: the environment variable OCTO_TOKEN is not set"


@pytest.mark.parametrize(
    "written",
    [
        "${OCTO_TOKEN",
        "${octo_token}",
        "${PLANTED:-bf_PLANTED}",
        "${ OCTO_TOKEN }",
        "$octo_token",
        "$(cat PLANTED)",
        "$env:OCTO_TOKEN",
        "%OCTO_TOKEN%",
        "{{ octo_token }}",
    ],
)
def test_what_looks_like_a_variable_and_is_none_is_no_secret(problems: Problems, written: str) -> None:
    (problem,) = problems({"botToken": written}, env={"OCTO_TOKEN": TOKEN})
    assert problem.startswith('channels.octo.botToken: looks like a variable: only "${NAME}" and "$NAME" are')
    assert "PLANTED" not in problem


def test_a_secret_may_be_the_name_of_a_variable_where_that_is_said(parse: Parse) -> None:
    assert token_of(parse({"botToken": "$${OCTO_TOKEN}"})) == "${OCTO_TOKEN}"
    assert token_of(parse({"botToken": "${OCTO}"}, env={"OCTO": "${octo}"})) == "${octo}"


def test_a_variable_name_that_cannot_be_one_is_refused_unseen(problems: Problems) -> None:
    (problem,) = problems({"botToken": {"source": "env", "id": "PLANTED-sk-value"}})
    assert problem.startswith("channels.octo.botToken.id: must be the name of an environment variable")
    assert "PLANTED" not in problem


def test_a_token_comes_from_the_whole_file_stripped(parse: Parse, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"\n{TOKEN}\n")
    file.chmod(0o600)
    for name in (str(file), "token"):
        loaded = parse({"botToken": {"source": "file", "id": name}})
        assert token_of(loaded) == TOKEN
        assert source_of(loaded) == f"file {file}"
        assert loaded.warnings == ()


def test_a_tilde_means_the_home_folder(parse: Parse, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    ref = {"source": "file", "id": "~/token"}
    assert token_of(parse({"botToken": ref}, env={"HOME": str(tmp_path)})) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_gives_a_warning(parse: Parse, tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    loaded = parse({"botToken": {"source": "file", "id": "token"}})
    assert loaded.warnings == (f"channels.octo.botToken: other users can read {file}: chmod 600 it",)


def test_a_missing_file_is_told_without_repeating_what_was_written(problems: Problems) -> None:
    (problem,) = problems({"botToken": {"source": "file", "id": "PLANTED"}})
    assert problem == (
        "channels.octo.botToken: the file named there cannot be read: No such file or directory"
    )


def test_only_small_regular_text_files_are_read(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "big").write_text("x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    os.mkfifo(tmp_path / "pipe")
    for name in ("big", "pipe", ".", "binary", "nul\0"):
        (problem,) = problems({"botToken": {"source": "file", "id": name}})
        assert problem.startswith("channels.octo.botToken: ")


def test_a_token_comes_from_a_programs_output_stripped(parse: Parse) -> None:
    for key in ("command", "id"):
        ref = {"source": "exec", key: python(f"print(' {TOKEN} ')")}
        loaded = parse({"botToken": ref})
        assert token_of(loaded) == TOKEN
        assert source_of(loaded) == f"program {Path(sys.executable).name}"


def test_a_program_without_arguments_may_be_a_string(parse: Parse, tmp_path: Path) -> None:
    script = tmp_path / "give token"
    script.write_text(f"#!/bin/sh\necho {TOKEN}\n")
    script.chmod(0o700)
    script = script.rename(tmp_path / "give-token")
    assert token_of(parse({"botToken": {"source": "exec", "id": str(script)}})) == TOKEN


def test_programs_see_no_shell(problems: Problems, tmp_path: Path) -> None:
    (problem,) = problems({"botToken": {"source": "exec", "id": f"touch {tmp_path}/PLANTED"}})
    assert problem == (
        "channels.octo.botToken: no shell is used: give program and arguments as a list of strings"
    )
    assert not (tmp_path / "PLANTED").exists()


def test_programs_are_only_named_where_they_are_not_to_be_run(parse: Parse, tmp_path: Path) -> None:
    ref = {"source": "exec", "command": ["touch", str(tmp_path / "trace")]}
    loaded = parse({"botToken": ref}, run_programs=False)
    assert token_of(loaded) == ""
    assert source_of(loaded) == "program touch"
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (python(f"import sys; print('{TOKEN}'); sys.exit('{TOKEN}')"), "the program failed with exit code 1"),
        (["/no/such/PLANTED"], "the program cannot be started: No such file or directory"),
        (["nul\0"], "the program's name or its output is no valid text"),
        (python("import os; os.write(1, b'\\xff')"), "the program's name or its output is no valid text"),
        (python("print()"), "is blank (from the program "),
        (python(f"print('{TOKEN}\\n{TOKEN}')"), "must be one word of printable ASCII (from the program "),
    ],
)
def test_a_program_that_gives_no_token_is_told_without_its_output(
    problems: Problems, command: list[str], problem: str
) -> None:
    (found,) = problems({"botToken": {"source": "exec", "command": command}})
    assert found.startswith(f"channels.octo.botToken: {problem}")
    assert "PLANTED" not in found


def test_a_program_that_does_not_end_is_stopped(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secrets._PROGRAM_LIMIT_S == 10
    monkeypatch.setattr(secrets, "_PROGRAM_LIMIT_S", 0.02)
    (problem,) = problems({"botToken": {"source": "exec", "command": ["sleep", "60"]}}, env=dict(os.environ))
    assert problem == "channels.octo.botToken: the program did not end within 0.02 s"


@pytest.mark.parametrize(
    ("ref", "problem"),
    [
        ("", ": is blank (from the configuration file)"),
        ("  \n", ": is blank (from the configuration file)"),
        (f"{TOKEN}\nx", ": must be one word of printable ASCII (from the configuration file)"),
        (f"{TOKEN}ü", ": must be one word of printable ASCII (from the configuration file)"),
        (None, ": must be a string or a reference"),
        (5, ": must be a string or a reference"),
        ([TOKEN], ": must be a string or a reference"),
        ({}, '.source: missing: give "env", "file" or "exec"'),
        ({"source": "Env", "id": "X"}, '.source: must be "env", "file" or "exec"'),
        ({"source": "store", "id": "X"}, '.source: must be "env", "file" or "exec"'),
        ({"source": ["env"], "id": "X"}, '.source: must be "env", "file" or "exec"'),
        ({"source": "env"}, ".id: missing"),
        ({"source": "env", "id": 5}, ".id: must be a string"),
        (
            {"source": "env", "id": "A", "name": "B"},
            ".name: unknown key; not here, but at channels.octo.name",
        ),
        ({"source": "file", "id": ""}, ".id: must not be empty"),
        (
            {"source": "file", "provider": "p", "id": "/x"},
            ": names a secret provider of a gateway: read the gateway's file as well",
        ),
        ({"source": "exec"}, ".command: missing"),
        ({"source": "exec", "command": []}, ".command: must have at least 1 entry"),
        ({"source": "exec", "command": "pass"}, ".command: must be a list of strings"),
        ({"source": "exec", "command": ["a", 5]}, ".command.1: must be a string"),
        ({"source": "exec", "id": ["a", ""]}, ".command.1: must not be empty"),
        ({"source": "exec", "id": "a", "command": ["b"]}, ".id: unknown key"),
        ({"source": "env", "id": "bf_" + "0a" * 16}, ": holds a token where a reference belongs"),
        ({"source": "file", "id": "uk_" + "0a" * 16}, ": holds a token where a reference belongs"),
    ],
)
def test_a_secret_that_cannot_be_one_is_refused_unseen(problems: Problems, ref: Any, problem: str) -> None:
    found = problems({"botToken": ref})
    assert found[0].startswith(f"channels.octo.botToken{problem}")
    assert "0a0a" not in json.dumps(found)


def test_a_blank_variable_is_a_mistake(problems: Problems) -> None:
    (problem,) = problems({"botToken": {"source": "env", "id": "OCTO_TOKEN"}}, env={"OCTO_TOKEN": " "})
    assert problem == "channels.octo.botToken: is blank (from the environment variable OCTO_TOKEN)"
