"""What strangers and agents write is read on the event loop: no text may cost more than its length."""

from collections.abc import Callable

import pytest

from openclaw_channel_octo.errors import TargetError
from openclaw_channel_octo.ids import peer_of_compound
from openclaw_channel_octo.message.marks import own_words
from openclaw_channel_octo.message.medialines import named_files
from openclaw_channel_octo.message.mentions import (
    addressed,
    mentions_typed_name,
    split_addressed,
    without_mentions,
)
from openclaw_channel_octo.message.silence import without_silence
from openclaw_channel_octo.message.split import split_reply
from openclaw_channel_octo.message.target import calling, parse_target
from openclaw_channel_octo.message.terminal import screen_text
from openclaw_channel_octo.message.text import code_spans, has_content, readable, well_formed
from openclaw_channel_octo.message.thinking import ThinkingFilter
from openclaw_channel_octo.policy.commands import command_in
from tests.work import cpu_s, steps

Reader = Callable[[str], object]
Text = Callable[[int], str]

NAMES = {f"u{number}": f"Name {number}" for number in range(20)}


def target_of(text: str) -> object:
    try:
        return parse_target(text, own_uid="own")
    except TargetError as error:
        return error


def split(text: str) -> object:
    return split_reply(text, 32)


def hide(text: str) -> object:
    answer = ThinkingFilter()
    pieces = [answer.feed(text[at : at + 9]) for at in range(0, len(text), 9)]
    return [*pieces, answer.end()]


def split_calls(text: str) -> object:
    return split_addressed(text, NAMES, 32)


def call(text: str) -> object:
    return addressed(text, NAMES, everyone=True)


MANY = {f"u{number}": "x" * number + "y" for number in range(400)}
MANY_MORE = MANY | {f"v{number}": "x" * number + "z" for number in range(4_000)}


def many_names(text: str) -> object:
    return addressed(text, MANY, everyone=True)


LOOPS: list[tuple[Reader, Text]] = [
    (named_files, lambda size: "`a`\nMEDIA:b.cd\n" * size),
    (split, lambda size: "a\n" * size),
    (split, lambda size: "a\n\n" * size),
    (split, lambda size: "```\n" * size),
    (split, lambda size: "👍" + "。" * size),
    (split, lambda size: "🇨" * size),
    (split, lambda size: "a" + "\u0301" * size),
    (split, lambda size: "```\n" + "x\n" * size),
    (split, lambda size: "|a|b|\n|-|-|\n" + "|c|d|\n" * size),
    (split, lambda size: "a|\n-|\nc|\n\n" * size),
    (split, lambda size: "1. " + "word " * size + "\n2. b"),
    (split, lambda size: "> " + "- " * size),
    (split_calls, lambda size: "@Name 1 `a` " * size),
    (split_calls, lambda size: "@[u1:" * size),
    (call, lambda size: "@Name 1 `@all` " * size),
    (call, lambda size: "`a` @alle " * size),
    (lambda text: calling(text, ["u1"], NAMES), lambda size: "@Name 1 `a` " * size),
    (target_of, lambda size: "user:" + "".join(f"s{number}_own@" for number in range(size))),
    (target_of, lambda size: "group:g@" + "u," * size),
    (
        lambda text: peer_of_compound(text, "own"),
        lambda size: "".join(f"s{number}_own@" for number in range(size)),
    ),
    (lambda text: mentions_typed_name(text, "Bot"), lambda size: "x@Bot" * size),
    (many_names, lambda size: "@" * size),
    (many_names, lambda size: "@xxxx " * size),
    (lambda text: without_mentions(text, "Bot"), lambda size: "@Bot " * size),
]


@pytest.mark.parametrize(("read", "text"), LOOPS)
def test_four_times_the_text_is_no_more_than_four_times_the_loops(read: Reader, text: Text) -> None:
    small, large = text(500), text(2_000)
    assert steps(lambda: read(large)) < 5 * steps(lambda: read(small))


BOUNDED: list[tuple[Reader, str]] = [
    (named_files, "MEDIA:a.png\n"),
    (named_files, "MEDIA: no file\n"),
    (many_names, "@xxxx "),
    (many_names, "@[u1:x] "),
    (lambda text: mentions_typed_name(text, "Helper"), "x@Helper"),
    (lambda text: mentions_typed_name(text, "Helper"), "½@Helperx"),
    (lambda text: without_mentions(text, "Helper"), "@Helper "),
    (lambda text: command_in(text, direct=True), "。"),
    (lambda text: command_in(text, direct=True), "stop "),
    (lambda text: without_mentions(text, "Helper"), "\u3000"),
    (well_formed, "\ud800"),
    (screen_text, "\x1b[500C字\x1b[A\x1b[L"),
]


@pytest.mark.parametrize(("read", "piece"), BOUNDED)
def test_beyond_what_counts_a_longer_text_takes_no_more_steps(read: Reader, piece: str) -> None:
    large, larger = piece * 6_000, piece * 24_000
    read(large)  # patterns are compiled once
    assert steps(lambda: read(larger)) <= steps(lambda: read(large)) + 10


