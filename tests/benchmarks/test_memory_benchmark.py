"""The memory benchmarks' own arithmetic: verdicts that can fall either way, extrapolation, and a run that goes on."""

import pytest

from benchmarks.gradient_memory import Record, extrapolated, measure_all
from benchmarks.gradient_time import Timing
from benchmarks.long_horizon import Found, Horizons, difference
from benchmarks.long_horizon import verdicts as long_verdicts
from benchmarks.long_training import Training
from benchmarks.memory_point import MemoryJob, measure
from benchmarks.memory_report import Row, memory_table, verdicts
from benchmarks.memory_ways import NO_GRADIENT, WAYS, why_not

JOB = MemoryJob(batch=8, dim=4, hidden=(6,))
STATE = 8 * 4 * 8


def row(way: str, steps: int, peak: float, status: str = "measured") -> Row:
    return Row(way, steps, peak / 2, peak, 2 * peak, 0.1 * steps, 0.2 * steps, status)


def test_growth_beyond_five_percent_misses_the_bar_and_below_it_passes():
    rows = [row("reversible", 100, 100.0), row("reversible", 10_000, 104.0)]
    rows += [row("adjoint", 100, 100.0), row("adjoint", 10_000, 106.0)]
    lines = verdicts(rows, {}, STATE)
    assert "passed: reversible, peak of tensors grows by at most 4.0 % from 100 to 10,000 steps (bar: 5 %)" in lines
    assert "MISSED: adjoint, peak of tensors grows by at most 6.0 % from 100 to 10,000 steps (bar: 5 %)" in lines
    assert "not measured: Checkpointed(10), peak of tensors from 100 steps on" in lines


def test_extrapolated_rows_are_no_evidence_and_are_marked():
    rows = [row("reversible", 100, 100.0), row("reversible", 10_000, 100.0, "extrapolated")]
    assert "not measured: reversible, peak of tensors from 100 steps on" in verdicts(rows, {}, STATE)
    assert any(line.endswith("| ~0.00 |") for line in memory_table(rows))


def test_times_are_held_against_their_bars():
    timings = {"rk4": [Timing("direct", 1, 1, 1.0), Timing("checkpointed", 1, 2, 1.5), Timing("adjoint", 1, 2, 1.5)]}
    lines = verdicts([], timings, STATE)
    assert "MISSED: checkpointed takes 1.50 times direct's time with rk4 (bar: 1.4)" in lines
    assert "passed: adjoint takes 1.50 times direct's time with rk4 (bar: 3)" in lines


def test_extrapolation_is_a_straight_line_through_the_two_largest_runs():
    known = [row("direct", 10, 999.0), row("direct", 100, 100.0), row("direct", 300, 200.0)]
    found = extrapolated(known, 1100)
    assert (found.peak, found.steps, found.status) == (600.0, 1100, "extrapolated")
    assert found.forward == pytest.approx(110.0)


def test_what_is_too_large_is_extrapolated_and_what_is_recorded_is_not_measured_again(tmp_path):
    record = Record.open(tmp_path / "points.csv", JOB)
    for steps in (100, 300):
        record.add(row("direct", steps, 1e6 * steps))
    again = Record.open(record.path, JOB)
    assert again.rows == record.rows
    measure_all(again, ["direct"], [100, 300, 10_000], limit=3e9, processes=1)
    assert [one.steps for one in again.rows] == [100, 300, 10_000]
    assert again.rows[-1].status == "extrapolated"
    assert "would pass 3 GB" in again.rows[-1].note
    assert Record.open(record.path, JOB).rows == record.rows, "an estimate is made anew"
    assert Record.open(record.path, MemoryJob()).rows == []


@pytest.mark.parametrize("name", WAYS)
def test_every_way_solves_the_same_problem_and_is_counted(name):
    way = WAYS[name]
    if why_not(way, "euler"):
        pytest.skip(why_not(way, "euler"))
    end = way.solve(JOB.field(), JOB.y0(), "euler", 40)
    due = WAYS["direct"].solve(JOB.field(), JOB.y0(), "euler", 40)
    assert end.shape == (8, 4)
    assert (end - due).abs().max() < 1e-3
    found = measure(way, JOB, 10)
    assert STATE <= found.kept <= found.peak
    if name != NO_GRADIENT:
        assert found.peak > measure(WAYS[NO_GRADIENT], JOB, 10).peak


def training(way: str, losses: list[float], resident: float = 50e6) -> Training:
    return Training(way, 1000, losses, resident, float("nan"), 1.0)


def test_loss_curves_and_memory_of_the_long_training_are_judged_as_they_fall():
    short = [training("direct", [1.0, 0.5]), training("reversible", [1.0, 0.5 * (1 + 1e-6)])]
    assert difference(short[1], short[0]) == pytest.approx(1e-6, rel=1e-3)
    long = [training("reversible", [1.0, 0.2]), training("adjoint", [1.0, 2.0], resident=300e6)]
    lines = "\n".join(long_verdicts(Found(Horizons(1000, 1000, 500), long, short, 9e9, 7e9)))
    assert "passed: reversible trains over 1,000 steps within 50 MB" in lines
    assert "MISSED: adjoint trains over 1,000 steps within 300 MB" in lines
    assert "MISSED: adjoint, loss from 1 to 2" in lines
    assert "MISSED: direct's tensors at 10,000 steps would be 7.0 GB, extrapolated" in lines
    assert "passed: reversible, loss curve within 1.0e-06 of direct's" in lines
