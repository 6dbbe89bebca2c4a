#include "ctl/arguments.h"

#include "common/duration.h"
#include "common/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char default_socket[] = "/run/backfilld/control.sock";

struct scan {
	int argc;
	char *const *argv;
	int at;
	bool plain; /* after "--" */
	struct arguments *arguments;
	const struct catalogue_argument *positional; /* the next one's */
	struct error *err;
};

static bool usage_error(struct error *err, const struct catalogue_command *command) {
	err->code = ERROR_USAGE;
	if (command == NULL)
		return error_hint(err, "see backfillctl --help");
	autofree char *usage = catalogue_usage(command);
	return error_hint(err, "usage: backfillctl %s", usage);
}

static bool set_output(struct arguments *arguments, const char *text, struct error *err) {
	static const char *const names[] = {[OUTPUT_TABLE] = "table", [OUTPUT_WIDE] = "wide", [OUTPUT_JSON] = "json"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(names[i], text) == 0) {
			arguments->output = (enum output)i;
			return true;
		}
	}
	error_set(err, ERROR_USAGE, "-o %s: there is no such output", text);
	return error_hint(err, "table, wide or json");
}

/* An option's value: after "=", after its letter, or the next argument. */
static const char *take_value(struct scan *scan, const char *name, const char *attached) {
	if (attached != NULL)
		return attached;
	if (scan->at + 1 < scan->argc)
		return scan->argv[++scan->at];
	error_set(scan->err, ERROR_USAGE, "%s needs a value", name);
	usage_error(scan->err, scan->arguments->command);
	return NULL;
}

/* The options of every command. *known says whether it was one of them. */
static bool common_option(struct scan *scan, const char *name, const char *attached, bool *known) {
	struct arguments *a = scan->arguments;
	*known = true;
	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
		a->help = true;
		return true;
	}
	if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
		a->version = true;
		return true;
	}
	bool socket = strcmp(name, "-s") == 0 || strcmp(name, "--socket") == 0;
	if (!socket && strcmp(name, "-o") != 0 && strcmp(name, "--output") != 0) {
		*known = false;
		return true;
	}
	const char *value = take_value(scan, name, attached);
	if (value == NULL)
		return false;
	if (!socket)
		return set_output(a, value, scan->err);
	a->socket = value;
	return true;
}

static bool convert(const struct catalogue_argument *argument, const char *text, json_t **value, struct error *err) {
	if (argument->type == ARGUMENT_INTEGER) {
		char *end = NULL;
		errno = 0;
		long long number = strtoll(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0' || number < 1)
			return error_set(err, ERROR_USAGE, "%s %s: a number from 1 is wanted", argument->name, text);
		*value = json_integer(number);
		return true;
	}
	if (argument->type == ARGUMENT_DURATION) {
		int64_t ms = 0;
		if (!duration_parse_ms(text, &ms))
			return error_set(err, ERROR_USAGE, "%s %s: a duration is wanted, as 250ms, 90s, 5m or 2h", argument->name, text);
		*value = json_integer(ms);
		return true;
	}
	if (strcmp(argument->name, "KEY=VALUE") == 0 && (strchr(text, '=') == NULL || text[0] == '='))
		return error_set(err, ERROR_USAGE, "%s: KEY=VALUE is wanted", text);
	*value = json_string(text);
	if (*value == NULL)
		return error_set(err, ERROR_USAGE, "%s: not valid UTF-8", argument->name);
	return true;
}

static bool store(struct scan *scan, const struct catalogue_argument *argument, const char *text) {
	struct arguments *a = scan->arguments;
	if (argument->type == ARGUMENT_FILE) {
		a->file = text;
		return true;
	}
	json_t *value = NULL;
	if (!convert(argument, text, &value, scan->err))
		return usage_error(scan->err, a->command);
	if (!argument->repeated) {
		json_object_set_new(a->params, argument->param, value);
		return true;
	}
	json_t *list = json_object_get(a->params, argument->param);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(a->params, argument->param, list);
	}
	json_array_append_new(list, value);
	return true;
}

static const struct catalogue_argument *find_option(const struct catalogue_command *command, const char *name) {
	if (command == NULL)
		return NULL;
	for (const struct catalogue_argument *a = command->arguments; a != NULL && a->name != NULL; a++) {
		bool by_letter = a->letter != 0 && name[1] == a->letter && name[2] == '\0';
		if (catalogue_is_option(a) && (by_letter || strcmp(a->name, name) == 0))
			return a;
	}
	return NULL;
}

static bool take_option(struct scan *scan, const char *text) {
	bool is_long = text[1] == '-';
	const char *equals = is_long ? strchr(text, '=') : NULL;
	autofree char *name = is_long ? mem_dup_n(text, equals != NULL ? (size_t)(equals - text) : strlen(text)) : mem_dup_n(text, 2);
	const char *attached = equals != NULL ? equals + 1 : NULL;
	if (!is_long && text[2] != '\0')
		attached = text + 2; /* -ojson */
	bool known = false;
	if (!common_option(scan, name, attached, &known))
		return false;
	if (known)
		return true;
	const struct catalogue_argument *option = find_option(scan->arguments->command, name);
	if (option == NULL || (option->metavar == NULL && attached != NULL)) {
		error_set(scan->err, ERROR_USAGE, "%s: there is no such option", text);
		return usage_error(scan->err, scan->arguments->command);
	}
	if (option->metavar == NULL) {
		json_object_set_new(scan->arguments->params, option->param, json_true());
		return true;
	}
	const char *value = take_value(scan, name, attached);
	return value != NULL && store(scan, option, value);
}