def test_a_mention_costs_the_same_however_many_names_there_are() -> None:
    text = "@xxxx " * 500
    few = steps(lambda: addressed(text, MANY)) - steps(lambda: addressed("@x", MANY))
    many = steps(lambda: addressed(text, MANY_MORE)) - steps(lambda: addressed("@x", MANY_MORE))
    assert many < 1.2 * few


PATTERNS: list[tuple[Reader, Text]] = [
    (named_files, lambda size: "MEDIA:a" + " " * size + "b"),
    (named_files, lambda size: " " * size + "MEDIA:a b"),
    (named_files, lambda size: "MEDIA:" + "a." * size + "!"),
    (named_files, lambda size: "MEDIA:" + "a.b,/" * size),
    (named_files, lambda size: "- " * size + "MEDIA:" + '"' * size),
    (named_files, lambda size: "(" * size + "MEDIA:" + "(a)" * size + ")"),
    (named_files, lambda size: "(MEDIA:" + "(a" * size + ")。" * size),
    (named_files, lambda size: "MEDIA:" + "[a](" * size),
    (named_files, lambda size: "- [ ] " * size + "MEDIA:" + "“a，" * size),
    (screen_text, lambda size: "\x1bP\n" * size),
    (screen_text, lambda size: "\x1b[" + "1;" * size),
    (screen_text, lambda size: "字\x1b[A" * size),
    (code_spans, lambda size: "`\n" * size),
    (code_spans, lambda size: "```a~~~" * size),
    (has_content, lambda size: "``` " + " " * size + "!"),
    (has_content, lambda size: " " * size + "`" * size + "!"),
    (has_content, lambda size: "```\n" * size),
    (own_words, lambda size: " " * size),
    (own_words, lambda size: "-" * size + " " * size),
    (own_words, lambda size: "--- \n" * size),
    (own_words, lambda size: "[" + "1" * size),
    (readable, lambda size: "\r" * size),
    (split_reply, lambda size: "a" + " " * 16 * size + "b"),
    (split_reply, lambda size: "a" + "\xa0" * 16 * size + "b"),
    (split_reply, lambda size: "```\nx" + "\u3000" * 16 * size + "x"),
    (split_reply, lambda size: "a" + " \n" * size + "b"),
    (split_reply, lambda size: "> " * size + "b " * 16 * size),
    (split_reply, lambda size: "|" * size + "\n" + "-|" * size + "\n" + "-" * size + "x"),
    (split_reply, lambda size: "- " * size + "x"),
    (split_calls, lambda size: "@[u1:" + "b" * size),
    (hide, lambda size: "<think>" * size),
    (hide, lambda size: "x </think> y " * size),
    (hide, lambda size: "<think></think>a" + "x <|im_end|> y" * size),
    (hide, lambda size: "<|channel|>final<|message|>" + "a\n<|start|>" * size),
    (hide, lambda size: "<|channel|>commentary<|message|>a" * size),
    (hide, lambda size: "a<|end|>" + " " * size + "b"),
    (hide, lambda size: "<think></think>" + "```\n" * size),
    (hide, lambda size: "<think></think>" + "\n" * size),
    (hide, lambda size: "<think></think>a" + "\n<think>" * size),
    (hide, lambda size: "a" + "\n<think><think></think>b.</think>" * size),
    (hide, lambda size: "a" + " <|channel|>final<|message|>b" * size),
    (without_silence, lambda size: "NO_REPLY " * size + "x"),
    (without_silence, lambda size: "NO_REPLY\n" * size + "x"),
    (without_silence, lambda size: "x" + "*" * size + "NO_REPLY" + "*" * size),
    (without_silence, lambda size: "<NO_REPLY><b>" * size + "x"),
    (without_silence, lambda size: "x NO_REPLY" + "<b </b>. " * size + "x"),
    (target_of, lambda size: "octo:" * size),
    (target_of, lambda size: "user:" + f"s{'0' * 32}_" * size),
    (lambda text: command_in(text, direct=True), lambda size: "approve" + " " * size + "a" * size + " b c"),
]


@pytest.mark.parametrize(("read", "text"), PATTERNS)
def test_no_pattern_looks_at_a_text_again_and_again(read: Reader, text: Text) -> None:
    small, large = text(4_000), text(32_000)
    # 8 in the ideal case, 64 where the time is quadratic
    assert cpu_s(lambda: read(large)) < 24 * max(cpu_s(lambda: read(small)), 0.000_5)


@pytest.mark.parametrize("opening", ["```" + "i" * 246, " " * 120 + "```", "~~~ " + "i " * 120])
def test_a_fence_line_cannot_make_many_messages_of_a_text(opening: str) -> None:
    chunks = split_reply(f"{opening}\n" + "x\n" * 2_000, 256)
    assert sum(map(len, chunks)) < 8 * 4_000
