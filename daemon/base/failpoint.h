/*
 * failpoint.h: named places where a test can make the daemon die, stop or fail. Compiled in only with FAILPOINTS=1
 * (build/failpoint/); everywhere else FAILPOINT() is nothing.
 *
 * BACKFILLD_FAILPOINTS="name=action[@nth],…", e.g. "batch.commit.sent=kill@3"; actions: kill (SIGKILL to ourselves),
 * stop (SIGSTOP), fail (FAILPOINT_FAILS says true). nth counts from 1, default 1; each fires once. "*=trace" instead logs every
 * failpoint that is reached.
 */
#ifndef BACKFILLD_FAILPOINT_H
#define BACKFILLD_FAILPOINT_H

#include <stdbool.h>

#ifdef BACKFILLD_FAILPOINTS
bool failpoint_reached(const char *name);
#define FAILPOINT(name) ((void)failpoint_reached(name))
#define FAILPOINT_FAILS(name) failpoint_reached(name)
#else
#define FAILPOINT(name) ((void)(name))
#define FAILPOINT_FAILS(name) (false)
#endif

#endif
