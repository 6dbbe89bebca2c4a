"""A run's raw data on disk: run.json, series.csv (seconds, rows, lag) and latency.csv (seconds when due, ms), from which tables and plots
are made, now or later."""

import csv
import json
import os

from throttle_judge import Latencies


class Run:
    """One contender in one scenario. Times are seconds since its begin."""

    def __init__(self, directory, facts, series, latencies):
        self.directory = directory
        self.name = facts["contender"]
        self.stopped, self.end = facts["stopped"], facts["end"]
        self.phases, self.note = facts["phases"], facts["note"]
        self.facts, self.series, self.latencies = facts, series, latencies

    @property
    def is_control(self):
        return self.name == "control"


def save(directory, facts, series, latencies):
    os.makedirs(directory)
    with open(os.path.join(directory, "run.json"), "w") as f:
        json.dump(facts, f, indent=1)
    write_csv(os.path.join(directory, "series.csv"), ("seconds", "rows", "lag_s"),
              ((f"{time:.2f}", rows, "" if lag is None else f"{lag:.3f}") for time, rows, lag in series))
    write_csv(os.path.join(directory, "latency.csv"), ("due_s", "ms"), ((f"{due:.4f}", f"{ms:.3f}") for due, ms in latencies))
    return load(directory)


def load(directory):
    with open(os.path.join(directory, "run.json")) as f:
        facts = json.load(f)
    series = [(float(time), int(rows), float(lag) if lag else None) for time, rows, lag in read_csv(directory, "series.csv")]
    return Run(directory, facts, series, Latencies((float(due), float(ms)) for due, ms in read_csv(directory, "latency.csv")))


def load_scenario(directory):
    """Its runs in the order in which they were made."""
    found = sorted(name for name in os.listdir(directory) if os.path.exists(os.path.join(directory, name, "run.json")))
    return [load(os.path.join(directory, name)) for name in found]


def write_csv(path, names, rows):
    with open(path, "w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def read_csv(directory, name):
    with open(os.path.join(directory, name), newline="") as f:
        reader = csv.reader(f)
        next(reader)
        yield from reader
