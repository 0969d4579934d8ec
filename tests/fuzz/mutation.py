"""Inputs nobody would write: seeds with bytes or values changed, put in, repeated and taken out."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Make = Callable[[Random], bytes]

LARGEST = 16 * 1024
"""Most bytes of an input, so that one input costs little."""

EDGES = b"\x00\x01\x07\x0f\x10\x7f\x80\x81\xfe\xff"
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**53 + 1,
    -(2**63),
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "\x00",
    "\ud83d",
    "\u202e\u2066",
    "👩‍👩‍👧‍👦🇩🇪",
    "\u0130\u1e9e\ufb01",
    "```\n~~~\n",
    "../../etc/passwd",
    "x" * 5_000,
    " " * 5_000,
    "9" * 5_000,
    [],
    {},
    [[]],
    {"": {}},
)


def changed(rng: Random, data: bytes, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Return ``data`` after one to eight changes.

    Args:
        rng: where chance comes from.
        data: the bytes to begin with.
        tokens: pieces the parser knows.
        others: inputs whose parts may be mixed in.
    """
    for _ in range(1 + min(7, int(rng.expovariate(0.7)))):
        at = rng.randrange(len(data) + 1)
        data = _step(rng, data, at, tokens, others)
    return data[:LARGEST]


def _step(rng: Random, data: bytes, at: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    kind = rng.randrange(8)
    if kind == 0 and at < len(data):
        return b"%b%c%b" % (data[:at], data[at] ^ 1 << rng.randrange(8), data[at + 1 :])
    if kind == 1:
        return b"%b%c%b" % (data[:at], rng.choice(EDGES), data[at + 1 :])
    if kind == 2:
        return data[:at] + data[at + _short(rng) :]
    if kind == 3 and tokens:
        return data[:at] + rng.choice(tokens) + data[at + rng.choice((0, 0, 1, 4)) :]
    if kind == 4:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        return data[:at] + other[start : start + _short(rng)] + data[at:]
    if kind == 5 and rng.random() < 0.2:
        return data[:at] + data[at : at + _short(rng)] * rng.choice((2, 16, 256)) + data[at:]
    if kind == 6 and rng.random() < 0.2:
        return data[:at]
    return data[:at] + rng.randbytes(1) + data[at + 1 :]


def _short(rng: Random) -> int:
    return 1 + int(rng.expovariate(0.1))


def byte_maker(seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> Make:
    """Return a maker of inputs that are seeds with changed bytes."""

    def make(rng: Random) -> bytes:
        return changed(rng, rng.choice(seeds), tokens, seeds)

    return make


def json_maker(seeds: Sequence[Any], words: Sequence[str] = (), *, head: int = 0) -> Make:
    """Return a maker of JSON texts, most of them well-formed and with strange values in them.

    Args:
        seeds: JSON values to begin with.
        words: keys and strings the reader knows.
        head: random bytes in front, for harnesses that choose their circumstances by them.
    """
    texts = [json.dumps(seed).encode() for seed in seeds]
    values = [*ODD_VALUES, *words, *(value for seed in seeds for value in _parts(seed))]
    tokens = [json.dumps(word).encode() for word in words]
    tokens += [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u0000", b"\\ud83d", b"NaN", b"1e999", b"[" * 500]

    def make(rng: Random) -> bytes:
        front = rng.randbytes(head)
        if rng.random() < 0.2:
            return front + changed(rng, rng.choice(texts), tokens, texts)
        value = _varied(rng, rng.choice(seeds), values, words)
        for _ in range(rng.randrange(3)):
            value = _varied(rng, value, values, words)
        return (front + _text(rng, value))[: 4 * LARGEST]

    return make


def _text(rng: Random, value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode(errors="replace")
    except RecursionError:
        return b"[" * LARGEST


def _parts(value: Any) -> list[Any]:
    """Return the value and everything inside it."""
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    return [value, *(part for item in inner for part in _parts(item))]


def _varied(rng: Random, value: Any, values: Sequence[Any], words: Sequence[str]) -> Any:
    """Return a copy of a JSON value with one place in it changed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        return _varied_object(rng, value, values, words)
    if isinstance(value, list) and value and rng.random() < 0.7:
        return _varied_list(rng, value, values, words)
    if isinstance(value, str) and rng.random() < 0.5:
        at = rng.randrange(len(value) + 1)
        return value[:at] + str(rng.choice(values))[:5_000] + value[at:]
    return [value] * rng.choice((0, 1, 3, 300)) if rng.random() < 0.03 else rng.choice(values)


def _varied_object(rng: Random, value: dict[str, Any], values: Sequence[Any], words: Sequence[str]) -> Any:
    changed_value = dict(value)
    kind = rng.random()
    key = rng.choice(list(value))
    if kind < 0.1:
        del changed_value[key]
    elif kind < 0.3:
        name = rng.choice(words) if words and rng.random() < 0.8 else str(rng.choice(values))[:80]
        changed_value[name] = rng.choice(values)
    elif kind < 0.33:
        return _nested(key, value, rng.choice((3, 30, 300)))
    else:
        changed_value[key] = _varied(rng, value[key], values, words)
    return changed_value


def _nested(key: str, value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {key: value}
    return value


def _varied_list(rng: Random, value: list[Any], values: Sequence[Any], words: Sequence[str]) -> Any:
    at = rng.randrange(len(value))
    kind = rng.random()
    if kind < 0.1:
        return value[:at] + value[at + 1 :]
    if kind < 0.2:
        return [*value[:at], rng.choice(values), *value[at:]]
    if kind < 0.25:
        return value * rng.choice((2, 50))
    return [*value[:at], _varied(rng, value[at], values, words), *value[at + 1 :]]
