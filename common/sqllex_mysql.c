#include "common/sqllex_mysql.h"

#include "common/mem.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_BRACKET_DEPTH = 200 };

/* What is known while a text is taken apart. A function that returns false has filled `why`; `at` is the place. */
struct scan {
	struct sqllex *lex;
	size_t capacity;
	size_t at;
	const char *why;
	size_t open[MAX_BRACKET_DEPTH]; /* the tokens of the brackets that are open */
	size_t depth;
};

static bool refuse(struct scan *s, const char *why) {
	s->why = why;
	return false;
}

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

/* Of a name without quotes. `$` may be in one, too; but MySQL 9 begins a string by it, and we have parameters of that kind. */
static bool is_word(char c) {
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* From s->at to `end`. */
static struct sqllex_token *add(struct scan *s, enum sqllex_kind kind, size_t end) {
	struct sqllex *lex = s->lex;
	if (lex->count == s->capacity) {
		s->capacity = s->capacity > 0 ? 2 * s->capacity : 64;
		lex->tokens = mem_resize(lex->tokens, s->capacity, sizeof *lex->tokens);
	}
	struct sqllex_token *token = &lex->tokens[lex->count++];
	*token = (struct sqllex_token){.kind = kind, .start = s->at, .end = end};
	s->at = end;
	return token;
}

/* ---- Quotes ---- */

/* A quote stands for itself when it is doubled; in a string, not in a name, a backslash takes the next byte's meaning away. */
static bool scan_quoted(struct scan *s) {
	const char *text = s->lex->text;
	char quote = text[s->at];
	size_t end = s->at + 1;
	for (;; end++) {
		if (text[end] == '\0')
			return refuse(s, quote == '`' ? "unterminated quoted name" : "unterminated quoted string");
		if (text[end] == '\\' && quote != '`' && text[end + 1] != '\0')
			end++;
		else if (text[end] == quote && text[end + 1] == quote)
			end++;
		else if (text[end] == quote)
			break;
	}
	add(s, quote == '`' ? SQLLEX_QUOTED : SQLLEX_STRING, end + 1);
	return true;
}

/* ---- Names, numbers, variables ---- */

static size_t word_end(const char *text, size_t at) {
	while (is_word(text[at]))
		at++;
	return at;
}

static size_t digits_end(const char *text, size_t at, const char *digits) {
	return at + strspn(text + at, digits);
}

/* 0x and 0b are lower case: 0X1F is a name to the server. */
static size_t number_end(const char *text, size_t at) {
	static const char decimal[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
	if (text[at] == '0' && text[at + 1] == 'x')
		return digits_end(text, at + 2, hex);
	if (text[at] == '0' && text[at + 1] == 'b')
		return digits_end(text, at + 2, "01");
	at = digits_end(text, at, decimal);
	if (text[at] == '.')
		at = digits_end(text, at + 1, decimal);
	if (text[at] == 'e' || text[at] == 'E') {
		size_t exponent = at + 1 + (text[at + 1] == '+' || text[at + 1] == '-');
		if (is_digit(text[exponent]))
			at = digits_end(text, exponent, decimal);
	}
	return at;
}

/* To the server 1a is a name, and 1.from a number and a keyword. */
static bool scan_number(struct scan *s) {
	size_t end = number_end(s->lex->text, s->at);
	if (is_word(s->lex->text[end]))
		return refuse(s, "a number runs into a word; a name that begins with a digit stands in backticks");
	add(s, SQLLEX_NUMBER, end);
	return true;
}

static bool scan_at(struct scan *s) {
	const char *text = s->lex->text + s->at;
	if (text[1] != '@')
		return refuse(s, "user variables (@x) are not allowed: they are the session's, not the row's");
	if (!is_word(text[2]) || is_digit(text[2]))
		return refuse(s, "a name is wanted behind @@");
	add(s, SQLLEX_VARIABLE, word_end(s->lex->text, s->at + 2));
	return true;
}

/* ---- Brackets and operators ---- */

static bool scan_open(struct scan *s) {
	if (s->depth == MAX_BRACKET_DEPTH)
		return refuse(s, "brackets are nested deeper than 200");
	s->open[s->depth++] = s->lex->count;
	add(s, SQLLEX_OPEN, s->at + 1);
	return true;
}

static bool scan_close(struct scan *s) {
	if (s->depth == 0)
		return refuse(s, "closes a bracket that it did not open");
	size_t open = s->open[--s->depth];
	s->lex->tokens[open].mate = s->lex->count;
	add(s, SQLLEX_CLOSE, s->at + 1)->mate = open;
	return true;
}

static bool scan_operator(struct scan *s) {
	static const char *const operators[] = {"<=>", "->>", "->", "<<", ">>", "<=", ">=", "<>", "!=", "&&", "||"};
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
		size_t length = strlen(operators[i]);
		if (strncmp(s->lex->text + s->at, operators[i], length) == 0) {
			add(s, SQLLEX_OPERATOR, s->at + length);
			return true;
		}
	}
	if (strchr("+-*/%&|^~<>=!", s->lex->text[s->at]) == NULL)
		return refuse(s, "a character that no expression has");
	add(s, SQLLEX_OPERATOR, s->at + 1);
	return true;
}

/* `--` ends the line only with a blank behind it, but who can see that? And MariaDB and MySQL run what is in some comments. */
static bool starts_comment(const char *text) {
	return text[0] == '#' || strncmp(text, "--", 2) == 0 || strncmp(text, "/*", 2) == 0 || strncmp(text, "*/", 2) == 0;
}

static const char *forbidden(const char *text) {
	if (starts_comment(text))
		return "comments are not allowed inside SQL; put them outside of the string";
	switch (text[0]) {
	case ';':
		return "a `;` is not allowed: a fragment never ends its statement";
	case '?':
		return "parameters (?) are not allowed; the range's keys are bound by backfilld itself";
	case '$':
		return is_digit(text[1]) ? "parameters ($1) are not allowed; the range's keys are bound by backfilld itself"
		                         : "a `$` may stand in quotes alone: servers differ in what it means";
	case ':':
		return text[1] == '=' ? "`:=` assigns to a variable" : "a `:` is in no expression; a cast is CAST(… AS …)";
	case '\\':
		return "a `\\` outside of a literal is the client's, not SQL";
	case '{':
	case '}':
		return "`{` and `}` belong to {range}, which only a `statement` has";
	default:
		return NULL;
	}
}

/* ---- All of it ---- */

static bool scan_token(struct scan *s) {
	const char *text = s->lex->text + s->at;
	s->why = forbidden(text);
	if (s->why != NULL)
		return false;
	if (is_digit(text[0]) || (text[0] == '.' && is_digit(text[1])))
		return scan_number(s);
	if (is_word(text[0])) {
		add(s, SQLLEX_WORD, word_end(s->lex->text, s->at));
		return true;
	}
	switch (text[0]) {
	case '\'':
	case '"':
	case '`':
		return scan_quoted(s);
	case '@':
		return scan_at(s);
	case '(':
		return scan_open(s);
	case ')':
		return scan_close(s);
	case ',':
	case '.':
		add(s, text[0] == ',' ? SQLLEX_COMMA : SQLLEX_DOT, s->at + 1);
		return true;
	default:
		return scan_operator(s);
	}
}

/* Also in strings: what a terminal doesn't show, and a client may end a string at, is written as an escape. */
static bool check_characters(struct scan *s) {
	const char *text = s->lex->text;
	for (size_t left = strlen(text); text[s->at] != '\0';) {
		size_t length = text_character(text + s->at, left);
		unsigned char c = (unsigned char)text[s->at];
		if (length == 0)
			return refuse(s, "not UTF-8");
		if ((c < ' ' && c != '\t' && c != '\n') || c == 0x7F)
			return refuse(s, "a control character; only tabs and line ends may stand here");
		s->at += length;
		left -= length;
	}
	s->at = 0;
	return true;
}

static bool scan_all(struct scan *s) {
	const char *text = s->lex->text;
	if (!check_characters(s))
		return false;
	while (text[s->at] != '\0') {
		if (text[s->at] == ' ' || text[s->at] == '\t' || text[s->at] == '\n')
			s->at++;
		else if (!scan_token(s))
			return false;
	}
	if (s->depth == 0)
		return true;
	s->at = s->lex->tokens[s->open[s->depth - 1]].start;
	return refuse(s, "a bracket is opened and never closed");
}

bool sqllex_mysql(const char *text, struct sqllex *lex, size_t *at, const char **why) {
	*lex = (struct sqllex){.text = text};
	struct scan s = {.lex = lex};
	bool ok = scan_all(&s);
	*at = s.at;
	*why = s.why;
	return ok;
}

void sqllex_free(struct sqllex *lex) {
	free(lex->tokens);
	*lex = (struct sqllex){0};
}

/* ---- Looking at tokens ---- */

static bool spells(const struct sqllex *lex, size_t start, size_t end, const char *word) {
	return end - start == strlen(word) && strncasecmp(lex->text + start, word, end - start) == 0;
}

bool sqllex_is_kind(const struct sqllex *lex, size_t i, enum sqllex_kind kind) {
	return i < lex->count && lex->tokens[i].kind == kind;
}

bool sqllex_is(const struct sqllex *lex, size_t i, const char *word) {
	if (!sqllex_is_kind(lex, i, SQLLEX_WORD) && !sqllex_is_kind(lex, i, SQLLEX_OPERATOR))
		return false;
	return spells(lex, lex->tokens[i].start, lex->tokens[i].end, word);
}

/* The server, too, takes case out of the names of columns and functions. A doubled backtick is in no name that we look for. */
bool sqllex_names(const struct sqllex *lex, size_t i, const char *name) {
	if (sqllex_is_kind(lex, i, SQLLEX_QUOTED))
		return spells(lex, lex->tokens[i].start + 1, lex->tokens[i].end - 1, name);
	return sqllex_is_kind(lex, i, SQLLEX_WORD) && spells(lex, lex->tokens[i].start, lex->tokens[i].end, name);
}

bool sqllex_is_one_of(const struct sqllex *lex, size_t i, const char *const words[]) {
	for (size_t w = 0; words[w] != NULL; w++)
		if (sqllex_is(lex, i, words[w]))
			return true;
	return false;
}

bool sqllex_names_one_of(const struct sqllex *lex, size_t i, const char *const names[]) {
	for (size_t n = 0; names[n] != NULL; n++)
		if (sqllex_names(lex, i, names[n]))
			return true;
	return false;
}

bool sqllex_is_member(const struct sqllex *lex, size_t i) {
	return i > 0 && i < lex->count && sqllex_is_kind(lex, i - 1, SQLLEX_DOT) && lex->tokens[i - 1].end == lex->tokens[i].start;
}
