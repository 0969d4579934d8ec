"""Harnesses of what agents write: thinking, control tokens, and the token that says nothing."""

from random import Random
from unicodedata import normalize

from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.message.thinking import ThinkingFilter
from tests.fuzz.harness import Harness

PIECES = (
    *("<think>", "</think>", "<thinking>", "</THINK >", "[THINK]", "[/THINK]", "◁think▷", "◁/think▷", "<thi"),
    *("<|start|>", "assistant", "user", "<|channel|>", "analysis", "final", "commentary", "<|message|>"),
    *("<|end|>", "<|return|>", "<|call|>", " to=functions.x ", "<|constrain|>", "json", "<|im_start|>"),
    *("<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|user|>", "<end_of_turn>"),
    *("<|im_start|>user\n", "<start_of_turn>model\n", "analysisWe", "assistantfinal", "</s>", "<|", "|>"),
    *(
        "```",
        "```python\n",
        "\n```\n",
        "~~~\n",
        "`",
        "> ",
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "\t",
        "word",
        "。",
        "思考",
    ),
    *("a" * 399, " " * 401, "\n" * 401, "word " * 90),
)
SECRET = "kept to itself"
SILENCE = (
    "NO_REPLY",
    "no_reply",
    "NO\\_REPLY",
    "**",
    "`",
    "_",
    "\n",
    "\n\n",
    " ",
    ".",
    "- ",
    "Hi",
    "好",
    ": ",
    "```\n",
    *("\ufeff", "\u200b", "ＮＯ＿ＲＥＰＬＹ", "<b>", "</b>", "👍"),
)
HIDING = (
    "<think>{0}</think>\n\n{1}",
    "\n<thinking>\n{0} ```\n</thinking>{1}",
    "{0}.\n</think>\n\n{1}",
    "[THINK]{0}[/THINK]{1}",
    "<|channel|>analysis<|message|>{0}<|end|><|start|>assistant<|channel|>final<|message|>{1}<|return|>",
    "analysis<|message|>{0}<|end|><|start|>assistant<|channel|>final<|message|>{1}",
    "<think>{0} <think>{0}</think> {0}</think>{1}",
    "<|channel|>commentary to=f <|constrain|>json<|message|>{0}<|call|><|channel|>final<|message|>{1}",
    "<|im_start|>assistant\n<think>{0}</think>{1}<|im_end|>\n<|im_start|>user\n{0}",
    "<|start_header_id|>assistant<|end_header_id|>\n\n{1}<|eot_id|>",
)
"""Answers around what nobody is to read, and what everybody is."""
SHOWING = ("```\n{0}\n```", "It says:\n\n~~~~ text\n{0}\n~~~~", "> ```\n> {0}\n> ```")
"""Code, in which nothing is left out."""


def hidden(pieces: list[str]) -> str:
    """Return what is left of an answer that comes in these pieces."""
    answer = ThinkingFilter()
    return "".join([*map(answer.feed, pieces), answer.end()])


def cut(text: str, rng: Random) -> list[str]:
    """Return the text in pieces as a stream may bring it."""
    longest = rng.choice((1, 2, 7, 40, 500))
    pieces = []
    while text:
        size = rng.randint(0, longest)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def make_answer(rng: Random) -> bytes:
    return rng.randbytes(4) + "".join(rng.choices(PIECES, k=rng.randrange(1, 25))).encode()


def check_answer(data: bytes) -> None:
    """Pieces change nothing, thinking is left out, and what is no thinking stays."""
    rng, text = Random(data[:4]), data[4:].decode(errors="replace")
    whole = hidden([text])
    assert hidden(cut(text, rng)) == whole
    assert _letters(whole) in _subsequence_of(_letters(text), _letters(whole))
    plain = "".join(character for character in text if character.isalpha() or character in " \n。")
    said = hidden(cut(rng.choice(HIDING).format(SECRET, f"So {plain}"), rng))
    assert said.strip() == f"So {plain}".strip()
    code = rng.choice(SHOWING).format(text.replace("`", "").replace("~", "").replace("\n", " "))
    assert hidden(cut(code, rng)) == code


def make_silence(rng: Random) -> bytes:
    return rng.randbytes(1) + "".join(rng.choices(SILENCE, k=rng.randrange(1, 12))).encode()


def check_silence(data: bytes) -> None:
    """Only the token goes, at the ends; what is left has no token there, and loses nothing a second time."""
    text = data[1:].decode(errors="replace")
    spoken = without_silence(text)
    assert _letters(spoken.text) in _subsequence_of(_letters(text), _letters(spoken.text))
    assert spoken.is_declined <= (spoken.text == "")
    if "reply" not in normalize("NFKC", text).lower():
        assert spoken.text == text
    token = ("NO_REPLY", "**no_reply**", "`No_Reply`", "NO_REPLY. NO_REPLY")[data[0] % 4 if data else 0]
    plain = f"So {text.replace('_', '').replace('＿', '')}, yes"
    for said in (f"{token}\n{plain}", f"{plain}\n\n{token}\n", f"{token}\n\n{plain}\n{token}"):
        assert without_silence(said).text.strip("\n") == plain
    assert without_silence(token).is_declined


def _letters(text: str) -> str:
    return "".join(text.split())


def _subsequence_of(text: str, part: str) -> tuple[str]:
    """Return ``part`` where its characters stand in ``text`` in their order."""
    left = iter(text)
    return (part if all(character in left for character in part) else "not in order",)


HARNESSES = (
    Harness(name="thinking", make=make_answer, check=check_answer, share=1),
    Harness(name="silence", make=make_silence, check=check_silence, share=2),
)
