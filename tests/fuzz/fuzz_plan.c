/* fuzz_plan.c: a key and its text in the control tables: what is written comes back, and what is read is written the same. */
#include "common/mem.h"
#include "daemon/job/plan.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void require_equal(const struct plan_key *a, const struct plan_key *b) {
	require(a->n == b->n);
	for (size_t i = 0; i < a->n; i++)
		require(strcmp(a->values[i], b->values[i]) == 0);
}

static void require_survives(const struct plan_key *key) {
	struct plan_key back = {0};
	struct error err = {0};
	autofree char *text = plan_key_to_text(key);
	require(text != NULL && fuzz_is_utf8(text));
	require(plan_key_from_text(text, &back, &err));
	require_equal(key, &back);
	autofree char *again = plan_key_to_text(&back);
	require(strcmp(text, again) == 0);
	plan_key_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	struct plan_key key = {0};
	struct error err = {0};
	if (plan_key_from_text(text, &key, &err)) {
		require(key.n >= 1 && key.n <= PLAN_MAX_KEY_COLUMNS);
		require_survives(&key);
		plan_key_clear(&key);
	} else {
		require(key.n == 0);
		fuzz_require_error(&err, ERROR_INTERNAL);
	}
	/* A value a piece, as the server sends them: always UTF-8, as the connection's encoding is. */
	if (!fuzz_is_utf8(text))
		return 0;
	key.n = fuzz_split(text, '\t', key.values, PLAN_MAX_KEY_COLUMNS);
	require_survives(&key);
	return 0;
}
