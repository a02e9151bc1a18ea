#ifndef CURFEW_CORE_DESTINATION_H
#define CURFEW_CORE_DESTINATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Where a forward proxy's callers may go: entries of names, in the order of the configuration, of which the first that
 * has the host decides. Hosts and patterns are lower case, and without a dot at their end (http/proxy_target). Pure.
 *
 *   api.example.com   that name, or an IP address as it is written there
 *   *.example.com     each name below it, however deep, and not itself
 *   *                 everything
 */
struct host_pattern {
    struct span text; /* without the "*"; of "*" empty */
    bool is_suffix;   /* it began with a "*" */
};

struct destination_hosts {
    const struct host_pattern *patterns;
    uint32_t count;
};

bool host_pattern_has(const struct host_pattern *pattern, struct span host) __attribute__((pure));

/* The first of the entries that has the host; `count`: none has. */
uint32_t destination_find(const struct destination_hosts *entries, uint32_t count, struct span host)
    __attribute__((pure));

enum host_pattern_fault {
    HOST_PATTERN_OK,
    HOST_PATTERN_EMPTY,
    HOST_PATTERN_STAR, /* a "*" that is neither all nor in front of a dot */
};

/* Whether what stands beside the star is a name is not looked at; neither is the case. */
enum host_pattern_fault host_pattern_read(struct span text, struct host_pattern *out)
    __attribute__((warn_unused_result));

#endif
