#ifndef CURFEW_CALL_HANDSHAKE_WATCH_H
#define CURFEW_CALL_HANDSHAKE_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/complaints.h"
#include "runtime/mailbox.h"

/*
 * Why TLS handshakes of callers fail, over all workers, so that operators are told: of each address and cause once a
 * minute, as "upstream payments: TLS handshake of 10.0.0.7 failed: certificate: certificate has expired", and of at
 * most 32 of them in a minute. How many it were, a metric says.
 */
#define HANDSHAKE_LINE_BYTES 384
#define HANDSHAKE_LINES      8u

/* Main thread. `is_routine`: who connected has said nothing, as health checks do. */
typedef void (*handshake_watch_fn)(void *arg, bool is_routine, const char *line);

struct handshake_line {
    bool is_routine;
    char text[HANDSHAKE_LINE_BYTES];
};

struct handshake_watch {
    pthread_mutex_t lock;
    struct mailbox *home;   /* the main thread's */
    handshake_watch_fn say; /* NULL: nobody listens */
    void *arg;
    /* under the lock */
    struct complaints complaints;
    struct mail news;
    struct handshake_line lines[HANDSHAKE_LINES]; /* on their way, with the mail */
    uint32_t line_count;
};

void handshake_watch_init(struct handshake_watch *watch, struct mailbox *home, handshake_watch_fn say,
                          void *arg);
/* No worker runs any more, and what they posted has been delivered. */
void handshake_watch_fini(struct handshake_watch *watch);

struct failed_handshake {
    const char *upstream;
    struct span caller; /* its IP address; empty: a unix socket's */
    const char *why;
    bool is_routine;
};

/* Any thread. Lines for which there is no place are left out. */
void handshake_watch_note(struct handshake_watch *watch, const struct failed_handshake *failed,
                          int64_t now_ns);

#endif
