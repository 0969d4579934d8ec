"""``$include``: a configuration in several files."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.diagnostics import Findings
from openclaw_channel_octo.config.files import read_json, with_includes
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.errors import ConfigError
from tests.config.conftest import TOKEN

Written = Callable[[Mapping[str, Any]], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write files by their names, and return the first."""

    def write(files: Mapping[str, Any]) -> Path:
        for name, content in files.items():
            file = tmp_path / "config" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / "config" / next(iter(files))

    return write


def whole(
    file: Path, env: Mapping[str, str] | None = None, only: tuple[str, ...] = ()
) -> tuple[Any, list[str]]:
    findings = Findings()
    content = with_includes(read_json(file, findings), file, env or {}, findings, only)
    return content, findings.problems


@pytest.mark.parametrize(
    ("files", "meant"),
    [
        ({"main": {"a": {"$include": "a"}}, "a": {"x": 1}}, {"a": {"x": 1}}),
        ({"main": {"a": {"$include": "./sub/a"}}, "sub/a": {"$include": "b"}, "sub/b": [1]}, {"a": [1]}),
        ({"main": {"$include": "a", "k": {"y": 2}}, "a": {"k": {"x": 1, "y": 1}}}, {"k": {"x": 1, "y": 2}}),
        (
            {
                "main": {"$include": ["a", "b"]},
                "a": {"l": [1], "k": 1, "o": {"p": 1}},
                "b": {"l": [2], "k": 2, "o": 3},
            },
            {"l": [1, 2], "k": 2, "o": 3},
        ),
        ({"main": {"l": [{"$include": "a"}, {"$include": "a"}]}, "a": 1}, {"l": [1, 1]}),
        ({"main": {"$include": []}}, {}),
    ],
)
def test_what_is_included_stands_in_its_place(written: Written, files: Mapping[str, Any], meant: Any) -> None:
    assert whole(written(files)) == (meant, [])


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"main": {"a": {"$include": "gone"}}}, "gone cannot be read: No such file or directory"),
        (
            {"main": {"a": {"$include": "a"}}, "a": "{"},
            "a is not JSON (line 1, column 2), nor JSON5 (line 1, column 2)",
        ),
        ({"main": {"a": {"$include": "a"}}, "a": {"$include": "main"}}, "main includes itself"),
        ({"main": {"a": {"$include": "../x"}}}, "lies outside "),
        ({"main": {"a": {"$include": "/etc/passwd"}}}, "/etc/passwd lies outside "),
        ({"main": {"a": {"$include": 5}}}, "must be the name of a file, or a list of them"),
        ({"main": {"a": {"$include": ["b", 5]}}}, "must be the name of a file, or a list of them"),
        ({"main": {"a": {"$include": "nul\0"}}}, "names no file"),
        ({"main": {"a": {"$include": "x" * 5000}}}, "names no file"),
        ({"main": {"a": {"$include": "b", "k": 1}}, "b": [1]}, "brings no object"),
        (
            {"main": {"a": {"$include": "0"}}, **{str(n): {"$include": str(n + 1)} for n in range(11)}},
            "more than 10 files include one another",
        ),
    ],
)
def test_what_cannot_be_included_is_told_with_its_place(
    written: Written, files: Mapping[str, Any], problem: str
) -> None:
    _, problems = whole(written(files))
    assert len(problems) == 1
    assert problems[0].startswith("a.$include: ")
    assert problem in problems[0]


def test_a_link_leads_out_of_the_folder_only_into_folders_that_are_listed(
    written: Written, tmp_path: Path
) -> None:
    main = written({"main": {"a": {"$include": "link"}}})
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text('{"x": 1}')
    (main.parent / "link").symlink_to(tmp_path / "shared" / "file")
    content, problems = whole(main)
    assert content == {"a": {}}
    assert "lies outside" in problems[0]
    roots = os.pathsep.join(("relative", str(tmp_path / "shared")))
    assert whole(main, {"OPENCLAW_INCLUDE_ROOTS": roots}) == ({"a": {"x": 1}}, [])


def test_parts_that_nobody_asks_for_are_not_followed(written: Written) -> None:
    main = written(
        {"main": {"$include": "a", "b": {"$include": "gone"}}, "a": {"c": {"$include": "gone"}, "d": 1}}
    )
    assert whole(main, only=("d",)) == ({"d": 1}, [])


def test_both_files_may_consist_of_several_and_nothing_follows_from_one_that_is_missing(
    written: Written,
) -> None:
    files = {
        "octo.json": {"host": {"$include": "parts/host.json"}},
        "parts/host.json": {"stateDir": "state"},
        "openclaw.json": {
            "$include": "parts/gateway.json",
            "channels": {"octo": {"$include": "parts/bots.json"}},
        },
        "parts/gateway.json": {"gateway": {"port": 19007}, "tools": {"$include": "gone"}},
        "parts/bots.json": {"botToken": "${OCTO}"},
    }
    octo = written(files)
    env = {"HOME": str(octo.parent), "OCTO": TOKEN}
    config = load_config(octo, openclaw=octo.parent / "openclaw.json", env=env).config
    assert config.accounts["default"].token.get_secret_value() == TOKEN
    assert config.host.state_dir == octo.parent / "state"
    (octo.parent / "parts" / "bots.json").unlink()
    with pytest.raises(ConfigError) as caught:
        load_config(octo, openclaw=octo.parent / "openclaw.json", env=env)
    (problem,) = caught.value.problems
    place = octo.parent / "openclaw.json"
    assert problem.startswith(
        f"{place}: channels.octo.$include: {octo.parent}/parts/bots.json cannot be read"
    )


def test_nothing_follows_from_a_gateways_file_that_cannot_be_read_or_from_a_misspelt_place_of_the_bots(
    written: Written, tmp_path: Path
) -> None:
    octo = written({"octo.json": {"channel": {"octo": {"botToken": TOKEN}}}})
    with pytest.raises(ConfigError) as caught:
        load_config(octo, env={"HOME": str(tmp_path)})
    assert caught.value.problems == ("channel: unknown key; did you mean channels?",)
    octo.write_text("{}")
    with pytest.raises(ConfigError) as caught:
        load_config(octo, openclaw=tmp_path / "gone", env={"HOME": str(tmp_path)})
    (problem,) = caught.value.problems
    assert problem.startswith("host.openclawConfig: ")
