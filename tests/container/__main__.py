"""``python -m tests.container`` (``make container``): what the image holds, without a container runtime.

The instructions of ``deploy/Dockerfile`` that copy and install are carried out in a folder; the program there runs as
another user, where root calls this, with a configuration and a package it cannot write to, and its health check has
to say yes. Needs the network, as an image does.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

from openclaw_channel_octo.testing import OctoDouble
from tests.container.image import ROOT, instructions

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PLACE = "/opt/octo"
USER = 65_534
TOKEN, BOT = "bf_0123456789abcdef", "helper_bot"


def python_for_others() -> tuple[str, dict[str, Any]]:
    """Return a Python, and as whom to start programs: another user, where this is root's and such a Python is there."""
    who: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": ()}
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3") if os.geteuid() == 0 else ():
        look = (python, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))")
        try:
            subprocess.run(look, check=True, capture_output=True, cwd="/", **who)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python, who
    print("not tried as another user: that takes root, and a Python that others may run")
    return sys.executable, {}


def built(folder: Path, python: str) -> Path:
    """Carry out what the Dockerfile copies and installs; return the folder with the programs."""
    source, place = folder / "src", folder / "opt"
    source.mkdir()
    for kind, words in instructions(DOCKERFILE):
        if kind == "COPY" and not words.startswith("--from"):
            for name in words.split()[:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
                copy(ROOT / name, source / name)
        elif kind == "RUN" and PLACE in words:
            command = words.replace(PLACE, str(place)).replace("python -m", f"{python} -m", 1)
            subprocess.run(["/bin/sh", "-ec", command], cwd=source, check=True)
    return place / "bin"


def words_of(kind: str, folder: Path) -> list[str]:
    """Return the last command of a kind, with the configuration in a folder of ours."""
    said = dict(instructions(DOCKERFILE))[kind]
    words: list[str] = json.loads(said[said.index("[") :])
    return [word.replace("/etc/openclaw-octo", str(folder)) for word in words]


async def run(folder: Path, programs: Path, who: dict[str, Any]) -> None:
    """Start the program as the image does, and ask its health check."""
    state, config = folder / "state", folder / "etc"
    for each in (state, config):
        each.mkdir()
    env = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(state), "XDG_STATE_HOME": str(state)}
    env |= {"TMPDIR": str(state), "PYTHONDONTWRITEBYTECODE": "1"}
    if who:
        os.chown(state, USER, USER)
    async with OctoDouble() as octo:
        octo.add_bot(BOT, TOKEN, name="Helper")
        channel = {"octo": {"apiUrl": octo.api_url, "botToken": TOKEN}}
        (config / "octo.json").write_text(
            json.dumps({"channels": channel, "host": {"agent": {"kind": "echo"}}})
        )
        (entry,) = words_of("ENTRYPOINT", config)
        check = words_of("HEALTHCHECK", config)

        async def started(*words: str) -> Process:
            return await asyncio.create_subprocess_exec(*words, cwd=config, env=env, **who)

        before = await (await started(*check)).wait()
        process = await started(entry, *words_of("CMD", config))
        await octo.wait_for(lambda: octo.online(BOT), timeout=60)
        healthy = await (await started(*check)).wait()
        process.send_signal(signal.SIGTERM)
        ended = await process.wait()
    written = [file for file in programs.parent.rglob("*") if who and file.stat().st_uid == USER]
    print(f"health check before {before}, with the bot online {healthy}; stop {ended}; written {written}")
    if (before != 0, healthy, ended, written) != (True, 0, 0, []):
        sys.exit("the image would not do")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o755)
        found, other = python_for_others()
        asyncio.run(run(Path(temporary), built(Path(temporary), found), other))
