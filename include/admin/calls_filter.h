#ifndef CURFEW_ADMIN_CALLS_FILTER_H
#define CURFEW_ADMIN_CALLS_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "stats/call_top.h"
#include "proxy/proxy.h"

/*
 * Which calls a query asks for: older=DURATION, upstream=NAME, phase=PHASE, limit=N and sort=left or age, each at most
 * once; `query` is NULL or what is behind the "?". False: *why (terminated) says what is wrong with it. Main thread.
 */
bool calls_filter_read(const char *query, const struct proxy *proxy, struct call_top_filter *filter,
                       char *why, size_t why_cap) __attribute__((warn_unused_result));

/* The call of an id as it is shown: up to 16 hexadecimal digits, not 0. False: it is none. */
bool calls_filter_read_id(const char *text, struct call_top_filter *filter)
    __attribute__((warn_unused_result));

#endif
