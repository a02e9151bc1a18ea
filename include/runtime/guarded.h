#ifndef CURFEW_RUNTIME_GUARDED_H
#define CURFEW_RUNTIME_GUARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/guard.h"
#include "runtime/dns_answer.h"

/* May the address be dialled? Asks the system where the guard can't know: whether it is one of this host's. */
bool guarded_may_dial(const struct guard *guard, const union dns_address *address, uint16_t port);

/*
 * Of an answer, what may be dialled. ST_OK: *out is that, with a reference for the caller. ST_BAD: nothing of it may.
 * ST_NOMEM.
 */
enum status guarded_answer(const struct guard *guard, struct dns_answer *answer, uint16_t port,
                           struct dns_answer **out) MUST_CHECK;

#endif
