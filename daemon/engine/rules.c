#include "daemon/engine/rules.h"

#include <string.h>

bool rules_writes_column(const struct rules_write *write, const char *name) {
	for (size_t i = 0; i < write->ncolumns; i++)
		if (strcmp(write->columns[i], name) == 0)
			return true;
	return false;
}
