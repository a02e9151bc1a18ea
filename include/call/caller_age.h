#ifndef CURFEW_CALL_CALLER_AGE_H
#define CURFEW_CALL_CALLER_AGE_H

#include <stdint.h>

#include "base/status.h"

struct call_context;
struct caller_age;

/*
 * limits.connection_age: how old a caller's connection may become. A tenth more or less, by chance, so that connections
 * which began together do not end together. Worker's thread.
 */

/* The connection is new. After its time `is_old` is called with `arg`, once. *age: NULL, where there is no limit. */
enum status caller_age_begin(struct caller_age **age, struct call_context *context, void (*is_old)(void *arg),
                             void *arg) MUST_CHECK;
/* The connection has ended. *age may be NULL, and is then. */
void caller_age_end(struct caller_age **age, struct call_context *context);

/* `age_ns` and up to a tenth more or less, as the 64 bits of chance say. */
int64_t caller_age_spread(int64_t age_ns, uint64_t chance) __attribute__((const));

#endif
