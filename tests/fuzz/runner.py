"""Runs harnesses over many inputs in several processes, and keeps the inputs that break something."""

import hashlib
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType

from tests.fuzz import (
    answer_harness,
    content_harness,
    files_harness,
    output_harness,
    rest_harness,
    wire_harness,
)
from tests.fuzz.harness import Harness
from tests.hostile import members_harness

HARNESSES: Mapping[str, Harness] = {
    harness.name: harness
    for module in (
        wire_harness,
        content_harness,
        output_harness,
        answer_harness,
        rest_harness,
        files_harness,
        members_harness,
    )
    for harness in module.HARNESSES
}

HANG_S = 20.0
"""Seconds after which an input counts as one that never ends; far above what a busy machine costs."""

MEMORY_BYTES = 3 * 1024**3
"""Address space of a process that reads inputs; one that wants more fails."""

CHUNK = 10_000
FAILURES = Path("fuzz-failures")


class HangError(BaseException):
    """An input was not dealt with in time; not an `Exception`, so that no reader takes it for its own."""


@dataclass(slots=True)
class Result:
    """What became of some inputs of one harness.

    Attributes:
        name: the harness.
        inputs: how many inputs it read.
        seconds: how long that took.
        slowest_s: what the slowest input took.
        memory_kb: largest resident size of the process so far.
        failures: an input for each kind of finding.
    """

    name: str
    inputs: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    memory_kb: int = 0
    failures: dict[str, bytes] = field(default_factory=dict)

    def add(self, other: "Result") -> None:
        """Add up what another part of the same harness's inputs gave."""
        self.inputs += other.inputs
        self.seconds += other.seconds
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.memory_kb = max(self.memory_kb, other.memory_kb)
        self.failures = other.failures | self.failures


def run_chunk(harness: Harness, seed: str, count: int) -> Result:
    """Make and check ``count`` inputs; the same seed gives the same inputs in any process."""
    rng = Random(seed)
    result = Result(harness.name)
    began = time.perf_counter()
    with _quiet(), _alarm():
        for _ in range(count):
            data = harness.make(rng)
            at = time.perf_counter()
            if finding := _finding(harness.check, data):
                result.failures.setdefault(finding, data)
            result.slowest_s = max(result.slowest_s, time.perf_counter() - at)
            result.inputs += 1
    result.seconds = time.perf_counter() - began
    result.memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return result


def _finding(check: Callable[[bytes], None], data: bytes) -> str:
    """Return what is wrong with how an input was dealt with, empty where nothing is."""
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        check(data)
    except (Exception, HangError) as error:  # noqa: BLE001  # whatever escapes is what we look for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Let nobody log: readers warn of broken files, and here every file is one."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"no end within {HANG_S:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def plan(inputs: int, harnesses: Sequence[Harness], seed: int) -> list[tuple[str, str, int]]:
    """Return the work as (harness, seed of its own, inputs), harnesses taking turns."""
    total = sum(harness.share for harness in harnesses)
    parts = []
    for harness in harnesses:
        left = -(-inputs * harness.share // total)
        for number, start in enumerate(range(0, left, CHUNK)):
            key = (number / left, harness.name, f"{seed}/{harness.name}/{number}", min(CHUNK, left - start))
            parts.append(key)
    return [(name, own_seed, count) for _, name, own_seed, count in sorted(parts)]


def _work(name: str, seed: str, count: int) -> Result:
    return run_chunk(HARNESSES[name], seed, count)


def _prepare(folder: str) -> None:
    tempfile.tempdir = folder
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]  # nothing written here has to last


def run(inputs: int, seed: int, names: Sequence[str] = ()) -> dict[str, Result]:
    """Run the long mode: every core, a progress line, failing inputs written to `FAILURES`.

    SIGINT ends it early, with the results so far.

    Args:
        inputs: how many in all.
        seed: gives the same inputs again.
        names: only these harnesses, all by default.
    """
    chosen = [HARNESSES[name] for name in names or HARNESSES]
    work = plan(inputs, chosen, seed)
    results = {harness.name: Result(harness.name) for harness in chosen}
    total, began = sum(count for _, _, count in work), time.monotonic()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # files in memory are the fastest
    with (
        TemporaryDirectory(prefix="octo-fuzz-", dir=memory) as folder,
        ProcessPoolExecutor(os.cpu_count(), initializer=_prepare, initargs=(folder,)) as pool,
    ):
        parts = [pool.submit(_work, *part) for part in work]
        try:
            for done in as_completed(parts):
                result = done.result()
                keep(result)
                results[result.name].add(result)
                _show_progress(results, total, time.monotonic() - began)
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return results


def keep(result: Result) -> list[Path]:
    """Write the inputs that broke something, each once, and return where."""
    kept = []
    for finding, data in result.failures.items():
        path = FAILURES / f"{result.name}-{hashlib.sha256(data).hexdigest()[:12]}.input"
        FAILURES.mkdir(exist_ok=True)
        path.write_bytes(f"{result.name}\n".encode() + data)
        print(f"\n{result.name}: {finding}; replay it with: python -m tests.fuzz replay {path}")  # noqa: T201
        kept.append(path)
    return kept


def replay(path: Path) -> None:
    """Read one kept input again, and let what it breaks show itself."""
    name, _, data = path.read_bytes().partition(b"\n")
    HARNESSES[name.decode()].check(data)


def _show_progress(results: Mapping[str, Result], total: int, seconds: float) -> None:
    inputs = sum(result.inputs for result in results.values())
    broken = sum(len(result.failures) for result in results.values())
    line = f"{inputs:>11,} of {total:,} inputs, {inputs / seconds:,.0f} a second, {broken} findings"
    sys.stderr.write(f"\r{line}" if sys.stderr.isatty() else f"{line}\n")
