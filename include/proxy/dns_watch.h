#ifndef CURFEW_PROXY_DNS_WATCH_H
#define CURFEW_PROXY_DNS_WATCH_H

#include <pthread.h>
#include <stdint.h>

#include "base/list.h"
#include "runtime/dns.h"
#include "runtime/mailbox.h"

/*
 * Which addresses the names of upstreams have, over all workers, so that operators are told once when that
 * changes: a line such as "api.example.com is at 10.0.0.2 now, it was at 10.0.0.1". Their order says nothing. A
 * name whose addresses differ at each lookup is told of once in a minute. Likewise when DNS begins to fail though
 * the last good answer goes on being used, and when that is over. At most 256 names are known, the latest.
 */
typedef void (*dns_watch_log_fn)(void *arg, const char *line); /* main thread */

struct dns_watch {
    pthread_mutex_t lock;
    struct list_node places; /* latest looked up first */
    uint32_t count;
    struct mailbox *home; /* the main thread's */
    dns_watch_log_fn log; /* NULL: nobody listens */
    void *arg;
};

void dns_watch_init(struct dns_watch *watch, struct mailbox *home, dns_watch_log_fn log, void *arg);
/* No worker runs any more, and what they posted has been delivered. */
void dns_watch_fini(struct dns_watch *watch);

/* A lookup has ended. Any thread. Without memory nothing is noted. */
void dns_watch_note(struct dns_watch *watch, const struct dns_news *news, int64_t now_ns);

#endif
