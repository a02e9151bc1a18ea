#ifndef CURFEW_HTTP_RETRY_AFTER_H
#define CURFEW_HTTP_RETRY_AFTER_H

#include <stdint.h>

#include "http/http1.h"

/*
 * How long an API asks its callers to wait: Retry-After (RFC 9110 10.2.3) as whole seconds, as a date, or with
 * decimals, as some write it against the RFC ("2.0"); or retry-after-ms, in milliseconds, of APIs that want to be more
 * exact, which then counts alone. Of several values that can be read the longest counts. Pure.
 */
enum retry_after {
    RETRY_AFTER_ABSENT,
    RETRY_AFTER_UNREADABLE, /* there is one, and it says nothing: a negative one, or words */
    RETRY_AFTER_READ,
};

/*
 * `now_ns` is the time of day, since 1970. *wait_ns is from now on: 0 if a date has passed, NS_NEVER if it is longer
 * than can be held; set if READ is the answer.
 */
enum retry_after retry_after_read(const struct http1_head *response, int64_t now_ns, int64_t *wait_ns)
    __attribute__((warn_unused_result));

#endif
