#include "common/edit_distance.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b) {
	return a < b ? a : b;
}

size_t edit_distance(const char *a, const char *b) {
	size_t d[EDIT_DISTANCE_MAX_LENGTH + 1][EDIT_DISTANCE_MAX_LENGTH + 1];
	size_t rows = strlen(a), columns = strlen(b);
	if (rows > EDIT_DISTANCE_MAX_LENGTH || columns > EDIT_DISTANCE_MAX_LENGTH)
		return SIZE_MAX;
	for (size_t i = 0; i <= rows; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= columns; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= rows; i++) {
		for (size_t j = 1; j <= columns; j++) {
			size_t replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			d[i][j] = least(replaced, least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[rows][columns];
}
