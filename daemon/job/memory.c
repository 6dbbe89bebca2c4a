#include "daemon/job/memory.h"

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"

#include <stdlib.h>
#include <string.h>

static const int64_t keep_every_us = 10000000;

struct memory {
	struct target *target;
	char *name;
	int64_t kept_us;
	bool writing;
};

struct memory *memory_new(struct target *target) {
	struct memory *memory = mem_alloc(sizeof *memory);
	*memory = (struct memory){.target = target, .name = mem_printf("throttle:%s", target_host(target)->owner->prefix)};
	return memory;
}

void memory_free(struct memory *memory) {
	if (memory == NULL)
		return;
	free(memory->name);
	free(memory);
}

void memory_read(struct memory *memory, const char *name, const char *value) {
	if (strcmp(name, memory->name) == 0)
		throttle_remember(target_throttle(memory->target), value);
}

/* It is a convenience: when it is not written the next daemon learns. */
static void written(void *context, const struct transaction_result *result) {
	struct memory *memory = context;
	memory->writing = false;
	if (result->end != TRANSACTION_COMMITTED)
		log_debug(NULL, "what the throttle found out is not kept: %s", result->message);
}

void memory_keep(struct memory *memory) {
	int64_t now_us = clock_monotonic_us();
	if (memory->writing || now_us - memory->kept_us < keep_every_us || !target_ready(memory->target, NULL))
		return;
	autofree char *text = throttle_memory(target_throttle(memory->target));
	if (text == NULL)
		return;
	memory->kept_us = now_us;
	memory->writing = true;
	struct transaction *t = target_transaction(memory->target, "memory");
	struct statement *s = transaction_add(t, "memory", dialect_sql(target_dialect(memory->target), "meta_set"), NULL, NULL);
	statement_add_text(s, memory->name);
	statement_add_text(s, text);
	target_run(memory->target, t, memory, written);
}
