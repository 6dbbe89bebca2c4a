#include "daemon/engine/mysql_text.h"

#include "common/mem.h"
#include "common/strbuf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct splitter {
	bool mariadb;
	struct mysql_text text;
	struct strbuf sql; /* of the piece at hand */
	size_t *order;
	size_t norder;
	bool says_something;
	const char *why;
};

/* A dollar is one of these as well: a$1 is a name. So is every byte of a character beyond ASCII. */
static bool is_name(char c) {
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The end of what stands in these quotes; the text's, if they are not closed: the server says that better. */
static const char *skip_quoted(const char *p) {
	char quote = *p++;
	for (; *p != '\0'; p++) {
		if (*p == '\\' && quote != '`' && p[1] != '\0')
			p++;
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
	return p;
}

/* Two dashes begin a comment only before a blank or control character. */
static bool begins_line_comment(const char *p) {
	return *p == '#' || (p[0] == '-' && p[1] == '-' && (p[2] == ' ' || iscntrl((unsigned char)p[2])));
}

/* The end of a comment that begins here, or `p`. */
static const char *skip_comment(const char *p) {
	if (begins_line_comment(p))
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return p;
	const char *end = strstr(p + 2, "*/");
	return end != NULL ? end + 2 : p + strlen(p);
}

/* The number of the value that stands here, from 1; 0 if none does. A name may have a dollar inside, or begin with it. */
static size_t value_number(const char *p, char before, const char **end) {
	if (*p != '$' || is_name(before) || before == '@' || before == '.')
		return 0;
	size_t number = 0;
	const char *digit = p + 1;
	for (; isdigit((unsigned char)*digit); digit++)
		number = number < 100000 ? number * 10 + (size_t)(*digit - '0') : number; /* more than anybody has */
	*end = digit;
	return is_name(*digit) ? 0 : number;
}

/* What some servers execute, and others pass over: of that no value can be a part, nor an end. MariaDB passes over the versions
 * from 50700 to 99999. https://mariadb.com/kb/en/comment-syntax/ */
static bool is_executed(const char *comment, bool mariadb) {
	if (strncmp(comment, "/*!", 3) != 0)
		return strncmp(comment, "/*M!", 4) == 0;
	unsigned long version = strtoul(comment + 3, NULL, 10);
	return !mariadb || version < 50700 || version > 99999;
}

static void end_piece(struct splitter *s) {
	struct mysql_piece piece = {.sql = strbuf_take(&s->sql), .order = s->order, .norder = s->norder};
	s->order = NULL;
	s->norder = 0;
	if (!s->says_something) {
		free(piece.sql); /* it has no values either */
		return;
	}
	s->says_something = false;
	s->text.pieces = mem_resize(s->text.pieces, s->text.count + 1, sizeof *s->text.pieces);
	s->text.pieces[s->text.count++] = piece;
}

static void add(struct splitter *s, const char *from, const char *end, bool says_something) {
	strbuf_add_n(&s->sql, from, (size_t)(end - from));
	s->says_something |= says_something;
}

static void add_value(struct splitter *s, size_t number, size_t nparams) {
	if (number > nparams)
		s->why = "the text names a value that was not given";
	s->order = mem_resize(s->order, s->norder + 1, sizeof *s->order);
	s->order[s->norder++] = number - 1;
	strbuf_add(&s->sql, "?");
	s->says_something = true;
}

/* One step: a quoted text, a comment, a value, a semicolon, or a character. */
static const char *step(struct splitter *s, const char *p, char before, size_t nparams) {
	const char *end = skip_comment(p);
	if (end > p) {
		add(s, p, end, is_executed(p, s->mariadb));
		return end;
	}
	size_t number = value_number(p, before, &end);
	if (number > 0) {
		add_value(s, number, nparams);
		return end;
	}
	if (*p == ';') {
		end_piece(s);
		return p + 1;
	}
	if (*p == '?')
		s->why = "the text has a ? where none can be";
	end = strchr("'\"`", *p) != NULL ? skip_quoted(p) : p + 1;
	add(s, p, end, !isspace((unsigned char)*p));
	return end;
}

bool mysql_text_split(const char *sql, size_t nparams, bool mariadb, struct mysql_text *text, const char **why) {
	struct splitter s = {.mariadb = mariadb};
	char before = ' ';
	for (const char *p = sql; *p != '\0' && s.why == NULL;) {
		p = step(&s, p, before, nparams);
		before = p[-1];
	}
	end_piece(&s);
	if (s.why == NULL) {
		*text = s.text;
		return true;
	}
	*why = s.why;
	mysql_text_clear(&s.text);
	return false;
}

void mysql_text_clear(struct mysql_text *text) {
	for (size_t i = 0; i < text->count; i++) {
		free(text->pieces[i].sql);
		free(text->pieces[i].order);
	}
	free(text->pieces);
	*text = (struct mysql_text){0};
}
