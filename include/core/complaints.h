#ifndef CURFEW_CORE_COMPLAINTS_H
#define CURFEW_CORE_COMPLAINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/number.h"

/*
 * Which complaints are worth a line, of those that others can cause as often as they like: each once a minute, and no
 * more different ones than there are places. Pure: the instant comes in.
 */
#define COMPLAINTS_PLACES   32u
#define COMPLAINTS_QUIET_NS (60 * NS_PER_S)

struct complaints {
    struct {
        uint64_t key;
        int64_t told_ns;
    } told[COMPLAINTS_PLACES];
    uint32_t count;
    uint64_t left_out; /* since the last one that was told */
};

/* True: it is to be told, with *left_out, of any kind, that were not since the last one. */
bool complaints_may_tell(struct complaints *complaints, uint64_t key, int64_t now_ns, uint64_t *left_out)
    __attribute__((warn_unused_result));

#endif
