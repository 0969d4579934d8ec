"""Every benchmark runs; what it measures is for `make bench` to show, on a machine that does nothing else."""

import pytest

from tests.bench.__main__ import main, table
from tests.bench.measure import Row
from tests.bench.road import Call, Road, report
from tests.bench.suite import BENCHMARKS

TINY = {
    "packets": 100,
    "chatter": 300,
    "presence": 10,
    "gateway": 3,
    "store": 1_000,
    "programs": 2,
    "turns": 2,
    "idle": 3,
    "waiting": 1,
    "imports": 1,
    "start": 1,
    "road": 1,
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_gives_measures(name: str) -> None:
    run, _ = BENCHMARKS[name]
    rows = run(TINY[name])
    assert rows
    assert all(row.ours > 0 for row in rows)


def test_the_table_tells_what_missed_its_aim() -> None:
    rows = [
        Row(what="a", floor="b", ours=3.0, base=2.0, unit="µs", most=1.5),
        Row(what="c", floor="d", ours=3.1, base=2.0, unit="µs", most=1.5, most_ours=4.0),
        Row(what="e", floor="–", ours=1.0, base=0.0, unit="ms"),
    ]
    text = table({"packets": rows})
    assert "| a | b | 3 µs | 2 µs | 1.50 × | ≤ 1.5 ×: met |" in text
    assert "≤ 1.5 ×, ≤ 4 µs: **missed** |" in text
    assert "| e | – | 1 ms | – | – | – |" in text


def test_a_run_of_some_benchmarks_keeps_the_rows_of_the_others() -> None:
    def rows(*names: str) -> list[Row]:
        return [Row(what=name, floor="b", ours=3.0, base=2.0, unit="µs") for name in names]

    before = table({"packets": rows("old", "gone"), "store": rows("kept"), "imports": rows("last")})
    after = table({"packets": rows("new")}, before)
    assert after == table({"packets": rows("new"), "store": rows("kept"), "imports": rows("last")})


def test_a_benchmark_nobody_has_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "speed" in capsys.readouterr().err


def test_the_way_there_and_back_are_moves_where_a_call_goes_into_another_file() -> None:
    inside, across, from_the_loop = (
        Call("a.py", "a.py", "f"),
        Call("a.py", "b.py", "g"),
        Call("", "a.py", "h"),
    )
    road = Road(calls=[from_the_loop, inside, across], parsed=["a.py"], rendered=[])
    assert road.entered == {"a.py": 2, "b.py": 1}
    assert road.pairs == {("a.py", "b.py"): 1}
    text = report([road])
    assert "function calls    3, of 3 functions" in text
    assert "moves             3 (3 to 3 in 1 runs)" in text
    assert "payload parsed    1: a.py" in text
