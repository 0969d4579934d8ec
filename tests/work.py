"""How much work a call is, so that a test can say how it grows with what a stranger sent."""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["cpu_s", "steps"]


def steps(call: Callable[[], object]) -> int:
    """Return how many instructions of Python a call takes; the same call takes as many every time.

    What runs in C, such as a regular expression, is a single one of them: see `cpu_s`.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def cpu_s(call: Callable[[], object]) -> float:
    """Return the seconds of this thread's processor time a call takes, the least of three."""
    taken = []
    for _ in range(3):
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
    return min(taken)
