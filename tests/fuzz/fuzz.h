/*
 * fuzz.h: what the fuzzing harnesses share. Each file fuzz_NAME.c is one program for libFuzzer: it makes something of any
 * bytes, and `require`s of the result what must always hold. Beyond that the sanitizers judge.
 */
#ifndef BACKFILLD_FUZZ_H
#define BACKFILLD_FUZZ_H

#include "common/error.h"
#include "common/jobfile.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry. https://llvm.org/docs/LibFuzzer.html#fuzz-target */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program as a finding, whatever NDEBUG says. */
#define require(CONDITION) ((CONDITION) ? (void)0 : fuzz_fail(#CONDITION, __FILE__, __LINE__))
void fuzz_fail(const char *condition, const char *file, int line) __attribute__((noreturn));

/* The bytes up to the first NUL as a string. The caller frees it. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Cuts the text at each `separator`, in place; at most `max` pieces, the last has the rest. Returns how many. */
size_t fuzz_split(char *text, char separator, char *pieces[], size_t max);
bool fuzz_is_utf8(const char *text);
/* A failure says what happened, in UTF-8, with this code. */
void fuzz_require_error(const struct error *err, enum error_code code);
/*
 * The batch's SQL that is made of a job whose fragments have passed their check: exactly one statement, whose clauses are
 * the dialect's own and nothing more.
 */
void fuzz_require_work(const struct jobfile *job);

#endif
