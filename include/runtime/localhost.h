#ifndef CURFEW_RUNTIME_LOCALHOST_H
#define CURFEW_RUNTIME_LOCALHOST_H

#include <stdbool.h>

#include "runtime/dns_answer.h"

/* The name that is never looked up (RFC 6761 6.3). */

/* Is it "localhost", or a name under it, with or without a dot at the end, in whatever case? */
bool localhost_is(const char *host) __attribute__((pure));

/* 127.0.0.1 and ::1, with one reference. NULL: no memory. */
struct dns_answer *localhost_answer_new(void);

#endif
