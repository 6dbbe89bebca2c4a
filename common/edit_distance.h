/* edit_distance.h: how far a mistyped name is from a known one. */
#ifndef BACKFILLD_EDIT_DISTANCE_H
#define BACKFILLD_EDIT_DISTANCE_H

#include <stddef.h>

enum { EDIT_DISTANCE_MAX_LENGTH = 64 };

/* Letters added, left out, replaced or swapped with their neighbour; SIZE_MAX if either is longer than the maximum. */
size_t edit_distance(const char *a, const char *b);

#endif
