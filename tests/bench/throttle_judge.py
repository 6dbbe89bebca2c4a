"""The bench's judge: pure functions of the site's own latency log, the rows done and the lag seen from outside. Times are seconds since
the begin of the run; a request belongs to the window in which it was due, so that a stall does not hide what waited for it."""

import bisect
import math
from dataclasses import dataclass

WINDOW_SECONDS = 15
SAMPLES_LEAST = 3000  # of a window: with fewer, P95 says little
INCREASE = 0.20
LAG_LIMIT_SECONDS = 2.0
LAG_GRACE_SECONDS = 1.0
EXCESS_MOST = 0.01


def percentile(values, share):
    """By rank, of values in any order; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def p95(values):
    return percentile(values, 0.95)


class Latencies:
    """(due, ms) of each request."""

    def __init__(self, pairs):
        pairs = sorted(pairs)
        self.due = [due for due, _ in pairs]
        self.ms = [ms for _, ms in pairs]

    def between(self, begin, end):
        return self.ms[bisect.bisect_left(self.due, begin):bisect.bisect_left(self.due, end)]


@dataclass
class Window:
    end: float
    samples: int
    p95: float


def windows(latencies, begin, end, step):
    """Each is WINDOW_SECONDS long and lies wholly between begin and end."""
    found = []
    for i in range(int((end - begin - WINDOW_SECONDS) / step + 1e-6) + 1):
        values = latencies.between(begin + i * step, begin + i * step + WINDOW_SECONDS)
        if values:
            found.append(Window(begin + i * step + WINDOW_SECONDS, len(values), p95(values)))
    return found


def share_above(found, limit):
    return sum(window.p95 > limit for window in found) / len(found) if found else None


@dataclass
class Work:
    """When rows were done: the first and the last time at which their number grew."""
    begin: float
    end: float
    rows: int

    @property
    def rate(self):
        return self.rows / (self.end - self.begin) if self.end > self.begin else 0.0


def work_of(series, stopped):
    """Of (time, rows, lag). None where no row was done. Until the contender was told to stop, work goes on, held or not."""
    grown = [after for before, after in zip(series, series[1:]) if after[1] > before[1]]
    return Work(grown[0][0], max(stopped, grown[-1][0]), series[-1][1]) if grown else None


def base_load(latencies, phases, end):
    """What was due in the run outside of the phases with another load."""
    other = [phase for phase in phases if phase["load"] != 1]
    return [ms for due, ms in zip(latencies.due, latencies.ms)
            if 0 <= due < end and not any(phase["begin"] <= due < phase["end"] for phase in other)]


@dataclass
class Verdict:
    name: str
    limit: float           # ms
    rows: int
    first_row: float       # seconds until it
    rate: float            # rows/s from the first row to the end of the work
    p95: float             # of all that was judged
    worst: float           # P95 of the worst window
    tumbling: int          # windows, and the share of them above the limit
    tumbling_above: float
    sliding_above: float   # of windows that slide by a second
    thin: int              # sliding windows with too few samples
    lag_most: float
    rows_beyond: int       # done while the lag was beyond its limit and the grace
    judged_past_end: float
    cpu: float             # the share of all processors that was busy
    note: str
    excess: float = 0.0    # of the sliding share over the control's
    lag_allowed: float = LAG_LIMIT_SECONDS + LAG_GRACE_SECONDS

    @property
    def is_control(self):
        return self.name == "control"

    @property
    def keeps(self):
        return self.excess <= EXCESS_MOST and self.lag_most <= self.lag_allowed


def rows_beyond(series, lag):
    return sum(after[1] - before[1] for before, after in zip(series, series[1:]) if before[2] is not None and before[2] > lag)


def judge(run, limit):
    """Of one run (throttle_record.Run), against the limit in ms."""
    work = work_of(run.series, run.stopped)
    begin = work.begin if work else 0.0
    tumbling = windows(run.latencies, begin, run.end, WINDOW_SECONDS)
    sliding = windows(run.latencies, begin, run.end, 1)
    return Verdict(
        name=run.name, limit=limit, rows=work.rows if work else 0, first_row=begin, rate=work.rate if work else 0.0,
        p95=p95(run.latencies.between(begin, run.end)), worst=max((w.p95 for w in sliding), default=None),
        tumbling=len(tumbling), tumbling_above=share_above(tumbling, limit), sliding_above=share_above(sliding, limit),
        thin=sum(w.samples < SAMPLES_LEAST for w in sliding),
        lag_most=max((lag for time, _, lag in run.series if time >= begin and lag is not None), default=0.0),
        rows_beyond=rows_beyond(run.series, LAG_LIMIT_SECONDS + LAG_GRACE_SECONDS),
        judged_past_end=run.end - (work.end if work else run.stopped), cpu=run.facts["cpu"],
        note=run.note)


def control_limit(controls):
    """The bound in ms: P95 of these idle controls under their base load, and the increase that is allowed."""
    values = [ms for run in controls for ms in base_load(run.latencies, run.phases, run.end)]
    assert values, "no control: there is nothing to judge by"
    return p95(values) * (1 + INCREASE)


def controls_beside(runs, i):
    """The last control before a run and the first one after it; of a control, itself. A machine that gets slower in an hour is no
    contender's fault."""
    if runs[i].is_control:
        return [runs[i]]
    before = [run for run in runs[:i] if run.is_control][-1:]
    return before + [run for run in runs[i:] if run.is_control][:1]


def judge_all(runs):
    """Verdicts in the order of the runs; excess and allowed lag are over the controls of the same session."""
    verdicts = [judge(run, control_limit(controls_beside(runs, i))) for i, run in enumerate(runs)]
    idle = [verdict for verdict in verdicts if verdict.is_control]
    share = sum(verdict.sliding_above or 0 for verdict in idle) / len(idle)
    lag = max(verdict.lag_most for verdict in idle)
    for verdict in verdicts:
        verdict.excess = (verdict.sliding_above or 0) - share
        verdict.lag_allowed = max(LAG_LIMIT_SECONDS, lag) + LAG_GRACE_SECONDS
    return verdicts


def best_fixed(verdicts):
    """The fastest fixed pair that keeps the bound, or None."""
    return max((one for one in verdicts if one.name.startswith("fixed-") and one.keeps), key=lambda one: one.rate, default=None)
