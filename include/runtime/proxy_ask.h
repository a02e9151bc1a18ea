#ifndef CURFEW_RUNTIME_PROXY_ASK_H
#define CURFEW_RUNTIME_PROXY_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "core/cause.h"
#include "core/proxy_spec.h"

struct transport;

/*
 * A proxy is asked for a tunnel, on a connection to it that has just been made: CONNECT goes, and the answer comes
 * (RFC 9110 9.3.6). Of what it sends, the answer's head is taken and not a byte more: what follows a 2xx belongs to
 * whoever speaks through the tunnel, TLS mostly.
 *
 * Zeroed memory is one that has not begun. One thread.
 */
struct proxy_ask {
    const struct proxy_spec *spec; /* whoever has it sets it */
    size_t sent;                   /* of the question */
    char *head;                    /* what has come of the answer */
    size_t len, cap;
};

struct proxy_failure {
    enum cause cause;
    char why[96];     /* for people */
    bool is_of_place; /* what it was asked for is what it refuses */
};

/* To be called at each event. ST_OK: the tunnel is there. ST_AGAIN. ST_FAILED: *failure. */
enum status proxy_ask_step(struct proxy_ask *ask, struct transport *transport,
                           struct proxy_failure *failure) MUST_CHECK;

/* What it has refused is not the last: begins anew with the next one. False: it is. */
bool proxy_ask_next(struct proxy_ask *ask);

void proxy_ask_fini(struct proxy_ask *ask);

/*
 * The status of the final answer whose head lies in these bytes, and how long that is, interim ones before it included:
 * 0, and *len 0, if it has not come whole; 0, and *len not 0, if it is none. *line is its first line.
 */
unsigned proxy_answer_read(const char *bytes, size_t count, size_t *len, struct span *line);

#endif
