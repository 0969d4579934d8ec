"""Harness of what agent programs write: pieces of bytes, drawn as a terminal does, with lines that name files."""

import asyncio
import re
from collections.abc import Sequence
from random import Random

from openclaw_channel_octo.host.embedded.agents import said_by
from openclaw_channel_octo.host.embedded.command import CommandAgent, decoded
from openclaw_channel_octo.message.medialines import Source, named_files
from tests.fuzz.harness import Harness, is_in_order
from tests.fuzz.mutation import changed

AGENT = CommandAgent(["true"])
NAMES = frozenset({"a.png", "my report", "x, y.png", "sub/c d.txt"})
UNSEEN = (
    "\x1b[1;32m",
    "\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://x.test\x1b\\",
    "\x1b[?25l",
    "\x07",
    "\0",
)
"""What a terminal shows nothing of, and that changes nothing of what it shows."""
MOVES = (
    *(
        "\r",
        "\b",
        "\x1b[K",
        "\x1b[2K",
        "\x1b[A",
        "\x1b[2B",
        "\x1b[3C",
        "\x1b[D",
        "\x1b[G",
        "\x1b[J",
        "\x1b[2J",
    ),
    *(
        "\x1b[H",
        "\x1b[9;9H",
        "\x1b[@",
        "\x1b[P",
        "\x1b[L",
        "\x1b[M",
        "\x1b7",
        "\x1b8",
        "\x1b[?1049h",
        "\x1b[?1049l",
    ),
)
TEXTS = (
    *(
        "word ",
        "字",
        "e\u0301",
        "👩‍👩‍👧",
        "\t",
        "\n",
        "\r\n",
        "\n\n",
        "10%",
        "- ",
        "> ",
        "1. ",
        "```\n",
        "`",
        "**",
        ", ",
    ),
    *(
        "MEDIA:",
        "\nMEDIA: ",
        "\nMEDIA:a.png",
        "my report",
        "x, y.png",
        "sub/c d.txt ",
        "/srv/b.png ",
        '"',
        "https://x.test/d ",
        *("。", "，谢谢", "\u3000", "(", ")", "「", "」", "## ", "- [ ] ", "[](a.png)"),
    ),
)
SPICE = tuple(token.encode() for token in UNSEEN + MOVES + TEXTS)
_CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]|\r(?!\n)")
_RAW = re.compile(r"^MEDIA:[^\s,;]", re.MULTILINE)


def make_output(rng: Random) -> bytes:
    tokens = TEXTS + rng.choice(((), UNSEEN, UNSEEN + MOVES))
    data = "".join(rng.choices(tokens, k=rng.randrange(1, 40))).encode()
    return rng.randbytes(1) + (changed(rng, data, SPICE, SPICE) if rng.random() < 0.2 else data)


def check_output(data: bytes) -> None:
    """In whatever pieces an output comes, it is the same text, and all of it that can be seen is text or a file."""
    written = data[1:]
    said = asyncio.run(_said([written]))
    cut = Random(data[:1])
    places = sorted(cut.randrange(len(written) + 1) for _ in range(cut.randrange(20)))
    pieces = [written[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]
    assert asyncio.run(_said(pieces)) == said
    assert not _CONTROL.search(said.replace("\x0b", "").replace("\x0c", ""))
    plain = written.decode(errors="replace")
    for sequence in UNSEEN:
        plain = plain.replace(sequence, "")
    if not _CONTROL.search(plain):
        assert said == plain.rstrip().lstrip("\r\n")
    _check_files(said)


def _check_files(said: str) -> None:
    parts = named_files(said, NAMES).parts
    shown = [part.address if isinstance(part, Source) else part for part in parts]
    assert is_in_order(_letters(said), _letters("".join(shown)))
    if "`" not in said and "~" not in said:
        assert not any(_RAW.search(part.replace("\r", "\n")) for part in parts if isinstance(part, str))


async def _said(pieces: Sequence[bytes]) -> str:
    output: asyncio.Queue[bytes | None] = asyncio.Queue()
    for piece in (*pieces, None):
        output.put_nowait(piece)
    return await said_by(AGENT, "".join([text async for text in decoded(output)]))


def _letters(text: str) -> str:
    return "".join(character for character in text.replace("MEDIA", "") if character.isalpha())


HARNESSES = (Harness(name="output", make=make_output, check=check_output, share=1),)
