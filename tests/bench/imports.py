"""What importing costs: the plugin module, which every host loads, and the running channel."""

import os
import subprocess
import sys

from tests.bench.measure import Row, lower_quartile

TIMED = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
LIBRARIES = (
    "asyncio, sqlite3, yarl, pydantic.main, pydantic.types, pydantic.type_adapter, msgpack, msgspec, "
    "websockets.asyncio.client, "
    "cryptography.hazmat.primitives.ciphers, cryptography.hazmat.primitives.asymmetric.x25519"
)
"""What is imported with the channel; pydantic loads most of itself only when it is asked for its parts."""
HTTP_CLIENT = (
    "openclaw_channel_octo.runtime.channel, asyncio; from openclaw_channel_octo.runtime.preload import preload; "
    "asyncio.run(preload())"
)
"""What a process has loaded once its first bot is starting."""


def run(scale: int) -> list[Row]:
    """Measure with ``scale`` fresh interpreters for each, 25 for a real run."""
    channel = "openclaw_channel_octo.runtime.channel"
    works = ("pluggy", "openclaw_channel_octo.plugin", LIBRARIES, channel, HTTP_CLIENT)
    for work in works:
        _import(work)  # compiles what has not been compiled yet
    taken = [[_import(work) for work in works] for _ in range(scale)]
    pluggy, plugin, libraries, running, with_client = (
        lower_quartile(times) * 1e3 for times in zip(*taken, strict=True)
    )
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
            floor="import of its libraries alone",
            ours=running,
            base=libraries,
            unit="ms",
            most_ours=250.0,
        ),
        Row(
            what="the same with the HTTP client, which the first bot loads",
            floor="import of the running channel",
            ours=with_client,
            base=running,
            unit="ms",
        ),
    ]


def _import(modules: str) -> float:
    """Return the CPU seconds of an import, with compiled modules, as an installer leaves them."""
    command = [sys.executable, "-c", TIMED.format(modules)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
