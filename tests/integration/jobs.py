"""Job files."""

import itertools
import os

import libconfig_text

_numbers = itertools.count(1)


class Job:
    """Keys are those of the job file; None leaves one out. batch.rows = 100 of a fixed size, unless told otherwise."""

    def __init__(self, **keys):
        batch = {"rows": 100, "adaptive": False, **keys.pop("batch", {})}
        self.keys = {"id": f"20261121_t{next(_numbers)}", "target": "main", **keys, "batch": batch}

    @property
    def id(self):
        return self.keys["id"]

    def text(self):
        return libconfig_text.settings(self.keys)

    def write(self, directory):
        path = os.path.join(str(directory), self.id + ".job")
        with open(path, "w") as f:
            f.write(self.text())
        return path


def increment(table="public.t", **keys):
    """Work that shows whether a row was done twice."""
    return Job(**{"table": table, "kind": "update", "set": {"n": "n + 1"}, **keys})
