"""What a model thinks is no part of its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.message.thinking import ThinkingFilter

FINAL = "<|start|>assistant<|channel|>final<|message|>"
ANALYSIS = "<|channel|>analysis<|message|>"


def hidden(*pieces: str) -> str:
    answer = ThinkingFilter()
    return "".join([*map(answer.feed, pieces), answer.end()])


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think>Hi",
        "\n<Think>\na ``` b\n</think>\n\nHi",
        "<thinking>a</thinking>Hi",
        "\ufeff<think >a</think >Hi",
        "<think>a</think>\n<think>b</think>\nHi",
        "<seed:think>a</seed:think>Hi",
        "[THINK]a[/THINK]Hi",
        "◁think▷a◁/think▷Hi",
        "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Hi<|END_RESPONSE|>",
        "<|channel>thought\na<channel|>Hi",
        "Thinking...\na\n\n...done thinking.\n\nHi",
        "a\n</think>\n\nHi",
        "a.</think>Hi",
        "Let me write ```\na\n</think>\nHi",
        "</think>\n\nHi",
        f"{ANALYSIS}a ``` <|im_end|><|end|>{FINAL}Hi<|return|>",
        f"{ANALYSIS}a<|end|><|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>{FINAL}Hi",
        f"<|channel|>commentary to=functions.f <|constrain|>json<|message|>{{}}<|call|>{FINAL}Hi",
        f"<|start|>functions.f to=assistant<|channel|>commentary<|message|>12<|end|>{FINAL}Hi",
        f"analysis<|message|>a<|end|>{FINAL}Hi",
        f"{ANALYSIS}a<|end|>Hi",
        "analysisWe should greet.assistantfinalHi",
        "<|channel|>commentary<|message|>Hi<|end|>",
        "Hi<|im_end|>",
        "Hi <|end|>\n",
        "<|im_start|>assistant\n<think>a</think>Hi<|im_end|>\n<|im_start|>user\nAnd you?<|im_end|>\n",
        "<|start_header_id|>assistant<|end_header_id|>\n\nHi<|eot_id|>",
        "<start_of_turn>model\nHi<end_of_turn>\n<start_of_turn>user\nMore!",
        "<|assistant|>\nHi<|end|>\n<|user|>\nMore!",
        "<think>a <think>b</think> c</think>Hi",
        "<think>a<think>b<think>c</think>d</think>e</think>\n<think>f</think>Hi",
        "<think>\n<think>\na</think>\n\nHi",
        "<think>They ask about the <think> tag.</think>\nHi",
    ],
)
def test_the_answer_is_left(text: str) -> None:
    assert hidden(text).strip() == "Hi"
    assert hidden(*text).strip() == "Hi"


LONG = "word " * 200


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Sure! {ANALYSIS}a<|end|>{FINAL}Hi", "Sure! Hi"),
        (f"Sure!{ANALYSIS}a<|end|>{FINAL}Hi", "Sure! Hi"),
        (f"Sure!\n{ANALYSIS}a<|end|>{FINAL}Hi<|return|>", "Sure!\n\n\nHi"),
        (f"Sure! {ANALYSIS}a", "Sure! "),
        (f"Sure! <|start|>assistant<|message|>{LONG}\nHi", f"Sure! {LONG}\nHi"),
        (f"{FINAL}{LONG}\nSure! {ANALYSIS}a\n{LONG}<|end|>{FINAL}Hi", f"{LONG}\nSure! Hi"),
        ("Loading model...\n<think>a</think>\nHi", "Loading model...\n\n\nHi"),
        (f"Loading\n  <think>\n{LONG}\n</think>\n\n<think>b</think>Hi", "Loading\n\n\nHi"),
        (f"<think>a</think>{LONG}\n[THINK]b {LONG}[/THINK]Hi", f"{LONG}\n\n\nHi"),
        ("Sure!\n<think>a <think>b</think> c</think>Hi", "Sure!\n\n\nHi"),
    ],
)
def test_thinking_in_the_middle_of_an_answer_is_left_out(text: str, left: str) -> None:
    assert hidden(text) == left
    assert hidden(*text) == left


@pytest.mark.parametrize(
    "text",
    [
        "  plain\n",
        "It is:\n```\n<think>a</think>\n```\nand `<|channel|>analysis<|message|>`",
        "It opens with\n<think>\nand goes on",
        "It opens with\n<think> and ends with `</think>` in the answer",
        "`<think>` opens and `</think>` closes it",
        "```\n<think>a</think>\n```",
        "~~~\nfinal<|im_end|>\n~~~\n",
        "DeepSeek writes </think> before its answer.",
        "它在</think>之前思考",
        "The tags <think> and\n</think>\n\nenclose it",
        "The last word is </think>",
        "Hello <think>there</think> you",
        "A turn ends with <|im_end|>, as in ChatML.\nOr with <|eot_id|>\nin Llama.",
        "特殊标记<|im_end|>表示结束",
        "<|im_end|> ends a turn.",
        "In a line <|im_start|>user\nis a header",
        "analysis of the data: assistantfinal",
        "Thinking...\nis hard",
        "<thinking about it>",
        "<b>bold</b> and <|unknown|>",
    ],
)
def test_what_is_no_thinking_stays_as_it_is(text: str) -> None:
    assert hidden(text) == text
    assert hidden(*text) == text


@pytest.mark.parametrize(
    "text", ["<think>never ends", ANALYSIS + "a", "<think>a</think>", "a.\n</think>\n", "<|im_end|>", ""]
)
def test_thinking_alone_is_no_answer(text: str) -> None:
    assert hidden(text) == ""


def test_a_block_left_open_is_told_and_goes_on_in_the_next_part() -> None:
    answer = ThinkingFilter()
    assert (answer.feed("<think>a"), answer.end(), answer.is_thinking) == ("", "", True)
    assert (answer.feed("b") + answer.end(), answer.is_thinking) == ("", True)
    assert (answer.feed("c</think>Hi") + answer.end(), answer.is_thinking) == ("Hi", False)
    assert answer.feed("a</think>Ho") + answer.end() == "Ho"


def test_an_answer_behind_its_thinking_is_given_out_as_it_comes() -> None:
    answer = ThinkingFilter()
    lines = [f"line {number}\n" for number in range(1_000)]
    early = "".join([answer.feed("<think>a</think>"), *map(answer.feed, lines)])
    assert len(early) > len("".join(lines)) / 3
    assert early + answer.end() == "".join(lines)


PIECES = st.sampled_from(
    [
        *(
            "<think>",
            "\n<think>",
            "</think>",
            ANALYSIS,
            FINAL,
            "<|end|>",
            "<|im_end|>",
            "<|im_start|>user\n",
            "```",
            "`",
            "~~~",
        ),
        *("\n", " ", "a", ".", "。", "思", "word " * 90, "[THINK]", "[/THINK]", "<|", "commentary"),
    ]
)


@given(st.lists(PIECES, max_size=20).map("".join), st.data())
def test_pieces_change_nothing(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert hidden(*pieces) == hidden(text)


@given(st.text(st.characters(exclude_characters="<>[]◁▷`~|")), st.booleans())
def test_no_answer_is_lost(text: str, harmony: bool) -> None:
    answer = f"So {text}"
    thought = f"{ANALYSIS}hm<|end|>{FINAL}{answer}<|return|>" if harmony else f"<think>hm</think>\n\n{answer}"
    assert hidden(thought) == answer
    assert hidden(answer) == answer
