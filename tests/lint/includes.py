"""Fails on an #include that points upward: main -> daemon -> serve -> job -> {throttle, engine} -> base -> common; ctl -> common."""

import pathlib
import re
import sys

BELOW = {
    "common": {"common"},
    "daemon/base": {"daemon/base", "common"},
    "daemon/engine": {"daemon/engine", "daemon/base", "common"},
    "daemon/throttle": {"daemon/throttle", "daemon/engine", "daemon/base", "common"},
    "daemon/job": {"daemon/job", "daemon/throttle", "daemon/engine", "daemon/base", "common"},
    "daemon/serve": {"daemon/serve", "daemon/job", "daemon/throttle", "daemon/engine", "daemon/base", "common"},
    "daemon": {"daemon", "daemon/serve", "daemon/job", "daemon/throttle", "daemon/engine", "daemon/base", "common"},
    "ctl": {"ctl", "common"},
}
# Neither the event loop nor a database or web client: these files, and all of these folders.
PURE = {"daemon/throttle/decide", "daemon/throttle/pace", "daemon/throttle/baseline", "daemon/throttle/http_value", "daemon/job/plan",
        "daemon/job/job_state"}
PURE_FOLDERS = {"common", "ctl"}
IMPURE = {"ev.h", "libpq-fe.h", "mysql.h", "curl.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.M)


def complaints_of(path: pathlib.Path, folder: str) -> list[str]:
    found = []
    for mark, name in INCLUDE.findall(path.read_text()):
        room, last = str(pathlib.PurePath(name).parent), pathlib.PurePath(name).name
        if mark == '"' and room not in BELOW and room != "gen":
            found.append(f"{path}: includes {name}: say it from the repository's root, as daemon/job/plan.h")
        elif room in BELOW and room not in BELOW[folder]:
            found.append(f"{path}: includes {name}, which lies above {folder}")
        if last in IMPURE and (folder in PURE_FOLDERS or str(path.with_suffix("")) in PURE):
            found.append(f"{path}: is pure and includes {name}")
    return found


def main() -> int:
    files = [(path, folder) for folder in BELOW for path in sorted(pathlib.Path(folder).glob("*.[ch]"))]
    complaints = [one for path, folder in files for one in complaints_of(path, folder)]
    if not files:
        complaints = ["no file to check"]
    print("\n".join(complaints))
    return 1 if complaints else 0


sys.exit(main())
