/* random.h: random numbers that a seed repeats, and a check that prints it. For a simulation, which is one file. */
#ifndef BACKFILLD_SIM_RANDOM_H
#define BACKFILLD_SIM_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t seed, random_state;

#define CHECK(condition, ...)                                                                                                    \
	do {                                                                                                                         \
		if (!(condition)) {                                                                                                      \
			fprintf(stderr, "SEED=%llu %s:%d: %s: ", (unsigned long long)seed, __FILE__, __LINE__, #condition);                  \
			fprintf(stderr, __VA_ARGS__);                                                                                        \
			fputc('\n', stderr);                                                                                                 \
			exit(1);                                                                                                             \
		}                                                                                                                        \
	} while (0)

static inline uint64_t random_next(void) { /* splitmix64 */
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline double random_between(double low, double high) {
	return low + (high - low) * (double)(random_next() >> 11) / 9007199254740992.0;
}

/* Uniform in the logarithm: 1 µs a row is as likely as 1 ms. */
static inline double random_scale(double low, double high) {
	return exp(random_between(log(low), log(high)));
}

/* Of the normal distribution, mean 0 and variance 1. */
static inline double random_normal(void) {
	return sqrt(-2 * log(1 - random_between(0, 1))) * cos(2 * 3.14159265358979 * random_between(0, 1));
}

/* SEED, or a new one. */
static inline void random_begin(void) {
	const char *given = getenv("SEED");
	if (given != NULL)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		exit(1);
	random_state = seed;
}

static inline long random_runs(long usual) {
	const char *given = getenv("RUNS");
	return given != NULL ? strtol(given, NULL, 10) : usual;
}

#endif
