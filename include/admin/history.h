#ifndef CURFEW_ADMIN_HISTORY_H
#define CURFEW_ADMIN_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "admin/request.h"
#include "admin/page.h"
#include "stats/history.h"
#include "stats/recent.h"
#include "stats/stuck_calls.h"
#include "proxy/proxy.h"
#include "runtime/loop.h"

/*
 * What has happened in the last 15 minutes: once a second, the workers' counters go into a ring for each upstream
 * (stats/history.h), and the calls that got stuck into a list of the newest. GET /history and GET /stuck show it. All
 * on the loop's thread.
 */

/* The history of an upstream. It ends when nothing of the upstream is left, or another one has its number. */
struct upstream_history {
    char *name;              /* NULL: no upstream has this number */
    struct history *history; /* NULL: no memory so far */
    struct history_totals totals;
    struct recent *recent; /* there when `history` is */
    struct recent_totals recent_totals;
    int64_t deadline_ns; /* of the default route, */
    int64_t longest_ns;  /* of the route that has most time */
    int64_t at_most_ns;  /* the longest that any of the calls that there were may have taken */
    uint32_t pool;       /* number; that of the default route */
    bool observed;       /* its deadlines cut nothing */
    bool refuses;        /* a breaker of its routes is not closed */
    bool goes_on;        /* seen in this second */
    bool is_late;        /* it has counted before it had a history */
};

/* A call that got stuck, with the names that it had. */
struct stuck_record {
    struct stuck_call call;
    char *upstream, *route;
    int64_t ended_unix_ms;
    struct late_call late; /* id 0: nothing is known */
};

struct admin_history {
    struct proxy *proxy;
    const char *version;
    char instance[17];                  /* no other process has it */
    char edition[PAGE_EDITION_LEN + 1]; /* of the page */
    int64_t began_ns;                   /* where second 0 begins */
    int64_t began_unix_ms;
    int64_t second; /* the last one that has a sample; -1: none */
    struct heartbeat_listener listener;
    struct upstream_history *upstreams; /* by number */
    uint32_t upstream_count;
    struct stuck_record stuck[STUCK_CALLS]; /* a ring */
    uint64_t stuck_count;                   /* all that ever were; the newest is the one before */
    uint64_t late_count;                    /* of what became of them */
};

/* Set loop, proxy and version first; they are borrowed. */
void admin_history_init(struct admin_history *history);
/* When the workers have ended. */
void admin_history_fini(struct admin_history *history);

/* The second that is the newest which has a sample; -1: none has. */
int64_t admin_history_newest(const struct admin_history *history) __attribute__((pure));

/* Take the request over. */
void admin_history_respond_history(struct admin_history *history, struct admin_request *request);
void admin_history_respond_stuck(struct admin_history *history, struct admin_request *request);

#endif
