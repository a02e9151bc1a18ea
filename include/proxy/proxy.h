#ifndef CURFEW_PROXY_PROXY_H
#define CURFEW_PROXY_PROXY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "call/replay.h"
#include "config/numbering.h"
#include "config/snapshot.h"
#include "stats/metric.h"
#include "call/handshake_watch.h"
#include "proxy/dns_watch.h"
#include "proxy/fleet.h"
#include "proxy/heartbeat.h"
#include "proxy/listeners.h"
#include "runtime/address_book.h"
#include "runtime/mailbox.h"
#include "runtime/pool.h"

struct worker;
struct access_log;
struct drain;
struct generation;
struct reload;

/*
 * The running service: what its workers share. The main thread's, but for what the workers were given of it and for the
 * atomic members.
 */
struct proxy {
    struct generation *generation;   /* in force */
    const struct snapshot *snapshot; /* the generation's */
    struct list_node generations;    /* it and those that still have calls, in the order of their coming */
    struct numbering numbering;
    uint64_t renamed; /* how often numbers may have changed their owners */
    struct worker **workers;
    struct loop **loops; /* the workers' loops, for the pools */
    uint32_t worker_count;
    struct pool **pools;       /* by number; they stay, whoever has the number */
    struct circuit **circuits; /* by number of a route; NULL: no breaker was there. They stay, too */
    uint32_t circuit_count;
    uint32_t pool_count;
    struct retry_tokens **retry_tokens; /* by the upstreams' numbers; they stay, too */
    uint32_t retry_token_count;
    struct replay_store replay; /* what workers keep of requests */
    struct list_node listeners;
    struct handed_socket *handed; /* borrowed */
    size_t handed_count;
    struct access_log *log; /* NULL: off */
    struct mailbox *home;   /* the main thread's */
    struct loop *loop;      /* whose it is */
    struct fleet *fleet;    /* NULL: no configuration so far had one */
    fleet_say_fn say_of_fleet;
    void (*say)(void *arg, const char *line); /* what operators should know; NULL: nobody listens */
    void *say_arg;
    struct heartbeat heartbeat;
    struct dns_watch dns_watch;
    struct handshake_watch handshake_watch;
    struct address_book address_book;
    struct reload *reload; /* under way, or NULL */
    struct drain *drain;   /* likewise */
    uint64_t reloads[RESULT_COUNT];
    atomic_uint downstream_count; /* callers' connections, for limits.connections */
    uint32_t scrape_count; /* scrapes in memory: forgotten ones, too, until the last worker has answered */
    atomic_bool ready;
};

/* The configuration in force. Main thread. */
const struct snapshot *proxy_snapshot(const struct proxy *proxy);
/* By number. Main thread. */
struct pool_figures proxy_pool_figures(struct proxy *proxy, uint32_t pool);
/* Takes calls, and will: has started, and no end was announced. Any thread. */
bool proxy_is_ready(const struct proxy *proxy);
/* It is not ready any more, though it still takes calls: a drain will follow. Any thread. */
void proxy_announce_end(struct proxy *proxy);

/* The access log's file is closed and opened anew. False: *why says why not; it goes on as before. Main thread. */
bool proxy_reopen_log(struct proxy *proxy, char *why, size_t why_cap) __attribute__((warn_unused_result));

#endif
