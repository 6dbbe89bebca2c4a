#include "daemon/engine/shape.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static void column_clear(struct shape_column *column) {
	free(column->name);
	free(column->type);
	free(column->collation);
	free(column->collation_version);
}

void shape_free(struct table_shape *shape) {
	if (shape == NULL)
		return;
	free(shape->schema);
	free(shape->name);
	free(shape->key_index);
	free(shape->session);
	for (size_t i = 0; i < shape->nkey; i++)
		column_clear(&shape->key[i]);
	for (size_t i = 0; i < shape->nwritten; i++)
		column_clear(&shape->written[i]);
	free(shape->written);
	mem_free_strings(shape->search_path, shape->nsearch_path);
	mem_free_strings(shape->conflict_key, shape->nconflict_key);
	for (size_t i = 0; i < shape->nleaves; i++) {
		free(shape->leaves[i].schema);
		free(shape->leaves[i].name);
		free(shape->leaves[i].partition);
	}
	free(shape->leaves);
	free(shape);
}

static json_t *strings_to_json(char *const *strings, size_t count) {
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(strings[i]));
	return array;
}

static json_t *columns_to_json(const struct shape_column *columns, size_t count) {
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array,
		                      json_pack("{s:s, s:s, s:s?, s:s?}", "name", columns[i].name, "type", columns[i].type, "collation",
		                                columns[i].collation, "collation_version", columns[i].collation_version));
	return array;
}

/* Sets the member where there is something to set. */
static void set_string(json_t *object, const char *name, const char *text) {
	if (text != NULL)
		json_object_set_new(object, name, json_string(text));
}

json_t *shape_to_json(const struct table_shape *shape) {
	json_t *key = columns_to_json(shape->key, shape->nkey);
	json_t *leaves = json_array();
	for (size_t i = 0; i < shape->nleaves; i++) {
		const struct shape_leaf *leaf = &shape->leaves[i];
		json_t *object =
			json_pack("{s:s, s:s, s:I, s:I, s:I}", "schema", leaf->schema, "name", leaf->name, "oid", (json_int_t)leaf->oid,
		              "estimated_rows", (json_int_t)leaf->estimated_rows, "row_bytes", (json_int_t)leaf->row_bytes);
		set_string(object, "partition", leaf->partition);
		json_array_append_new(leaves, object);
	}
	json_t *json = json_pack("{s:s, s:s, s:I, s:b, s:o, s:o, s:o, s:o, s:I}", "schema", shape->schema, "name", shape->name, "oid",
	                         (json_int_t)shape->oid, "partitioned", (int)shape->partitioned, "key", key, "search_path",
	                         strings_to_json(shape->search_path, shape->nsearch_path), "conflict_key",
	                         strings_to_json(shape->conflict_key, shape->nconflict_key), "leaves", leaves, "estimated_rows",
	                         (json_int_t)shape->estimated_rows);
	set_string(json, "key_index", shape->key_index);
	set_string(json, "session", shape->session);
	if (shape->nwritten > 0)
		json_object_set_new(json, "written", columns_to_json(shape->written, shape->nwritten));
	return json;
}

static bool read_string(const json_t *object, const char *name, char **out) {
	const char *text = json_string_value(json_object_get(object, name));
	if (text == NULL || *text == '\0')
		return false;
	*out = mem_dup(text);
	return true;
}

static bool read_int(const json_t *object, const char *name, int64_t *out) {
	const json_t *value = json_object_get(object, name);
	if (!json_is_integer(value))
		return false;
	*out = json_integer_value(value);
	return true;
}

static bool read_strings(const json_t *object, const char *name, char ***strings, size_t *count) {
	const json_t *array = json_object_get(object, name);
	if (!json_is_array(array))
		return false;
	*strings = mem_alloc(json_array_size(array) * sizeof **strings);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));
		if (text == NULL)
			return false;
		(*strings)[(*count)++] = mem_dup(text);
	}
	return true;
}

/* Into an array that has room; shape_free copes with a half-read column. */
static bool read_columns(const json_t *array, struct shape_column *columns, size_t *count) {
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *column = json_array_get(array, i);
		*count = i + 1;
		if (!read_string(column, "name", &columns[i].name) || !read_string(column, "type", &columns[i].type))
			return false;
		columns[i].collation = mem_dup(json_string_value(json_object_get(column, "collation")));
		columns[i].collation_version = mem_dup(json_string_value(json_object_get(column, "collation_version")));
	}
	return true;
}

static bool read_key(const json_t *json, struct table_shape *shape) {
	const json_t *key = json_object_get(json, "key");
	size_t count = json_array_size(key);
	return count > 0 && count <= SHAPE_MAX_KEY_COLUMNS && read_columns(key, shape->key, &shape->nkey);
}

static bool read_written(const json_t *json, struct table_shape *shape) {
	const json_t *written = json_object_get(json, "written");
	shape->written = mem_alloc((json_array_size(written) + 1) * sizeof *shape->written);
	return read_columns(written, shape->written, &shape->nwritten);
}

static bool read_leaves(const json_t *json, struct table_shape *shape) {
	const json_t *leaves = json_object_get(json, "leaves");
	size_t count = json_array_size(leaves);
	if (count == 0)
		return false;
	shape->leaves = mem_alloc(count * sizeof *shape->leaves);
	for (size_t i = 0; i < count; i++) {
		const json_t *from = json_array_get(leaves, i);
		struct shape_leaf *leaf = &shape->leaves[i];
		shape->nleaves = i + 1;
		if (!read_string(from, "schema", &leaf->schema) || !read_string(from, "name", &leaf->name) ||
		    !read_int(from, "oid", &leaf->oid) || !read_int(from, "estimated_rows", &leaf->estimated_rows) ||
		    !read_int(from, "row_bytes", &leaf->row_bytes) || leaf->row_bytes < 1)
			return false;
		leaf->partition = mem_dup(json_string_value(json_object_get(from, "partition")));
	}
	return true;
}

static bool read_shape(const json_t *json, struct table_shape *shape) {
	const json_t *partitioned = json_object_get(json, "partitioned");
	if (!json_is_boolean(partitioned))
		return false;
	shape->partitioned = json_is_true(partitioned);
	shape->key_index = mem_dup(json_string_value(json_object_get(json, "key_index")));
	shape->session = mem_dup(json_string_value(json_object_get(json, "session")));
	return read_string(json, "schema", &shape->schema) && read_string(json, "name", &shape->name) &&
	       read_int(json, "oid", &shape->oid) && read_key(json, shape) && read_written(json, shape) &&
	       read_strings(json, "search_path", &shape->search_path, &shape->nsearch_path) &&
	       read_strings(json, "conflict_key", &shape->conflict_key, &shape->nconflict_key) && read_leaves(json, shape) &&
	       read_int(json, "estimated_rows", &shape->estimated_rows);
}

bool shape_from_json(const json_t *json, struct table_shape **shape, struct error *err) {
	struct table_shape *read = mem_alloc(sizeof *read);
	if (!read_shape(json, read)) {
		shape_free(read);
		return error_set(err, ERROR_INTERNAL, "the stored shape of the table is incomplete");
	}
	*shape = read;
	return true;
}
