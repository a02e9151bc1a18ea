#ifndef CURFEW_RUNTIME_HANDSHAKES_H
#define CURFEW_RUNTIME_HANDSHAKES_H

#include "base/list.h"
#include "runtime/loop.h"

/*
 * Handshakes of callers that have something to do, of one loop. A handshake costs as much as dozens of requests, and a
 * thousand callers may come at once: each turn of the loop has time for a few, so that no deadline waits for more. They
 * wait here and not among what the loop defers, where others would have to wait behind them.
 */
struct handshakes {
    struct list_node waiting;
    struct mail turn;
    struct loop *loop;
};

struct handshake {
    struct list_node node; /* in handshakes.waiting; loop's thread, as all of it */
    void (*step)(struct handshake *handshake);
};

void handshakes_init(struct handshakes *handshakes, struct loop *loop);

/* `step` is called in this turn or a later one, once, unless the handshake is removed before. It may wait already. */
void handshakes_wait(struct handshakes *handshakes, struct handshake *handshake);

#endif
