"""The judge of tests/bench/throttle.py: what it says is what the throttle is measured by."""

import os
import random
import sys

import pytest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench"))

from throttle_judge import Latencies, best_fixed, control_limit, judge_all, percentile, windows, work_of
from throttle_record import Run

RATE = 300


def site(seconds, worse=()):
    """A log of 1 ms on average, ten times that in the spans (begin, end) of `worse`."""
    chance = random.Random(1)
    pairs = [(i / RATE, chance.expovariate(1)) for i in range(int(seconds * RATE))]
    return [(due, ms * (10 if any(begin <= due < end for begin, end in worse) else 1)) for due, ms in pairs]


def run(name, rate=0, seconds=120, tail=60, worse=(), lag=0.1, phases=()):
    series = [(i / 10, int(max(0, min(i / 10, seconds) - 1) * rate), lag) for i in range(1, (seconds + tail) * 10)]
    facts = {"contender": name, "stopped": seconds, "end": seconds + tail, "phases": phases, "note": "", "cpu": 0.5}
    return Run("", facts, series, Latencies(site(seconds + tail, worse)))


def verdicts_of(*runs):
    return {verdict.name: verdict for verdict in judge_all([run("control"), *runs, run("control")])}


@pytest.mark.parametrize("share, value", [(0.5, 50), (0.95, 95), (0.951, 96), (1, 100)])
def test_a_percentile_is_one_of_the_values(share, value):
    assert percentile(range(100, 0, -1), share) == value


def test_windows_lie_within_what_is_judged():
    found = windows(Latencies(site(60)), 10, 40, 1)
    assert [window.end for window in found] == list(range(25, 41))
    assert {window.samples for window in found} == {15 * RATE}


def test_the_bound_is_a_fifth_above_the_control():
    control = run("control")
    assert control_limit([control]) == pytest.approx(1.2 * percentile(control.latencies.ms, 0.95))


def test_a_control_under_more_load_does_not_raise_the_bound():
    phase = {"name": "", "begin": 40, "end": 80, "load": 1.2, "replica": ""}
    loaded = run("control", worse=[(40, 80)], phases=[phase])
    assert control_limit([loaded]) == pytest.approx(control_limit([run("control")]), rel=0.1)


def test_who_changes_nothing_keeps_the_bound():
    found = verdicts_of(run("ours", rate=1000))["ours"]
    assert found.keeps and found.excess <= 0 and found.thin == 0
    assert found.rate == pytest.approx(1000, rel=0.01)


def test_ten_bad_seconds_break_it():
    found = verdicts_of(run("ours", rate=1000, worse=[(50, 60)]))["ours"]
    assert not found.keeps and 0.1 < found.excess < 0.2


def test_so_does_a_stall_after_the_work():
    assert not verdicts_of(run("ours", rate=1000, worse=[(150, 155)]))["ours"].keeps


def test_and_lag():
    found = verdicts_of(run("ours", rate=1000, lag=3.5))["ours"]
    assert not found.keeps and found.rows_beyond == pytest.approx(119000, rel=0.01)


def test_lag_that_the_control_has_as_well_is_allowed():
    runs = [run("control", lag=5), run("ours", rate=1000, lag=5.5), run("none", rate=1000, lag=6.5)]
    assert [verdict.keeps for verdict in judge_all(runs)] == [True, True, False]


def test_each_run_is_judged_by_the_controls_beside_it():
    """The machine is ten times slower from the second control on."""
    slow = [(0, 1000)]
    runs = [run("control"), run("fixed-1-1", 10), run("control", worse=slow), run("fixed-2-2", 20, worse=slow), run("control", worse=slow)]
    verdicts = judge_all(runs)
    assert verdicts[3].limit == pytest.approx(10 * control_limit(runs[:1]), rel=0.01)
    assert best_fixed(verdicts).name == "fixed-2-2"


def test_a_hold_counts_as_work_and_learning_before_the_first_row_does_not():
    series = [(i / 10, 0 if i < 300 else 1000 if i < 600 else 2000, 0.1) for i in range(1, 1200)]
    work = work_of(series, stopped=110)
    assert (work.begin, work.end, work.rows) == (30, 110, 2000)


def test_nothing_done_is_no_rate():
    assert verdicts_of(run("ours"))["ours"].rate == 0
