#ifndef CURFEW_CORE_BUDGET_H
#define CURFEW_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * The time that a caller leaves us, in the dialect that the field's name stands for: grpc-timeout is 1 to 8
 * digits and a unit of H M S m u n (gRPC over HTTP/2, "Timeout"); every other name is whole milliseconds,
 * digits only (Envoy's x-envoy-upstream-rq-timeout-ms). False if the value does not parse. Too large to hold:
 * NS_NEVER.
 */
bool budget_parse(struct span field_name, struct span value, int64_t *out_ns)
    __attribute__((warn_unused_result));

/*
 * What is left of `deadline_ns` in whole milliseconds, rounded down, for the field sent upstream. The last millisecond
 * is 1: by 0 some understand that there is no limit (Envoy does, of its x-envoy-upstream-rq-timeout-ms). 0: it is over.
 */
uint64_t budget_left_ms(int64_t deadline_ns, int64_t now_ns);

/* start + length without overflow; NS_NEVER stays NS_NEVER. */
int64_t budget_end(int64_t start_ns, int64_t length_ns);

/*
 * Addresses are raced at a pace that leaves the second one its turn until then: until the limit of connecting or the
 * deadline. For an observed call that is what its policy leaves, as if it were kept to, and what the ceiling, which is
 * its `deadline_ns`, leaves once that has passed.
 */
int64_t budget_race_end(int64_t limit_ns, int64_t deadline_ns, int64_t policy_ns, int64_t now_ns)
    __attribute__((const));

#endif
