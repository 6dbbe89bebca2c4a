#include "common/limit_keys.h"

#include "common/json_path.h"

bool limit_keys_check_path(const char *text, struct error *err) {
	return json_path_check(text, err);
}

bool limit_keys_check_latency(const struct keytable_document *document, config_setting_t *group,
                              const struct throttle_settings *settings, bool alone, struct error *err) {
	static const char *const of_url[] = {"throttle.latency.path", "throttle.latency.unit", "throttle.latency.every",
	                                     "throttle.latency.window"};
	if (settings->latency_url != NULL)
		return true;
	const char *key = NULL;
	for (size_t i = 0; i < sizeof of_url / sizeof *of_url && key == NULL; i++)
		if (keytable_setting(document, group, of_url[i]) != NULL)
			key = of_url[i];
	if (key == NULL && alone && settings->latency_source == LATENCY_HTTP)
		key = "throttle.latency.source";
	if (key == NULL)
		return true;
	keytable_fail(document, keytable_setting(document, group, key), key, err, "it needs throttle.latency.url beside it");
	return error_hint(err, "latency = { source = \"http\"; url = \"http://…\"; };");
}
