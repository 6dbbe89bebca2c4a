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
# Pure: neither the event loop nor a database client.
PURE = ("daemon/throttle/decide", "daemon/throttle/pace", "daemon/job/plan", "daemon/job/job_state")
IMPURE = ("ev.h", "libpq-fe.h", "mysql.h")
INCLUDE = re.compile(r'^\s*#include\s+[<"]([^">]+)[">]', re.M)


def main() -> int:
    complaints = []
    for folder in BELOW:
        for path in sorted(pathlib.Path(folder).glob("*.[ch]")):
            for name in INCLUDE.findall(path.read_text()):
                room = str(pathlib.Path(name).parent)
                if (room in BELOW or room.startswith("daemon")) and room not in BELOW[folder]:
                    complaints.append(f"{path}: includes {name}, which lies above {folder}")
                if str(path.with_suffix("")) in PURE and name in IMPURE:
                    complaints.append(f"{path}: is pure and includes {name}")
    print("\n".join(complaints))
    return 1 if complaints else 0


sys.exit(main())
