#ifndef CURFEW_PROXY_PULSE_H
#define CURFEW_PROXY_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "proxy/broadcast.h"

/*
 * Has the loop of each worker turned? A mail to each, which it answers with what it has in flight; those that do not
 * turn do not answer, and then there is no beat.
 */
struct pulse {
    struct broadcast broadcast;
    bool under_way;
    atomic_ullong in_flight; /* calls, of all workers, */
    atomic_ullong stuck;     /* and those that ever got stuck; valid in `beat` */
    void (*beat)(struct pulse *pulse);
};

enum status pulse_init(struct pulse *pulse, struct proxy *proxy,
                       void (*beat)(struct pulse *pulse)) MUST_CHECK;
/* When all workers have ended. */
void pulse_fini(struct pulse *pulse);

/* `beat` runs when the last worker has answered. Nothing happens while one is under way. Main thread. */
void pulse_ask(struct pulse *pulse);

#endif
