"""``python -m tests.bench.road``: how often a reader jumps between files to follow one mention.

A double and a channel with the embedded echo agent run in this process. One mention in a group is answered; then a
second one is traced, from the moment it is said until its answer stands in the chat of the double. All threads and
tasks are traced. The figures are those of the middle one of five runs, in the order of their moves.

What is counted:

* *frame*: of a function of ``openclaw_channel_octo``. The double's frames do not count: those of
  ``openclaw_channel_octo/testing`` and of its web server, and whatever they call.
* *call*: the begin of a frame. A coroutine or generator that goes on after ``await`` or ``yield`` is not called
  again. A comprehension belongs to the function it stands in.
* *caller*: the nearest counted frame below a call on the stack, through frames of libraries. Tasks, callbacks and
  jobs of threads have none.
* *move*: a step into another file: from a caller into the file of the call, and from there back when it returns.
  A call without a caller is one move, because it returns to no file; a call inside a file is none.
* *entered*: the moves into a file, returns too.
* *parsed*, *rendered*: calls of ``parse_payload`` and ``render`` with the payload of the traced mention.

The typing indicator, which Octo sends back to the bot as a packet, arrives meanwhile and counts. Logging is left as
Python sets it up: lines below WARNING are not made.
"""

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import openclaw_channel_octo
from openclaw_channel_octo.clock import SystemClock
from openclaw_channel_octo.testing import OctoDouble
from tests.bench.measure import Row
from tests.runtime.rig import Rig

RUNS = 5
SHOWN = 12
"""Files and pairs of files in the report."""
CALM_S = 0.5
"""Wait after the first answer, so that nothing of it is left to do."""

_PACKAGE = f"{Path(openclaw_channel_octo.__file__).parent}/"
_DOUBLE = ("testing/", "observe/listening.py")
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_PARSE, _RENDER = ("message/payload.py", "parse_payload"), ("message/render.py", "render")
_ARGUMENTS = {_PARSE: "raw", _RENDER: "payload"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        caller: the file it came from, empty where nothing counted is below it.
        file: the file it went into, relative to the package as `caller`.
        name: the function's qualified name.
        given: the first argument of ``parse_payload`` and ``render``, ``None`` for other functions.
    """

    caller: str
    file: str
    name: str
    given: Any = None

    @property
    def steps(self) -> Sequence[str]:
        """The files its moves go into."""
        if self.caller == self.file:
            return ()
        return (self.file, self.caller) if self.caller else (self.file,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """What one mention was seen to do.

    Attributes:
        calls: every call, in order within each thread.
        parsed: files that had the mention's payload parsed, one for each time.
        rendered: files that had it rendered, likewise.
    """

    calls: Sequence[Call]
    parsed: Sequence[str]
    rendered: Sequence[str]

    @property
    def entered(self) -> Counter[str]:
        """Moves into each file."""
        return Counter(step for call in self.calls for step in call.steps)

    @property
    def pairs(self) -> Counter[tuple[str, str]]:
        """Calls from each file into each other file; a call is two moves."""
        return Counter((call.caller, call.file) for call in self.calls if len(call.steps) > 1)


@dataclass(slots=True)
class _Tracer:
    """A profile function that records calls until ``ended`` returns true."""

    ended: Callable[[], bool] = lambda: True
    calls: list[Call] = field(default_factory=list)
    over: bool = True

    def begin(self, ended: Callable[[], bool]) -> None:
        self.ended, self.over = ended, False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or self.over:
            return
        file, begins = _file(frame), frame.f_lineno == frame.f_code.co_firstlineno
        if not file or not begins or frame.f_code.co_name in _COMPREHENSIONS:
            return
        below = [found for found in map(_file, _below(frame)) if found]
        if any(found.startswith(_DOUBLE) for found in (file, *below)):
            return
        self.over = self.ended()
        if not self.over:
            name = frame.f_code.co_qualname
            argument = _ARGUMENTS.get((file, name))
            given = frame.f_locals[argument] if argument else None
            self.calls.append(Call(below[0] if below else "", file, name, given))


def _below(frame: FrameType) -> Iterator[FrameType]:
    below = frame.f_back
    while below is not None:
        yield below
        below = below.f_back


def _file(frame: FrameType) -> str:
    return _relative(frame.f_code.co_filename)


@cache
def _relative(path: str) -> str:
    return path.removeprefix(_PACKAGE) if path.startswith(_PACKAGE) else ""


@contextmanager
def _everywhere(tracer: _Tracer) -> Iterator[None]:
    """Let the tracer see this thread and those that start inside."""
    before, before_in_threads = sys.getprofile(), threading.getprofile()
    threading.setprofile(tracer)
    sys.setprofile(tracer)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(before_in_threads)


async def _mention(tracer: _Tracer, folder: Path) -> Road:
    async with OctoDouble() as octo:
        rig = Rig(octo, folder, SystemClock())
        await rig.start(rig.config())
        try:
            await rig.until_row(await rig.mention("What is the time?"), "answered")
            await asyncio.sleep(CALM_S)
            tracer.begin(lambda: len(rig.said()) > 1)
            mention = await rig.mention("And the date?")
            await rig.until_said(2)
            (line,) = (line for line in octo.chat(rig.group) if line.message_id == mention)
        finally:
            await rig.stop(drain_s=10)
    return Road(
        calls=tracer.calls,
        parsed=_callers(tracer.calls, _PARSE, lambda raw: json.loads(raw) == line.payload),
        rendered=_callers(tracer.calls, _RENDER, lambda payload: payload.data == line.payload),
    )


def _callers(
    calls: Sequence[Call], function: tuple[str, str], wanted: Callable[[Any], bool]
) -> Sequence[str]:
    return [call.caller for call in calls if (call.file, call.name) == function and wanted(call.given)]


def roads(runs: int) -> Sequence[Road]:
    """Trace a second mention so many times, each with a channel of its own, and return them by their moves."""
    found = []
    for _ in range(runs):
        tracer = _Tracer()
        with TemporaryDirectory() as folder, _everywhere(tracer):
            found.append(asyncio.run(_mention(tracer, Path(folder))))
    return sorted(found, key=lambda road: road.entered.total())


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` runs, 5 for a real run."""
    road = roads(scale)[scale // 2]
    figures = {
        "files": len(road.entered),
        "calls": len(road.calls),
        "moves": road.entered.total(),
        "parses": len(road.parsed),
        "renders": len(road.rendered),
    }
    return [
        Row(what="one mention → its answer in the chat", floor="–", ours=count, base=0, unit=unit)
        for unit, count in figures.items()
    ]


def report(found: Sequence[Road]) -> str:
    """Return the figures of the middle one of some runs that are sorted by their moves."""
    road = found[len(found) // 2]
    least, most = (found[place].entered.total() for place in (0, -1))
    functions = len({(call.file, call.name) for call in road.calls})
    head = [
        f"files entered     {len(road.entered)}",
        f"function calls    {len(road.calls)}, of {functions} functions",
        f"moves             {road.entered.total()} ({least} to {most} in {len(found)} runs)",
        f"payload parsed    {len(road.parsed)}: {', '.join(road.parsed)}",
        f"payload rendered  {len(road.rendered)}: {', '.join(road.rendered)}",
    ]
    entered = [f"{count:6}  {file}" for file, count in road.entered.most_common(SHOWN)]
    pairs = [f"{count:6}  {caller} → {file}" for (caller, file), count in road.pairs.most_common(SHOWN)]
    return "\n".join([*head, "", "entered most", *entered, "", "calls between two files", *pairs, ""])


if __name__ == "__main__":
    sys.stdout.write(report(roads(RUNS)))
