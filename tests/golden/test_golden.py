"""What agents get to read, compared with files that were read by eye.

``make golden`` writes the files anew; look at what `git diff` shows before you commit it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_channel_octo.host.base import Turn
from openclaw_channel_octo.message.payload import parse_payload, read_payload
from openclaw_channel_octo.message.render import render
from tests.fuzz.content_harness import payloads_of
from tests.golden.payloads import GENERATED
from tests.golden.prompts import HOSTILE, MARK, PLAIN, described, shown
from tests.replay.test_captures import capture, messages

FOLDER = Path(__file__).parent
RECORDED = ("content-types", "control-and-system", "thread", "mixed-1", "mixed-2")


def compare(name: str, content: str) -> None:
    """Compare with the file of that name, or write it where the environment asks for that."""
    visible = "".join(c if c.isprintable() or c == "\n" else f"<U+{ord(c):04X}>" for c in content)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("OCTO_GOLDEN") == "write":
        path.write_text(visible)
    assert visible == path.read_text(), f"{path.name} differs: read both; `make golden` renews it"


def recorded(name: str) -> Iterator[str]:
    labels = capture(name).header.labels
    for event, raw in zip(messages(name), payloads_of(capture(name)), strict=True):
        label = labels.get(event["client_msg_no"])
        meant = "" if label is None else f" · meant for the bot: {label.addressed}"
        yield f"# type {event['type']} · {event['decision']}: {event['reason']}{meant}"
        yield from described(
            render(parse_payload(raw), own_name=capture(name).header.account.name, mark=MARK)
        )
        yield ""


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_messages_are_rendered_as_reviewed(name: str) -> None:
    compare(name, "\n".join(recorded(name)))


def test_made_payloads_are_rendered_as_reviewed() -> None:
    lines: list[str] = []
    for title, payload in GENERATED.items():
        lines += [f"# {title}", *described(render(read_payload(payload), own_name="Helper", mark=MARK)), ""]
    compare("generated", "\n".join(lines))


@pytest.mark.parametrize(("name", "turn"), [("prompt-plain", PLAIN), ("prompt-hostile", HOSTILE)])
def test_agents_are_asked_as_reviewed(name: str, turn: Turn) -> None:
    asked = shown(turn)
    compare(name, "\n\n".join(f"##### {agent}\n{said}" for agent, said in asked.items()) + "\n")
