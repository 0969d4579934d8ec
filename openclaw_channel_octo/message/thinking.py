"""A model's thinking and its control tokens, taken out of an answer while it streams in.

Endpoints and programs that do not parse their model's template pass on what the model writes: ``<think>`` blocks
(DeepSeek, Qwen and many more), ``[THINK]`` (Mistral), channels of OpenAI's harmony format (gpt-oss), headers and stop
tokens of chat templates.

Over 350 lines: one state machine and the formats it knows.
"""

import re
from collections.abc import Callable, Iterator

from openclaw_channel_octo.message.text import code_spans, covered_by

__all__ = ["ThinkingFilter"]

LOOK = 400
"""Characters that decide what stands at a place; no header of a template is longer."""
MOST_NESTED = 9
"""Blocks of thinking inside others that are looked at in one answer."""

_NAMES = r"(?:[a-z]{1,10}:)?(?:think(?:ing)?|thought|antthinking)"
_PAIRS = (
    (rf"<{_NAMES}[ \t]?>", rf"</{_NAMES}[ \t]?>"),
    (r"\[THINK\]", r"\[/THINK\]"),
    (r"◁think▷", r"◁/think▷"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    (r"<\|channel>thought", r"<channel\|>"),
)
"""How models begin and end their thinking."""
_OPEN = re.compile("|".join(f"({opening})" for opening, _ in _PAIRS), re.IGNORECASE)
_ENDS = tuple(re.compile(f"(?P<opens>{opening})|{closing}", re.IGNORECASE) for opening, closing in _PAIRS)
"""Tags of one kind."""
_CLOSES = tuple(re.compile(rf"(?<!`){closing}", re.IGNORECASE) for _, closing in _PAIRS)
_TAG = re.compile(
    f"(?P<opens>{'|'.join(opening for opening, _ in _PAIRS)})|{'|'.join(closing for _, closing in _PAIRS)}",
    re.IGNORECASE,
)

_CLOSING_SIGNS = ("</", "[/", "◁/", "<|", "<channel|>")
_SIGNS = ("<", "[", "◁")
"""Without any of these no closing tag, or no tag or token, stands in a text: most answers need no further look."""

_STOP = (
    r"(?:<\|(?:end|return|call|im_end|endoftext|end_of_text|eot_id|eom_id|eos|END_OF_TURN_TOKEN|END_RESPONSE)\|>"
    r"|<end_of_turn>|<｜end▁of▁sentence｜>)"
)
_HARMONY = (
    r"(?:<\|start\|>(?P<author>[^<\n]{0,99}))?<\|channel\|>(?P<channel>[^<\n]{0,99})"
    r"(?:<\|constrain\|>[^<\n]{0,49})?<\|message\|>"
    r"|<\|start\|>(?P<speaker>[^<\n]{0,99})<\|message\|>"
)
_FRAME = (
    rf"(?:{_HARMONY}"
    r"|(?:<\|im_start\|>|<start_of_turn>)(?P<role>\w{1,40})[^<\n]{0,49}(?:\r?\n|<\|im_sep\|>|\Z)"
    r"|<\|start_header_id\|>(?P<header>[^<\n]{1,49})<\|end_header_id\|>"
    r"|<\|(?P<turn>assistant|user|system|observation)\|>[ \t]{0,9}(?:\r?\n|\Z))"
)
"""Headers of a message: harmony, ChatML, Gemma, Llama, Phi and GLM."""
_HEADER = re.compile(_FRAME)
_NEXT = re.compile(rf"\s{{0,9}}{_FRAME}")
_MARKER = re.compile(f"(?P<stop>{_STOP})|{_FRAME}")
_HARMONY_MARKER = re.compile(rf"(?P<stop><\|(?:end|return|call)\|>)|{_HARMONY}")
"""Ends a message of harmony: one about other templates may name their tokens."""
_BARE_HEADER = re.compile(r"(?P<channel>analysis|commentary|final)[^<\n]{0,99}<\|message\|>")
"""The rest of a header whose first token the server took."""
_DROPPED = re.compile(
    rf"(?:{_STOP}|<\|(?:begin_of_text|startoftext|START_RESPONSE|assistant)\|>|<｜begin▁of▁sentence｜>)"
    r"(?![ \t][^\s<])"
)
"""Tokens in front of an answer; one that a word follows is talked about."""
_IN_WORDS = re.compile(
    r"\s*(?:analysis(?=[^\Wa-z_]).*?assistantfinal|Thinking\.\.\.\r?\n.*?\n\.\.\.done thinking\.)", re.DOTALL
)
"""Thinking between words: harmony of a server that drops the tokens, and what ``ollama run`` prints."""

_FENCE_LINE = r"(?P<fence>[ \t>]*(?P<ticks>`{3,}|~{3,})[^`\n]*)$"
_FENCE = re.compile(_FENCE_LINE, re.MULTILINE)
_IN_BODY = re.compile(
    rf"^{_FENCE_LINE}|(?P<code>`[^`\n]+`)|(?P<stops>(?:{_STOP}[ \t]*)+)|{_FRAME}"
    rf"|^[ \t]*(?P<tag>(?i:{'|'.join(opening for opening, _ in _PAIRS)}))",
    re.MULTILINE,
)
_NOTHING_LEFT = re.compile(r"\s*\Z")
_SPACE = re.compile("[\\s\ufeff\u200b]*")
_SENTENCE_ENDS = frozenset(".!?…。！？")
_BEFORE_MENTIONS = frozenset(" \t`'\"“‘「『(（[*_")
_PEOPLE = frozenset({"user", "human"})
_SPEAKERS = frozenset({"", "assistant", "model"})


class ThinkingFilter:
    """Takes thinking out of an answer that comes in pieces.

    Left out are blocks of thinking in front of the answer, and those in it that begin a line and are closed;
    everything before a closing tag without an opening one; channels of harmony other than the final one (its
    commentary for people where no final one came), wherever they begin; headers, stop tokens, and what a model that
    was not stopped writes in the name of the user. In code, and where a sentence speaks of them, tags and tokens are
    text. However the text is cut into pieces, the result is the same.

    What is given out is never taken back. A closing tag may come at any place, so that an answer without thinking
    in front of it is given out at its end.
    """

    def __init__(self) -> None:
        self._held: list[str] = []
        self._size, self._enough = 0, 0
        self._text: str = ""
        self._at: int = 0
        self._state: Callable[[bool], str] = self._begin
        self._ends, self._marker = _ENDS[0], _MARKER
        self._reset()

    @property
    def is_thinking(self) -> bool:
        """Whether what came so far ends inside thinking; then what comes after `end` goes on with it."""
        return self._state in {self._think, self._hide}

    def feed(self, piece: str) -> str:
        """Take a piece; return what is certain to be part of the answer, possibly nothing."""
        self._held.append(piece)
        self._size += len(piece)
        # What is held is looked at when it has doubled: small pieces of a long line cost no more than large ones.
        return self._drain(final=False) if self._size > self._enough else ""

    def end(self) -> str:
        """Return the rest of the answer; what comes then is another one."""
        rest = self._drain(final=True)
        if not self._shown:
            rest += "".join(self._spare).strip()
        if not self.is_thinking:
            self._state = self._begin
        self._reset()
        return rest

    def _reset(self) -> None:
        self._is_certain = False
        """Whether no closing tag can turn what comes into thinking."""
        self._shown, self._gap = False, ""
        self._nested = self._nested_seen = 0
        """Blocks of thinking that opened in another one: those not closed, and all."""
        self._fence, self._is_first = "", False
        self._spare: list[str] = []
        self._keeps_spare = False

    def _drain(self, *, final: bool) -> str:
        self._text = self._text[self._at :] + "".join(self._held)
        self._at = 0
        self._held.clear()
        said: list[str] = []
        while True:
            before = self._state, self._at
            said.append(self._state(final))
            if before == (self._state, self._at):
                break
        self._size = len(self._text) - self._at
        self._enough = 0 if final else 2 * self._size
        return "".join(said)

    def _begin(self, final: bool) -> str:
        """Look for what stands in front of an answer."""
        start = _end_of(_SPACE, self._text, self._at)
        if not final and len(self._text) - start < LOOK:
            return ""
        if header := _HEADER.match(self._text, start) or _BARE_HEADER.match(self._text, start):
            self._enter(header)
        elif opening := _OPEN.match(self._text, start):
            self._ends = _ENDS[(opening.lastindex or 1) - 1]
            self._at, self._state = opening.end(), self._think
        elif token := _DROPPED.match(self._text, start):
            self._at = token.end()
        elif self._is_certain:
            self._at = start
            self._go_on()
            return self._gap if self._shown else ""
        else:
            self._state = self._wait
        return ""

    def _go_on(self) -> None:
        self._state, self._fence, self._is_first = self._speak, "", True

    def _enter(self, header: re.Match[str]) -> None:
        """Go into the message behind a header."""
        found = {name: words.strip() for name, words in header.groupdict().items() if words}
        channel = found.pop("channel", "")
        author = next(iter(found.values()), "")
        self._at = header.end()
        self._marker = _HARMONY_MARKER if "<|message|>" in header[0] else _MARKER
        self._keeps_spare = False
        if author.lower() in _PEOPLE:
            self._state = self._drop
        elif "to=" in author + channel or author.lower() not in _SPEAKERS:
            self._state = self._hide
        elif channel.startswith("final") or not channel:
            self._is_certain = self._is_certain or bool(channel)
            self._state = self._begin
        else:
            self._keeps_spare = channel == "commentary"
            self._state = self._hide

    def _think(self, final: bool) -> str:
        tag = self._ends.search(self._text, self._at)
        if tag is None:
            self._pass(final)
            return ""
        self._at = tag.end()
        if tag["opens"]:
            self._nested += self._nested_seen < MOST_NESTED
            self._nested_seen += 1
        else:
            # Thinking that only speaks of an opening tag has no second end: `_wait` finds out.
            self._state, self._is_certain = self._begin, not self._nested
        return ""

    def _hide(self, final: bool) -> str:
        """Pass over a message that is not for people."""
        marker = self._marker.search(self._text, self._at)
        start = self._at
        if marker is None:
            self._pass(final)
            end = self._at
        elif not final and marker.end() == len(self._text):
            return ""  # a header that may go on
        else:
            end = marker.start()
        if self._keeps_spare:
            self._spare.append(self._text[start:end])
        if marker is not None and marker["stop"]:
            self._at, self._state, self._is_certain = marker.end(), self._begin, True
        elif marker is not None:
            self._enter(marker)
        return ""

    def _pass(self, final: bool) -> None:
        self._at = len(self._text) if final else max(self._at, len(self._text) - LOOK)

    def _drop(self, _final: bool) -> str:
        self._at = len(self._text)
        return ""

    def _wait(self, final: bool) -> str:
        """Hold an answer whose beginning shows no thinking until all of it is known."""
        if final:
            end = _lone_thinking(self._text[self._at :])
            is_known = end or self._nested
            self._nested = max(0, self._nested - 1) if end else 0
            self._is_certain = not self._nested
            self._at += end
            self._state = self._begin
            if not is_known:
                self._go_on()
        return ""

    def _speak(self, final: bool) -> str:
        """Give out the lines that are complete, without the tokens in them."""
        text, last = self._text, self._at
        known = len(text.rstrip()) - LOOK
        end = len(text) if final else max(last, text.rfind("\n", last, max(last, known)) + 1)
        said: list[str] = []
        unclosed: set[re.Pattern[str]] = set()
        at = last if not final or any(sign in text for sign in _SIGNS) else end
        while found := self._next_marker(at, end):
            at = found.end()
            if found["tag"]:
                closing = _closing_of(found["tag"])
                if closing not in unclosed and closing.search(text, at):
                    said.append(text[last : found.start()])
                    self._at, self._state, self._gap = found.start(), self._begin, "\n\n"
                    break
                unclosed.add(closing)
                if not final:
                    end = found.start()  # it may be closed later
            elif not found["stops"] and _is_header(text, found, last):
                said.append(text[last : found.start()])
                self._gap = _gap_behind(text, found.start(), last)
                self._enter(found)
                break
            if found["stops"] and self._is_control(found, final):
                said.append(text[last : found.start()])
                last = at
        if self._state == self._speak:
            said.append(text[last:end])
            self._at = end
        whole = "".join(said)
        self._shown = self._shown or bool(whole.strip())
        return whole

    def _next_marker(self, at: int, end: int) -> re.Match[str] | None:
        """Return the next stop tokens or header outside code."""
        while at < end:
            if self._fence:
                at = self._end_of_fence(at, end)
                continue
            first = _FENCE.match(self._text, at, end) if self._is_first else None  # behind a tag in its line
            found = first or _IN_BODY.search(self._text, at, end)
            self._is_first = False
            if found is None:
                break
            at = found.end()
            if found["fence"]:
                self._fence = found["ticks"]
            elif not found["code"]:
                return found
        return None

    def _end_of_fence(self, at: int, end: int) -> int:
        """Return where the open fence ends, ``end`` where it does not."""
        closing = re.compile(rf"^[ \t>]*{self._fence}{self._fence[0]}*[ \t]*(?:$|(?={_STOP}))", re.MULTILINE)
        found = closing.search(self._text, at, end)
        if found is None:
            return end
        self._fence = ""
        return found.end()

    def _is_control(self, stops: re.Match[str], final: bool) -> bool:
        """Return whether stop tokens end something, and are not talked about."""
        text, start, end = self._text, stops.start(), stops.end()
        if (final and _NOTHING_LEFT.match(text, end)) or _NEXT.match(text, end):
            return True
        return text[end : end + 1] in {"\r", "\n"} and text[max(0, start - 1) : start] not in _BEFORE_MENTIONS


def _lone_thinking(text: str) -> int:
    """Return where thinking ends that nothing but its end shows, 0 where there is none."""
    if words := _IN_WORDS.match(text):
        return words.end()
    if not any(sign in text for sign in _CLOSING_SIGNS):
        return 0
    in_code = covered_by(_closed_code(text))
    for tag in _TAG.finditer(text):
        if in_code(tag.start()):
            continue
        if tag["opens"]:
            return 0
        if _ends_thinking(text, tag):
            return tag.end()
    return 0


def _closed_code(text: str) -> Iterator[tuple[int, int]]:
    """Yield where code stands; a fence that thinking left open would cover the answer too."""
    for start, end in code_spans(text):
        ticks = text[start : start + 3]
        if ticks not in {"```", "~~~"} or (
            end - start >= 2 * len(ticks) and text.endswith(ticks, start, end)
        ):
            yield start, end


def _ends_thinking(text: str, tag: re.Match[str]) -> bool:
    """Return whether a closing tag stands as models write it, and not as people write about it."""
    before = _line_before(text, tag.start())
    if not before.strip():
        return True
    glued = before[-1].isascii() and before[-1].isalnum()
    ended = before.rstrip()[-1] in _SENTENCE_ENDS
    return glued or ended or text.startswith(("\n\n", "\r\n\r\n"), tag.end())


def _closing_of(opening: str) -> re.Pattern[str]:
    """Return what closes a block of thinking, outside backticks."""
    found = _OPEN.match(opening)
    return _CLOSES[((found and found.lastindex) or 1) - 1]


def _is_header(text: str, header: re.Match[str], floor: int) -> bool:
    """Return whether a header stands where one may: of harmony anywhere, else at the beginning of a line."""
    return "<|message|>" in header[0] or _stands_first(text, header.start(), floor)


def _gap_behind(text: str, at: int, floor: int) -> str:
    """Return what stands for a header between two texts."""
    if _stands_first(text, at, floor):
        return "\n\n"
    return "" if text[at - 1].isspace() else " "


def _stands_first(text: str, at: int, floor: int) -> bool:
    """Return whether a header stands at the beginning of a line, or behind a stop token that ends at ``floor``."""
    return not _line_before(text, at, floor).strip()


def _line_before(text: str, at: int, floor: int = 0) -> str:
    """Return what stands before a place in its line, from ``floor`` on; of a long line only the end."""
    return text[max(floor, at - LOOK) : at].rpartition("\n")[2]


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
