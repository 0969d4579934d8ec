"""The short mode of the fuzzing, and that its judge is no fool."""

from pathlib import Path
from random import Random

import pytest

from tests.fuzz import runner
from tests.fuzz.harness import Harness
from tests.fuzz.runner import HARNESSES, keep, plan, replay, run_chunk

SHORT = 20_000
"""Inputs in all; a few seconds."""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """A reader that breaks on one byte and never ends on another."""

    def check(data: bytes) -> None:
        if data == b"\x07":
            raise IndexError("a bug")
        while data == b"\x08":
            pass

    harness = Harness(name="planted", make=lambda rng: rng.randbytes(1), check=check, share=1)
    monkeypatch.setattr(runner, "HARNESSES", {"planted": harness})
    monkeypatch.setattr(runner, "FAILURES", tmp_path / "failures")
    monkeypatch.setattr(runner, "HANG_S", 0.5)  # far above a pause of a busy machine, which is no finding
    return harness


@pytest.mark.parametrize("name", HARNESSES)
def test_whatever_comes_only_the_documented_errors_escape(name: str) -> None:
    shares = sum(harness.share for harness in HARNESSES.values())
    result = run_chunk(HARNESSES[name], f"short/{name}", SHORT * HARNESSES[name].share // shares)
    assert result.failures == {}


@pytest.mark.parametrize("name", HARNESSES)
def test_a_seed_gives_the_same_inputs_again(name: str) -> None:
    make = HARNESSES[name].make
    first, second = Random("again"), Random("again")
    assert [make(first) for _ in range(20)] == [make(second) for _ in range(20)]


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xff", b"\xff\xff\xff\xff\xff"])
@pytest.mark.parametrize("name", HARNESSES)
def test_inputs_too_short_to_mean_anything_are_inputs_too(name: str, data: bytes) -> None:
    HARNESSES[name].check(data)


def test_bugs_and_hangs_are_found_kept_and_can_be_replayed(
    planted: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_chunk(planted, "7", 200)  # a seed with one input that never ends: each costs HANG_S
    assert {finding.split()[0] for finding in result.failures} == {"HangError", "IndexError"}
    (path,) = (path for path in keep(result) if path.read_bytes() == b"planted\n\x07")
    assert f"python -m tests.fuzz replay {path}" in capsys.readouterr().out
    with pytest.raises(IndexError, match="a bug"):
        replay(path)


def test_the_work_is_the_number_of_inputs_asked_for_in_shares() -> None:
    work = plan(1_000_000, list(HARNESSES.values()), 7)
    done = {name: sum(count for harness, _, count in work if harness == name) for name in HARNESSES}
    assert 1_000_000 <= sum(done.values()) < 1_000_000 + len(HARNESSES)
    assert done["codec"] == pytest.approx(20 * done["config-text"], rel=0.01)
    assert len({seed for _, seed, _ in work}) == len(work)
