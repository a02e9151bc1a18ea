#ifndef CURFEW_CALL_KEEPALIVE_H
#define CURFEW_CALL_KEEPALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/timer.h"
#include "core/trust.h"

struct call_context;
struct multiplex;
struct target;
struct upstream;
struct upstream_config;
struct dns_answer;

/*
 * One worker's idle connections to one upstream. Some are anybody's. Others have authenticated a caller and are
 * reserved for the caller's connection, which has at most one, and until either ends: they are no part of max_idle,
 * since callers' connections bound them, but idle_timeout and max_age hold for them, too.
 */
struct keepalive {
    struct list_node idle; /* the most recently used one first */
    uint32_t count;
    struct list_node reserved;
    uint32_t reserved_count;
    uint32_t max; /* this worker's share of max_idle */
    struct doubt doubt;
    struct timer expiry;
    struct call_context *context;
    const struct upstream_config *config; /* whose connections are kept; NULL: nobody's */
    struct dns_answer *answer;            /* what its name's addresses are now; NULL: not known */
    uint32_t answer_number;               /* changes with the answer; never 0 once there is one */
    struct multiplex *multiplex;          /* those that speak HTTP/2 and are in use; NULL: none ever was */
};

/* Keeps nothing yet. Heap; NULL without memory. */
struct keepalive *keepalive_new(struct call_context *context) __attribute__((warn_unused_result));
/* Closes all. */
void keepalive_free(struct keepalive *keepalive);

/* Closes all, and keeps connections of this configuration, and of no other, from now on; NULL: none. */
void keepalive_renew(struct keepalive *keepalive, const struct upstream_config *config);

/* Closes the connection that has been idle for the longest, though it could be used. False: there is none. */
bool keepalive_give_up_one(struct keepalive *keepalive);

/* The upstream's name has these addresses now: connections to others are closed, when they are idle. */
void keepalive_heed(struct keepalive *keepalive, struct dns_answer *answer);

/*
 * The best idle connection, or NULL: also for a call that began under another configuration than connections are kept
 * for, and goes to where that one says. With `probe_socket` the socket itself is asked whether the peer has closed it:
 * for requests that can't be sent a second time. Of connections that lead to several places, one to `target`.
 */
struct upstream *keepalive_take(struct keepalive *keepalive, const struct upstream_config *config,
                                const struct target *target, int64_t now_ns, bool probe_socket);

/* Is the connection's address one that the upstream's name does not have any more? */
bool keepalive_has_moved(const struct keepalive *keepalive, struct upstream *upstream);

/* Keeps a clean connection for later, or closes it if there are enough or it is too old. Takes it over. */
void keepalive_put(struct keepalive *keepalive, struct upstream **upstream, int64_t now_ns);

/* Likewise, for the next call on a caller's connection alone, which finds it at *reserved_at. */
void keepalive_reserve(struct keepalive *keepalive, struct upstream **upstream, struct upstream **reserved_at,
                       int64_t now_ns);

/* The connection that is reserved for the caller, if it is still fit, as keepalive_take; else it is closed: NULL. */
struct upstream *keepalive_take_reserved(struct upstream **reserved_at, const struct upstream_config *config,
                                         const struct target *target, int64_t now_ns, bool probe_socket);

/* The caller's connection ends, and what is reserved for it with it. */
void keepalive_end_reservation(struct upstream **reserved_at);

/*
 * A request sent at `sent_ns` on this connection, which had served others, has got no byte of a response: what that
 * says of those that were idle beside it, core/trust.h decides. Each worker finds out by itself.
 */
void keepalive_doubt(struct keepalive *keepalive, const struct upstream *silent, int64_t sent_ns,
                     bool acknowledged);

#endif
