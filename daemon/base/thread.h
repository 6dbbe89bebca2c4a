/* thread.h: a short-lived thread for what would block the loop. It takes no signals, which are the loop's, and is waited for by
 * nobody. */
#ifndef BACKFILLD_THREAD_H
#define BACKFILLD_THREAD_H

#include <stdbool.h>

/* False: there is no thread to be had. What `argument` points to must outlive it. */
bool thread_start_detached(void *(*run)(void *argument), void *argument);

#endif
