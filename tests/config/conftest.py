"""Ways to read a configuration, good or wrong."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw_channel_octo.config.load import Loaded, parse_config
from openclaw_channel_octo.errors import ConfigError

TOKEN = "bf_PLANTED0token0never0to0be0shown"

Parse = Callable[..., Loaded]
Problems = Callable[..., tuple[str, ...]]


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    """Read ``channels.octo`` and ``host`` blocks; the environment holds only what is given."""

    def run(
        octo: Any, host: Any = None, env: Mapping[str, str] | None = None, *, run_programs: bool = True
    ) -> Loaded:
        block = {"agent": {"kind": "echo"}} if host is None else host
        mapping = {"channels": {"octo": octo}, "host": block}
        environment = {"HOME": "/home/op", **(env or {})}
        return parse_config(mapping, base=tmp_path, env=environment, run_programs=run_programs)

    return run


@pytest.fixture
def problems(parse: Parse) -> Problems:
    """Read blocks that are wrong and return the mistakes found."""

    def run(*blocks: Any, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            parse(*blocks, **options)
        assert TOKEN not in str(caught.value) + repr(caught.value)
        return caught.value.problems

    return run