static void skip_options(struct scan *scan) {
	while (scan->positional != NULL && scan->positional->name != NULL && catalogue_is_option(scan->positional))
		scan->positional++;
	if (scan->positional != NULL && scan->positional->name == NULL)
		scan->positional = NULL;
}

static bool take_command(struct scan *scan, const char *name) {
	const struct catalogue_command *command = catalogue_find(name);
	if (command == NULL) {
		error_set(scan->err, ERROR_USAGE, "%s: there is no such command", name);
		const struct catalogue_command *nearest = catalogue_nearest(name);
		if (nearest != NULL)
			return error_hint(scan->err, "did you mean %s?", nearest->name);
		return usage_error(scan->err, NULL);
	}
	scan->arguments->command = command;
	scan->positional = command->arguments;
	skip_options(scan);
	return true;
}

static bool take_positional(struct scan *scan, const char *text) {
	if (scan->arguments->command == NULL)
		return take_command(scan, text);
	const struct catalogue_argument *argument = scan->positional;
	if (argument == NULL) {
		error_set(scan->err, ERROR_USAGE, "%s: one argument too many", text);
		return usage_error(scan->err, scan->arguments->command);
	}
	if (!argument->repeated) {
		scan->positional++;
		skip_options(scan);
	}
	return store(scan, argument, text);
}

static bool check_complete(const struct arguments *a, struct error *err) {
	if (a->help || a->version)
		return true;
	if (a->command == NULL) {
		error_set(err, ERROR_USAGE, "a command is wanted");
		return usage_error(err, NULL);
	}
	for (const struct catalogue_argument *arg = a->command->arguments; arg != NULL && arg->name != NULL; arg++) {
		bool there = arg->type == ARGUMENT_FILE ? a->file != NULL : json_object_get(a->params, arg->param) != NULL;
		if (arg->required && !there) {
			error_set(err, ERROR_USAGE, "%s: %s is missing", a->command->name, arg->name);
			return usage_error(err, a->command);
		}
	}
	bool all = json_object_get(a->params, "all") != NULL;
	if (strcmp(a->command->name, "pause") == 0 && all == (json_object_get(a->params, "job") != NULL)) {
		error_set(err, ERROR_USAGE, "pause: either a JOB or --all is wanted");
		return usage_error(err, a->command);
	}
	return true;
}

bool arguments_parse(int argc, char *const *argv, struct arguments *arguments, struct error *err) {
	const char *from_environment = getenv("BACKFILLD_SOCKET");
	*arguments = (struct arguments){.socket = default_socket, .params = json_object()};
	if (from_environment != NULL && from_environment[0] != '\0')
		arguments->socket = from_environment;
	struct scan scan = {.argc = argc, .argv = argv, .arguments = arguments, .err = err};
	for (scan.at = 1; scan.at < argc; scan.at++) {
		const char *text = argv[scan.at];
		bool ok = true;
		if (!scan.plain && strcmp(text, "--") == 0)
			scan.plain = true;
		else if (!scan.plain && text[0] == '-' && text[1] != '\0')
			ok = take_option(&scan, text);
		else
			ok = take_positional(&scan, text);
		if (!ok)
			return false;
	}
	return check_complete(arguments, err);
}

void arguments_free(struct arguments *arguments) {
	json_decref(arguments->params);
	*arguments = (struct arguments){0};
}

static void print_argument(FILE *out, const struct catalogue_argument *a) {
	autofree char *letter = a->letter != 0 ? mem_printf("-%c, ", a->letter) : mem_dup("");
	autofree char *name =
		mem_printf("%s%s%s%s", letter, a->name, a->metavar != NULL ? " " : "", a->metavar != NULL ? a->metavar : "");
	fprintf(out, "  %-22s %s\n", name, a->help);
}

static const char options_help[] = "  -s, --socket SOCKET    the daemon's socket (default $BACKFILLD_SOCKET or %s)\n"
								   "  -o, --output FORMAT    table, wide or json\n"
								   "  -h, --help             this text\n";

void arguments_print_help(FILE *out, const struct catalogue_command *command) {
	if (command == NULL) {
		fputs("Usage: backfillctl [-s SOCKET] [-o table|wide|json] COMMAND …\n\nCommands:\n", out);
		for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
			/* The first sentence. */
			size_t length = strcspn(c->summary, ".:");
			fprintf(out, "  %-10s %.*s\n", c->name, (int)length, c->summary);
		}
		fputs("\nOptions:\n", out);
		fprintf(out, options_help, default_socket);
		fputs("  -V, --version          backfillctl's version\n\nbackfillctl COMMAND --help says more of a command.\n", out);
		return;
	}
	autofree char *usage = catalogue_usage(command);
	fprintf(out, "Usage: backfillctl %s\n\n%s\n", usage, command->summary);
	if (command->arguments != NULL)
		fputs("\nArguments:\n", out);
	for (const struct catalogue_argument *a = command->arguments; a != NULL && a->name != NULL; a++)
		print_argument(out, a);
	fputs("\nOptions:\n", out);
	fprintf(out, options_help, default_socket);
	fprintf(out, "\nExample:\n  %s\n", command->example);
}
