"""docs/examples.md shows what commands really print; ``make docs`` writes it anew."""

import json
import os
import re
import shutil
from pathlib import Path

from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.host.base import Failed, Final
from openclaw_channel_octo.testing import ErrorAnswer, FakeGateway, ScriptedHost
from tests.cli.asking import command, controlled
from tests.docs.test_docs import DOCS
from tests.runtime.rig import BEN, TOKEN, Rig

CAPTURES = Path(__file__).parents[2] / "fixtures" / "wukongim"

WRITTEN = 5
"""Messages of the group: three of Ann, and what the bot could say to two of them."""

HEAD = """\
# What commands print

Every output here was printed by the test suite, with times, ids and paths made the same for every run; `make docs`
writes it anew. [operations.md](operations.md) shows doctor, status and sessions, [commands.md](commands.md) tells what
each takes.
"""


class Page:
    """The document as it grows."""

    def __init__(self, *replaced: tuple[str, str]) -> None:
        self.text = HEAD
        self._replaced = [*replaced]
        self._traces: dict[str, str] = {}

    def replace(self, found: str, instead: str) -> None:
        self._replaced.append((found, instead))

    def say(self, *paragraphs: str) -> None:
        self.text += "".join(f"\n{paragraph}\n" for paragraph in paragraphs)

    async def show(self, *words: str, code: int = 0) -> str:
        """Carry a command out and add what it printed; return that as it was."""
        result = await command(*words, code=code)
        shown = self._same(f"$ openclaw-octo {' '.join(words)}\n{result.output}")
        self.text += f"\n```\n{shown}```\n"
        return result.output

    def _same(self, text: str) -> str:
        """Return a text with what differs from run to run replaced."""
        for found, instead in self._replaced:
            text = text.replace(found, instead)
        for pattern, instead in (
            (r"the last [0-9a-f]{32}\b", "the last 6f1d2c0b9a8e47d5b3c2a1f0e9d8c7b6"),
            (r"(?<![\d.])\d+ s\b", "3 s"),
            (r"\b[A-Z2-9]{8}\b", "K7QM2XWP"),
        ):
            text = re.sub(pattern, instead, text)
        return re.sub(r"\b(?:20440432508)?(\d{8})\b", self._id, text)

    def _id(self, found: re.Match[str]) -> str:
        """Return a message's id, or the trace id at its end, counted in the order they are shown."""
        trace = self._traces.setdefault(found[1], str(38278145 + len(self._traces)))
        return found[0].replace(found[1], trace)


async def test_what_the_document_shows_is_what_the_commands_print(rig: Rig, tmp_path: Path) -> None:
    page = Page((str(tmp_path), "."), (rig.octo.api_url, "https://octo.example.com/api"))
    await journals(rig, page)
    await pairings(rig, page)
    await configurations(rig, page, tmp_path / "octo.json")
    await captures(page, tmp_path)
    await gateways(rig, page, tmp_path / "gateway.json")

    path = DOCS / "examples.md"
    if os.environ.get("OCTO_DOCS") == "write":
        path.write_text(page.text)
    assert path.read_text() == page.text, "examples.md is not what the commands print: `make docs` renews it"
    assert TOKEN not in page.text


async def journals(rig: Rig, page: Page) -> None:
    """Messages that were answered, told of, and left without an end; and what operators do about these."""
    store = str(rig.state_dir)
    host = ScriptedHost([Final("Step 7, the upload test.")], [Failed("failed", "the model said no")])
    await rig.start(rig.config(), host)
    answered = await rig.mentioned("what broke?")
    await rig.mentioned("and now?", "notified")
    rig.octo.fail_next("sendMessage", ErrorAnswer(status=403, code="not_group_member"), times=None)
    dead = await rig.mentioned("hello?", "dead")
    rig.octo.heal()
    await rig.octo.wait_for(lambda: len(rig.octo.acks) >= WRITTEN)
    await rig.stop()
    page.say("## journal", "What became of each message, the newest first:")
    await page.show("journal", "list", "--store", store)
    page.say("Everything about one of them, by its id or by the trace id of its log lines:")
    await page.show("journal", "show", "--store", store, answered[-8:])
    page.say("Those that got no answer and no notice, and having one answered after all:")
    await page.show("journal", "dead", "--store", store, code=1)
    await page.show("journal", "retry", "--store", store, dead)
    rig.write_session({"status": "failed", "sessionId": "s1", "updatedAt": SystemClock().wall_ms()})
    page.say("## sessions list")
    await page.show("sessions", "list", "--store", store)


async def pairings(rig: Rig, page: Page) -> None:
    """Somebody who asks to be let in, and is."""
    store = str(rig.state_dir)
    await rig.start(rig.config(dmPolicy="pairing"), ScriptedHost())
    await rig.until_row(await rig.octo.say(BEN, rig.dm, "let me in"), "notified")
    page.say(
        "## pairing",
        'With `"dmPolicy": "pairing"` people who write to the bot for the first time are shown a code:',
    )
    listed = await page.show("pairing", "list", "--store", store)
    code = re.search(r"\b[A-Z2-9]{8}\b", listed)
    assert code is not None
    async with controlled(rig):
        await page.show("pairing", "approve", code[0], "--store", store)
    await page.show("pairing", "revoke", BEN, "--store", store)
    await rig.stop()


async def configurations(rig: Rig, page: Page, file: Path) -> None:
    """A configuration that is right, and one that is not."""
    config = rig.config(requireMention=False)
    file.write_text(json.dumps(config))
    page.say("## config check")
    await page.show("config", "check", str(file))
    config["channels"]["octo"] |= {"requireMentions": True, "historyLimit": 1000}
    file.write_text(json.dumps(config))
    await page.show("config", "check", str(file), code=1)


async def captures(page: Page, folder: Path) -> None:
    """A recording looked into, cut, made fit to be shown, and run again."""
    thread = folder / "thread.wkcap"
    shutil.copy(CAPTURES / thread.name, thread)
    page.say("## capture", "A recording of `run --record`, looked into:")
    await page.show("capture", "show", str(thread))
    page.say("A part of it, and a copy without words:")
    await page.show(
        "capture", "cut", str(thread), str(folder / "part.wkcap"), "--from", "0.08", "--to", "0.2"
    )
    await page.show("capture", "redact", "--mask-text", str(thread), str(folder / "masked.wkcap"))
    page.say("## replay", "The same recording through the real connection, inbox and gate again:")
    await page.show("replay", str(thread))


async def gateways(rig: Rig, page: Page, file: Path) -> None:
    """A gateway that lets the bots in, and one that does not know their token."""
    page.say("## gateway check")
    async with FakeGateway() as gateway:
        config = rig.config()
        config["host"] = {
            "kind": "gateway",
            "stateDir": str(file.parent),
            "url": gateway.url,
            "token": gateway.token,
        }
        page.replace(gateway.url, "ws://127.0.0.1:18789")
        file.write_text(json.dumps(config))
        await page.show("gateway", "check", "--config", str(file))
        config["host"]["token"] = "another-0123456789"
        file.write_text(json.dumps(config))
        await page.show("gateway", "check", "--config", str(file), code=2)
