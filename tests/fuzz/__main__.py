"""The long mode: ``python -m tests.fuzz [HARNESS …]`` or ``python -m tests.fuzz replay FILE``."""

import os
import secrets
import sys
from pathlib import Path

from tests.fuzz.runner import HARNESSES, replay, run

INPUTS = 10_000_000


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; return 1 where something broke."""
    if arguments[:1] == ["replay"]:
        replay(Path(arguments[1]))
        print("nothing broke")
        return 0
    if unknown := set(arguments) - set(HARNESSES):
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(HARNESSES)}", file=sys.stderr)
        return 2
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**32))
    inputs = int(os.environ.get("FUZZ_INPUTS") or INPUTS)
    print(f"SEED={seed} FUZZ_INPUTS={inputs}", flush=True)
    results = run(inputs, seed, arguments)
    print(f"{'harness':<12} {'inputs':>10} {'a second':>10} {'slowest':>9} {'memory':>8} findings")
    for result in results.values():
        speed = result.inputs / result.seconds
        print(
            f"{result.name:<12} {result.inputs:>10,} {speed:>10,.0f} {result.slowest_s:>7.3f} s"
            f" {result.memory_kb // 1024:>5} MB {len(result.failures):>8}"
        )
    print(f"{sum(result.inputs for result in results.values()):,} inputs, SEED={seed}")
    return 1 if any(result.failures for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
