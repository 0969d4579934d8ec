"""docs/agent-programs.md: its sample was really read by a program, and its recipes run as they stand there."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_docs import DOCS
from tests.programs import PROGRAM, Start
from tests.runtime.rig import ANN, BEN, HELPER, Rig
from tests.runtime.turn.model_server import ModelServer

PAGE = DOCS / "agent-programs.md"
FOLDER, ENDPOINT = "/srv/helper", "http://127.0.0.1:11434/v1"
KEEPS = "cat > prompt; env | grep ^OPENCLAW_ | sort > variables; echo Step 7."


def recipe(title: str, folder: Path, endpoint: str = "") -> dict[str, Any]:
    """Put a recipe's files into a folder; return its agent, with the folder and an endpoint in place of the page's."""
    (section,) = re.findall(
        rf"^### {re.escape(title)}\n(.*?)(?=^### |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    section = section.replace(FOLDER, str(folder)).replace(ENDPOINT, endpoint)
    for name, code in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        (folder / name).write_text(code)
    (agent,) = re.findall(r"^```json\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return dict(json.loads(agent))


def written(part: str, shown: str) -> str:
    """Return what the page shows as a generated part; ``make docs`` writes it anew."""
    begin, end = f"<!-- begin generated: {part} -->\n", f"<!-- end generated: {part} -->"
    before, _, rest = PAGE.read_text().partition(begin)
    found, _, after = rest.partition(end)
    if os.environ.get("OCTO_DOCS") == "write":
        PAGE.write_text(before + begin + shown + end + after)
        return shown
    return found


async def test_the_sample_is_what_a_program_was_given(rig: Rig, tmp_path: Path) -> None:
    agent = {"kind": "command", "command": ["sh", "-c", KEEPS], "cwd": str(tmp_path)}
    await rig.octo.write_notes(ANN, rig.group, "# House rules\nNever deploy on a Friday.")
    await rig.start(rig.config(agent=agent))
    await rig.meet()
    await rig.octo.say(BEN, rig.group, "the deploy is red again")
    await rig.mentioned("what broke?")
    prompt, variables = ((tmp_path / name).read_text() for name in ("prompt", "variables"))
    names = set(re.findall(r"^\| `(OPENCLAW_\w+)` \|", PAGE.read_text(), re.MULTILINE))
    assert names == set(re.findall(r"^(OPENCLAW_\w+)=", variables, re.MULTILINE))
    for part, text in (("prompt", prompt), ("variables", variables)):
        shown = f"\n```\n{same(text, rig)}\n```\n\n"
        assert written(part, shown) == shown, (
            "the page is not what a program was given: `make docs` renews it"
        )


def same(text: str, rig: Rig) -> str:
    """Return a text with what differs from run to run replaced."""
    for pattern, instead in (
        (re.escape(str(rig.state_dir)), "/var/lib/octo"),
        (r"§\w{10}", "§4f0c1d9a7e"),
        (r"(?<=OPENCLAW_TURN=).*", "7Qm2…"),
        (r"[0-9a-f]{8}-?[0-9a-f-]{24,28}", "6f1d2c0b9a8e47d5b3c2a1f0e9d8c7b6"),
    ):
        text = re.sub(pattern, instead, text)
    return text.strip()


async def test_the_shell_script_answers(rig: Rig, tmp_path: Path) -> None:
    await rig.start(rig.config(agent=recipe("A shell script", tmp_path)))
    await rig.mentioned("how full is the disk?")
    await rig.mentioned("and you?")
    first, second = await rig.until_said(2)
    assert "Filesystem" in first
    assert second == "Ask me about the disk."


async def test_the_python_program_remembers_until_a_reset(rig: Rig, tmp_path: Path) -> None:
    await rig.start(rig.config(agent=recipe("A Python program that remembers", tmp_path)))
    for text in ("one", "two", "/reset", "three"):
        await rig.mentioned(text)
    said = [text for text in rig.said() if "message" in text]
    assert [re.sub(r"\D", "", text) for text in said] == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("title", "program"),
    [("llm", "llm"), ("Ollama", ""), ("A coding agent", "qwen")],
)
async def test_a_model_is_asked_and_its_answer_posted(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str, program: str
) -> None:
    if program and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with ModelServer().served() as model:
        await rig.start(rig.config(agent=recipe(title, tmp_path, model.url)))
        await rig.mentioned("what broke?")
    assert await rig.until_said(1) == ["It works"]
    assert "what broke?" in json.dumps(model.asked[-1]["messages"])


@pytest.mark.parametrize("number", [0, 1], ids=["stdio", "http"])
async def test_a_coding_agent_acts_in_the_chat_by_mcp(
    rig: Rig, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    if shutil.which("qwen") is None:
        pytest.skip("qwen is not installed")
    elsewhere = rig.octo.add_group("g2", [ANN, HELPER])
    settings = re.findall(r"^```jsonc\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[number]
    (tmp_path / ".qwen").mkdir()
    (tmp_path / ".qwen" / "settings.json").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{PROGRAM.parent}:{os.environ['PATH']}")
    async with ModelServer().served() as model:
        model.calls = [("mcp__octo__message_send", {"target": "group:g2", "text": "deployed"})]
        await start({**rig.config(agent=recipe("MCP in Qwen Code", tmp_path, model.url)), "mcp": {}})
        await rig.mentioned("tell them")
    assert rig.said(elsewhere) == ["deployed"]
    assert await rig.until_said(1) == ["It works"]
