"""What importing costs: the plugin module, which every host loads, and the running channel."""

import subprocess
import sys

from tests.bench.measure import Row

TIMED = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` fresh interpreters for each module, 15 for a real run."""
    modules = ("pluggy", "openclaw_channel_octo.plugin", "openclaw_channel_octo.runtime.channel")
    taken = [[_import(module) for module in modules] for _ in range(scale)]
    pluggy, plugin, channel = (min(times) * 1e3 for times in zip(*taken, strict=True))
    return [
        Row(
            what="import of the plugin module",
            floor="import of pluggy",
            ours=plugin,
            base=pluggy,
            unit="ms",
            most=1.2,
        ),
        Row(
            what="import of the running channel, over the bare interpreter",
            floor="import of pluggy",
            ours=channel,
            base=pluggy,
            unit="ms",
            most_ours=250.0,
        ),
    ]


def _import(module: str) -> float:
    command = [sys.executable, "-c", TIMED.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
