/* backfillctl: reads the command line, has the command carried out, and says what went wrong. */
#include "common/version.h"
#include "ctl/arguments.h"
#include "ctl/render_json.h"
#include "ctl/run.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static int report(enum output output, const struct error *err) {
	if (output == OUTPUT_JSON) {
		render_json_error(stderr, err);
	} else {
		fprintf(stderr, "backfillctl: %s\n", err->message);
		if (err->hint[0] != '\0')
			fprintf(stderr, "  %s\n", err->hint);
	}
	return (int)err->code;
}

static int run(const struct arguments *arguments) {
	if (arguments->version) {
		printf("backfillctl %s\n", BACKFILLD_VERSION);
		return 0;
	}
	if (arguments->help) {
		arguments_print_help(stdout, arguments->command);
		return 0;
	}
	struct error err = {0};
	int exit_code = 0;
	return run_command(arguments, &exit_code, &err) ? exit_code : report(arguments->output, &err);
}

int main(int argc, char **argv) {
	/* Widths are counted in UTF-8 whatever the user's locale is; numbers keep their point. */
	setlocale(LC_CTYPE, "C.UTF-8");
	struct arguments arguments;
	struct error err = {0};
	bool parsed = arguments_parse(argc, argv, &arguments, &err);
	int exit_code = parsed ? run(&arguments) : report(arguments.output, &err);
	arguments_free(&arguments);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		fprintf(stderr, "backfillctl: cannot write: %s\n", strerror(errno));
		return exit_code != 0 ? exit_code : ERROR_INTERNAL;
	}
	return exit_code;
}
