#include "ctl/render_json.h"

#include "common/rpc.h"

/* 15 digits: 0.42 stays 0.42. */
void render_json(FILE *out, const json_t *json) {
	json_dumpf(json, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
	fputc('\n', out);
}

void render_json_line(FILE *out, const json_t *json) {
	json_dumpf(json, out, JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
	fputc('\n', out);
}

void render_json_error(FILE *out, const struct error *err) {
	json_t *hint = err->hint[0] != '\0' ? rpc_string(err->hint) : json_null();
	json_t *json = json_pack("{s:{s:s,s:o,s:o}}", "error", "code", error_code_name(err->code), "message",
	                         rpc_string(err->message), "hint", hint);
	render_json_line(out, json);
	json_decref(json);
}
