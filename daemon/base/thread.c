#include "daemon/base/thread.h"

#include <pthread.h>
#include <signal.h>

bool thread_start_detached(void *(*run)(void *argument), void *argument) {
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, old;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* it inherits the mask */
	bool started = pthread_create(&thread, &attributes, run, argument) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return started;
}
