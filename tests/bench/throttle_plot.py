"""The bench's plots: rate, lag and P95 with its limit over time, and what each contender reached at what price."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from throttle_judge import LAG_LIMIT_SECONDS, best_fixed

COLOURS = {"control": "tab:gray", "none": "tab:red", "onoff": "tab:orange", "ours": "tab:blue", "off": "tab:purple"}
BEST_COLOUR, OTHER_COLOUR = "tab:green", "0.85"
SMOOTH_SECONDS = 5


def smooth(values):
    """Means of the last seconds: a batch each now and then is a rate."""
    return [sum(values[max(0, i - SMOOTH_SECONDS + 1):i + 1]) / min(i + 1, SMOOTH_SECONDS) for i in range(len(values))]


def style(name, best):
    if name in COLOURS:
        return {"color": COLOURS[name], "label": name, "zorder": 3}
    if best is not None and name == best.name:
        return {"color": BEST_COLOUR, "label": f"{name} (best fixed)", "zorder": 3}
    return {"color": OTHER_COLOUR, "zorder": 1}


def draw_over_time(axes, runs, timelines, best):
    rate, lag, latency = axes
    seen = set()
    for run, found in zip(runs, timelines):
        options = {**style(run.name, best), "linewidth": 1.2}
        if run.name in seen:
            options.pop("label", None)
        seen.add(run.name)
        seconds = [one[0] for one in found]
        if not run.is_control:
            rate.plot(seconds, smooth([one[1] for one in found]), **options)
        lag.plot(seconds, [one[2] for one in found], **options)
        latency.plot(seconds, [one[3] for one in found], **options)
    rate.set(ylabel="rows/s", yscale="symlog")
    lag.set(ylabel="lag, s", yscale="symlog")
    latency.set(ylabel="P95 of 15 s, ms", yscale="log", xlabel="seconds")


def draw_limits(axes, runs, verdicts):
    rate, lag, latency = axes
    lag.axhline(LAG_LIMIT_SECONDS, color="black", linestyle="--", linewidth=1)
    least, most = min(one.limit for one in verdicts), max(one.limit for one in verdicts)
    latency.axhspan(least, most, color="black", alpha=0.2, label=f"bound, {least:.2f} to {most:.2f} ms")
    latency.axhline(least, color="black", linestyle="--", linewidth=1)
    for one in axes:
        one.axvline(runs[0].stopped, color="black", linestyle=":", linewidth=1)
        one.grid(alpha=0.3)
        for phase in runs[0].phases:
            one.axvspan(phase["begin"], phase["end"], color="gold", alpha=0.15)
    for phase in runs[0].phases:
        rate.annotate(phase["name"], (phase["begin"], 1), xycoords=("data", "axes fraction"), va="top", fontsize=8)


def draw_prices(axis, verdicts, best):
    for one in verdicts:
        if one.rows:
            known = style(one.name, best)
            axis.scatter(one.rate, 100 * one.excess, color=known["color"] if "label" in known else "0.5", zorder=3, s=25)
            axis.annotate(one.name, (one.rate, 100 * one.excess), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axis.axhline(1, color="black", linestyle="--", linewidth=1)
    axis.set(xlabel="rows/s", ylabel="windows above the bound, % over the control's", xscale="log")
    axis.grid(alpha=0.3)


def draw(path, scenario, runs, verdicts, timelines):
    figure = plt.figure(figsize=(16, 9), constrained_layout=True)
    grid = figure.add_gridspec(3, 2, width_ratios=(5, 3))
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[i, 0], sharex=axes[0]) for i in (1, 2)]
    best = best_fixed(verdicts)
    draw_over_time(axes, runs, timelines, best)
    draw_limits(axes, runs, verdicts)
    axes[2].legend(fontsize=8, loc="upper right")
    draw_prices(figure.add_subplot(grid[:, 1]), verdicts, best)
    figure.suptitle(f"{runs[0].facts['server']}, {scenario}: {runs[0].facts['rate']} requests/s of the site")
    figure.savefig(path, dpi=110)
    plt.close(figure)
