"""Tables and plots of the bench's raw data: report.md with a table and a verdict for each scenario, a timeline.csv for each run and, with
matplotlib, a SCENARIO.png."""

import os
import sys

from throttle_judge import EXCESS_MOST, INCREASE, LAG_GRACE_SECONDS, WINDOW_SECONDS, best_fixed, judge_all, p95
from throttle_record import load_scenario, write_csv

NEEDS_MATPLOTLIB = "no plots: matplotlib is missing (apt install python3-matplotlib; RENDER=FOLDER make bench-throttle draws them later)"
COLUMNS = ("contender", "rows/s", "rows", "first row", "P95", "worst window", "bound", "windows above", "sliding", "excess", "lag most", "rows beyond lag",
           "CPU", "keeps", "note")


def has_matplotlib():
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def tell_of_plots():
    if not has_matplotlib():
        print(NEEDS_MATPLOTLIB, file=sys.stderr)


# --- the timeline ---

def timeline(run, limit):
    """(second, rows/s, lag, P95 of the 15 s before, limit) for each second."""
    rows, lag, found, i = 0, 0.0, [], 0
    for second in range(1, int(run.end) + 1):
        before, lag = rows, 0.0
        while i < len(run.series) and run.series[i][0] < second:
            rows, lag = run.series[i][1], max(lag, run.series[i][2] or 0.0)
            i += 1
        found.append((second, rows - before, lag, p95(run.latencies.between(second - WINDOW_SECONDS, second)), limit))
    return found


def write_timeline(directory, found):
    write_csv(os.path.join(directory, "timeline.csv"), ("second", "rows_per_s", "lag_s", "p95_ms", "limit_ms"),
              ((second, rows, f"{lag:.3f}", "" if value is None else f"{value:.3f}", f"{limit:.3f}")
               for second, rows, lag, value, limit in found))


# --- the table ---

def share(value):
    return "–" if value is None else f"{value:.1%}"


def ms(value):
    return "–" if value is None else f"{value:.2f} ms"


def cells(verdict):
    idle = verdict.rows == 0
    return (verdict.name, "–" if idle else f"{verdict.rate:,.0f}", f"{verdict.rows:,}", "–" if idle else f"{verdict.first_row:.1f} s",
            ms(verdict.p95), ms(verdict.worst), ms(verdict.limit), f"{share(verdict.tumbling_above)} of {verdict.tumbling}", share(verdict.sliding_above),
            f"{verdict.excess:+.1%}", f"{verdict.lag_most:.2f} s", f"{verdict.rows_beyond:,}", f"{verdict.cpu:.0%}",
            "–" if verdict.is_control else "yes" if verdict.keeps else "**no**", verdict.note)


def table(verdicts):
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, verdicts)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def verdict_on_controls(verdicts):
    idle = [one for one in verdicts if one.is_control]
    return (f"The bound is {1 + INCREASE:.2f} × the P95 of the idle controls before and after a run. The controls' own P95: "
            f"{', '.join(ms(one.p95) for one in idle)}; of their own windows {', '.join(share(one.sliding_above) for one in idle)} are above it.")


def verdict_on_fixed(best, verdicts):
    tried = [one for one in verdicts if one.name.startswith("fixed-")]
    if not tried:
        return "No fixed pair was tried."
    if best is None:
        gentlest = min(tried, key=lambda one: one.excess)
        return f"No fixed pair of {len(tried)} keeps the bound; the gentlest is {gentlest.name}: {gentlest.rate:,.0f} rows/s, excess {gentlest.excess:+.1%}."
    return (f"The best of {len(tried)} fixed pairs that keeps the bound (excess at most {EXCESS_MOST:.0%}): {best.name}, {best.rate:,.0f} rows/s, "
            f"excess {best.excess:+.1%}.")


def verdict_on(name, best, verdicts):
    found = [one for one in verdicts if one.name == name]
    lines = []
    for one in found:
        kept = "keeps the bound" if one.keeps else "does NOT keep the bound"
        ratio = f"; {one.rate / best.rate:.2f} × the rows/s of {best.name}" if best is not None and best.rate else ""
        lines.append(f"{name}: {one.rate:,.0f} rows/s, excess {one.excess:+.1%}, lag up to {one.lag_most:.2f} s: {kept}{ratio}.")
    return lines


def doubts(runs, verdicts):
    found = []
    thin = sum(one.thin for one in verdicts)
    if thin:
        found.append(f"{thin} windows have too few samples.")
    past = min(one.judged_past_end for one in verdicts)
    if past < 59:
        found.append(f"Judged until {past:.0f} s past the end of the work only.")
    lag = max(one.lag_most for one in verdicts if one.is_control)
    if lag > LAG_GRACE_SECONDS and not any(phase["replica"] == "paused" for phase in runs[0].phases):
        found.append(f"The idle servers' replica was itself up to {lag:.1f} s behind.")
    idle = [one.p95 for one in verdicts if one.is_control]
    if max(idle) > min(idle) * 1.1:
        found.append(f"The idle server's P95 itself went from {min(idle):.2f} to {max(idle):.2f} ms: the machine was not quiet, or has changed meanwhile.")
    return found


def text_of(scenario, runs, verdicts):
    facts, best = runs[0].facts, best_fixed(verdicts)
    lines = [verdict_on_controls(verdicts), verdict_on_fixed(best, verdicts)]
    for name in ("none", "onoff", "off", "ours"):
        lines += verdict_on(name, best, verdicts)
    lines += [f"Doubt: {one}" for one in doubts(runs, verdicts)]
    return (f"## {facts['server']}: {scenario}\n\n{facts['rate']} requests/s of the site, {facts['table_rows']:,} rows.\n\n"
            + table(verdicts) + "\n" + "".join(f"- {line}\n" for line in lines))


# --- all of it ---

def render_scenario(out, scenario, runs):
    """Its part of the report."""
    verdicts = judge_all(runs)
    timelines = [timeline(run, verdict.limit) for run, verdict in zip(runs, verdicts)]
    for run, found in zip(runs, timelines):
        write_timeline(run.directory, found)
    if has_matplotlib():
        import throttle_plot
        throttle_plot.draw(os.path.join(out, f"{scenario}.png"), scenario, runs, verdicts, timelines)
    return text_of(scenario, runs, verdicts)


def scenarios_of(out):
    """Those with raw data, in the order of their runs."""
    found = [name for name in os.listdir(out) if os.path.isdir(os.path.join(out, name))]
    return sorted(found, key=lambda name: min(os.listdir(os.path.join(out, name)), default=""))


def render(out):
    parts = []
    for scenario in scenarios_of(out):
        runs = load_scenario(os.path.join(out, scenario))
        if any(run.is_control for run in runs):
            parts.append(render_scenario(out, scenario, runs))
    text = "\n".join(parts)
    with open(os.path.join(out, "report.md"), "w") as f:
        f.write(text)
    print(text)
    tell_of_plots()
