"""The program as a service manager starts it: readiness, watchdog, stop."""

import os
import signal
from pathlib import Path

from tests.managers import listening_manager
from tests.programs import Start, ended
from tests.runtime.rig import TOKEN, Rig, python_agent
from tests.until import until


async def test_a_service_manager_hears_when_the_bots_are_online_that_the_loop_lives_and_of_the_stop(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    with listening_manager(tmp_path / "notify") as heard:
        env = {**os.environ, "NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "300000"}
        agent = python_agent("print(sorted({'NOTIFY_SOCKET', 'WATCHDOG_USEC'} & set(os.environ)))")
        process = await start(rig.config(agent=agent), env=env)
        await heard.until("READY=1")
        assert "STATUS=1 of 1 bots online" in heard.look()
        await until(lambda: heard.look().count("WATCHDOG=1") > 3, "signs of life")
        await rig.until_row(await rig.mention("who listens?"), "answered")
        assert rig.said() == ["[]"]
        process.send_signal(signal.SIGTERM)
        await ended(process)
        told = heard.look()
    stop = told[told.index("STOPPING=1") :]
    assert stop[:3] == ["STOPPING=1", "STATUS=stopping: SIGTERM", "EXTEND_TIMEOUT_USEC=60000000"]
    assert told.count("READY=1") == 1
    assert TOKEN not in "".join(told)


async def test_what_the_watchdog_ends_leaves_in_the_log_where_it_hung(
    rig: Rig, start: Start, tmp_path: Path
) -> None:
    with listening_manager(tmp_path / "notify") as heard:
        env = {**os.environ, "NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "60000000"}
        process = await start(rig.config(), env=env)
        process.send_signal(signal.SIGABRT)
        log = await ended(process, code=-signal.SIGABRT)
    assert "Fatal Python error: Aborted" in log
    assert "in _serve" in log or "run_forever" in log
