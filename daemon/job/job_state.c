#include "daemon/job/job_state.h"

#include "common/strbuf.h"

#include <string.h>

static const struct job_transition transitions[] = {
	{JOB_PENDING, JOB_START, JOB_RUNNING, "job.started", "an operator starts it"},
	{JOB_PENDING, JOB_CANCEL, JOB_CANCELLED, "job.cancelled", "an operator gives it up before it began"},
	{JOB_RUNNING, JOB_START, JOB_RUNNING, NULL, "it is already running"},
	{JOB_RUNNING, JOB_RESUME, JOB_RUNNING, NULL, "it is already running"},
	{JOB_RUNNING, JOB_RETRY, JOB_RUNNING, NULL, "it is already running"},
	{JOB_RUNNING, JOB_PAUSE, JOB_PAUSED, "job.paused", "an operator, a guard, an emergency stop or an error stops it"},
	{JOB_RUNNING, JOB_CANCEL, JOB_CANCELLED, "job.cancelled", "an operator gives it up; committed batches stay"},
	{JOB_RUNNING, JOB_COMPLETE, JOB_COMPLETED, "job.completed", "every segment has reached its end"},
	{JOB_RUNNING, JOB_FAIL, JOB_FAILED, "job.failed", "it can't go on: its stored definition can't be read"},
	{JOB_PAUSED, JOB_PAUSE, JOB_PAUSED, NULL, "it is already paused"},
	{JOB_PAUSED, JOB_RESUME, JOB_RUNNING, "job.resumed", "an operator lets it go on"},
	{JOB_PAUSED, JOB_RETRY, JOB_RUNNING, "job.resumed", "an operator lets it try again"},
	{JOB_PAUSED, JOB_CANCEL, JOB_CANCELLED, "job.cancelled", "an operator gives it up; committed batches stay"},
	{JOB_FAILED, JOB_RETRY, JOB_RUNNING, "job.resumed", "an operator lets it try again"},
	{JOB_FAILED, JOB_CANCEL, JOB_CANCELLED, "job.cancelled", "an operator gives it up; committed batches stay"},
	{JOB_CANCELLED, JOB_CANCEL, JOB_CANCELLED, NULL, "it is already cancelled"},
};

static const char *const state_names[] = {"pending", "running", "paused", "completed", "failed", "cancelled", "rolled_back"};
static const char *const request_names[] = {"start", "pause", "resume", "retry", "cancel", "complete", "fail"};

const struct job_transition *job_transition_at(int index) {
	if (index < 0 || (size_t)index >= sizeof transitions / sizeof transitions[0])
		return NULL;
	return &transitions[index];
}

const struct job_transition *job_transition_find(enum job_state from, enum job_request request) {
	for (size_t i = 0; i < sizeof transitions / sizeof transitions[0]; i++)
		if (transitions[i].from == from && transitions[i].request == request)
			return &transitions[i];
	return NULL;
}

bool job_transition_refuse(const char *id, enum job_state from, enum job_request request, struct error *err) {
	error_set(err, ERROR_USAGE, "job %s is %s: it can't %s", id, job_state_name(from), job_request_name(request));
	autostrbuf possible = {0};
	for (size_t i = 0; i < sizeof transitions / sizeof transitions[0]; i++) {
		const struct job_transition *t = &transitions[i];
		if (t->from == from && t->to != from && t->request < JOB_COMPLETE)
			strbuf_printf(&possible, "%s%s", possible.length > 0 ? ", " : "", job_request_name(t->request));
	}
	if (possible.length > 0)
		error_hint(err, "possible now: %s", possible.data);
	else
		error_hint(err, "it has ended; submit the work again under a new id");
	return false;
}

bool job_state_ended(enum job_state state) {
	return state == JOB_COMPLETED || state == JOB_CANCELLED || state == JOB_ROLLED_BACK;
}

const char *job_state_name(enum job_state state) {
	return state_names[state];
}

bool job_state_parse(const char *name, enum job_state *state) {
	for (int i = 0; i < JOB_STATES; i++)
		if (strcmp(name, state_names[i]) == 0) {
			*state = (enum job_state)i;
			return true;
		}
	return false;
}

const char *job_request_name(enum job_request request) {
	return request_names[request];
}
