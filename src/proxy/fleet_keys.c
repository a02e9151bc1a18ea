#include "proxy/fleet_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "config/arena.h"

char *fleet_text_put(struct arena *arena, const char *a, const char *b, const char *c, const char *d)
{
    size_t cap = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
    char *text = arena_calloc(arena, cap, 1);

    if (text != NULL)
        snprintf(text, cap, "%s%s%s%s", a, b, c, d);
    return text;
}

bool fleet_key_put(struct arena *arena, const char *key, const char *part, const char *end, struct span *out)
{
    const char *text;

    PRE(part[0] == '}'); /* the tag, by which a cluster chooses the node, is the pool's */
    text = fleet_text_put(arena, "curfew:{", key, part, end);
    *out = text != NULL ? span_of(text) : SPAN_LIT("");
    return text != NULL;
}
