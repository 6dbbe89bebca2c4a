/* fuzz_explain.c: a server's plan. Whatever it is, next to a full scan of the worked table it is never "by key". */
#include "common/mem.h"
#include "daemon/engine/explain.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static bool judge(const char *json, struct explain_verdict *verdict) {
	struct error err = {0};
	*verdict = (struct explain_verdict){0};
	static const struct shape_leaf leaf = {.schema = (char *)"public", .name = (char *)"e"};
	static const struct table_shape shape = {.key = {{.name = (char *)"id"}}, .nkey = 1};
	struct explain_verdict mysql = {0};
	if (explain_mysql_judge(json, &shape, &leaf, &mysql, &err)) {
		require(fuzz_is_utf8(mysql.scan) && fuzz_is_utf8(mysql.index) && fuzz_is_utf8(mysql.other));
		require(mysql.reads || !mysql.by_key);
	} else {
		fuzz_require_error(&err, ERROR_INTERNAL);
	}
	err = (struct error){0};
	if (!explain_postgres_judge(json, &shape, &leaf, verdict, &err)) {
		fuzz_require_error(&err, ERROR_INTERNAL);
		return false;
	}
	require(fuzz_is_utf8(verdict->scan) && fuzz_is_utf8(verdict->index));
	require(fuzz_is_utf8(verdict->depends) && fuzz_is_utf8(verdict->other));
	require(verdict->reads || !verdict->by_key);
	require(verdict->reads || verdict->scan[0] == '\0');
	return true;
}

/* The plan below a write, behind a scan of the whole table. */
static char *beside_full_scan(const char *json) {
	json_t *answer = json_loads(json, 0, NULL);
	json_t *plan = json_object_get(json_array_get(answer, 0), "Plan");
	json_t *scan = json_pack("{s:s,s:s,s:s}", "Node Type", "Seq Scan", "Relation Name", "e", "Schema", "public");
	json_t *both = json_pack("[{s:{s:s,s:[o,O]}}]", "Plan", "Node Type", "ModifyTable", "Plans", scan, plan);
	char *text = json_dumps(both, JSON_COMPACT);
	json_decref(both);
	json_decref(answer);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *json = fuzz_text(data, size);
	struct explain_verdict verdict;
	if (!judge(json, &verdict))
		return 0;
	autofree char *worse = beside_full_scan(json);
	require(worse != NULL && judge(worse, &verdict));
	require(verdict.reads && !verdict.by_key && strcmp(verdict.scan, "Seq Scan") == 0);
	return 0;
}
