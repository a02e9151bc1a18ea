#ifndef CURFEW_RUNTIME_DNS_CHANNEL_H
#define CURFEW_RUNTIME_DNS_CHANNEL_H

#include <ares.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/timer.h"
#include "runtime/dns.h"

struct worker;

/*
 * A c-ares channel on the worker's loop: its sockets, and its timeouts by one of the worker's timers. c-ares
 * can cancel a whole channel only, so a channel does one lookup at a time. It has read the system's
 * configuration when it was made.
 */
struct dns_channel;
typedef void (*dns_channel_fn)(struct dns_channel *channel);

/*
 * A server has a socket for UDP and perhaps one for TCP. One that finds no place is not heard, and times out.
 */
#define DNS_CHANNEL_SOCKETS 8

struct dns_channel {
    struct list_node node; /* the owner's */
    void *owner;           /* likewise */
    dns_channel_fn ended;  /* the lookup has ended: may free the channel */
    struct worker *worker;
    ares_channel ares;
    int64_t made_ns;
    struct timer timer;
    struct event sockets[DNS_CHANNEL_SOCKETS];
    bool in_use[DNS_CHANNEL_SOCKETS];
    bool busy;

    /* Of the lookup that has ended. */
    struct dns_answer *answer; /* to be taken; NULL: there is none, for the reason `why` (static text) */
    const char *why;
    int64_t ttl_ns;
};

/* NULL: no memory. `servers`: as in resolver_set_servers; NULL: the system's. */
struct dns_channel *dns_channel_new(struct worker *worker, const char *servers);
/* Ends a lookup that is under way, without `ended`. Not from within a callback of c-ares. */
void dns_channel_free(struct dns_channel *channel);

/* ST_OK: the lookup has ended already. ST_AGAIN: `ended` will run, from the loop. The channel is idle. */
enum status dns_channel_start(struct dns_channel *channel, const char *host) MUST_CHECK;

/* Ends the lookup under way; `ended` will not run. False: the channel is of no further use. */
bool dns_channel_cancel(struct dns_channel *channel) MUST_CHECK;

#endif
