#ifndef CURFEW_PROXY_FLEET_KEYS_H
#define CURFEW_PROXY_FLEET_KEYS_H

#include <stdbool.h>

#include "base/span.h"

struct arena;

/* The names by which a fleet's store knows a pool: its keys and channels, all with one hash tag. */

/* The four, one behind the other. NULL: no memory. */
char *fleet_text_put(struct arena *arena, const char *a, const char *b, const char *c, const char *d);
/* "curfew:{KEY", `part`, which closes the tag, and `end`. False: no memory; *out is empty then. */
bool fleet_key_put(struct arena *arena, const char *key, const char *part, const char *end, struct span *out)
    __attribute__((warn_unused_result));

#endif
