/*
 * Prints a scdoc manual with its command section written anew from the catalogue: the lines between "; commands: begin"
 * and "; commands: end".
 *
 *     gendoc_commands docs/backfillctl.1.scd >new && mv new docs/backfillctl.1.scd
 */
#include "common/catalogue.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LINE = 4096 };

static const char begin_mark[] = "; commands: begin";
static const char end_mark[] = "; commands: end";

static void print_escaped(const char *text) {
	for (; *text != '\0'; text++) {
		if (strchr("*_\\", *text) != NULL)
			putchar('\\');
		putchar(*text);
	}
}

static void print_name(const struct catalogue_argument *a) {
	if (a->letter != 0)
		printf("*-%c*, ", a->letter);
	printf(catalogue_is_option(a) ? "*%s*" : "_%s_", a->name);
	if (a->metavar != NULL)
		printf(" _%s_", a->metavar);
	if (a->repeated)
		fputs("…", stdout);
}

static void print_usage(const struct catalogue_command *c) {
	printf("*%s*", c->name);
	for (const struct catalogue_argument *a = c->arguments; a != NULL && a->name != NULL; a++) {
		fputs(a->required ? " " : " [", stdout);
		print_name(a);
		if (!a->required)
			putchar(']');
	}
	putchar('\n');
}

static void print_command(const struct catalogue_command *c) {
	static const char *const roles[] = {[PERMIT_LOCAL] = "anyone", [PERMIT_VIEWER] = "viewers", [PERMIT_OPERATOR] = "operators"};
	print_usage(c);
	putchar('\t');
	print_escaped(c->summary);
	printf(" For %s.\n\n", strcmp(c->name, "wait") == 0 ? "viewers" : roles[c->permission]);
	for (const struct catalogue_argument *a = c->arguments; a != NULL && a->name != NULL; a++) {
		putchar('\t');
		print_name(a);
		fputs("\n\t\t", stdout);
		print_escaped(a->help);
		fputs(".\n\n", stdout);
	}
	fputs("\tExample: ", stdout);
	print_escaped(c->example);
	fputs("\n\n", stdout);
}

int main(int argc, char **argv) {
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (file == NULL) {
		fputs("usage: gendoc_commands FILE.scd\n", stderr);
		return 64;
	}
	char line[MAX_LINE];
	bool inside = false;
	bool found = false;
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, end_mark, strlen(end_mark)) == 0)
			inside = false;
		if (!inside)
			fputs(line, stdout);
		if (strncmp(line, begin_mark, strlen(begin_mark)) != 0)
			continue;
		inside = found = true;
		putchar('\n');
		for (const struct catalogue_command *c = catalogue; c->name != NULL; c++)
			print_command(c);
	}
	fclose(file);
	if (!found || inside) {
		fputs("gendoc_commands: the marks are missing\n", stderr);
		return 65;
	}
	return 0;
}
