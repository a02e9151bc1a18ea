#ifndef CURFEW_RUNTIME_DNS_CHANNEL_H
#define CURFEW_RUNTIME_DNS_CHANNEL_H

#include <ares.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "core/ip.h"
#include "core/resolv_conf.h"
#include "core/timer.h"

struct loop;

/*
 * A c-ares channel on a loop: its sockets, and its timeouts by one of the loop's timers. It asks for the
 * addresses of one name at a time, of both families apart; c-ares can cancel a whole channel only.
 *
 * A server has 300 ms, one that refuses or fails no time at all; then it is the next one's turn, and the first one's
 * again with twice the time. A late answer to an earlier try is taken.
 */
struct dns_channel;
typedef void (*dns_channel_fn)(struct dns_channel *channel);

/*
 * A server has a socket for UDP and perhaps one for TCP. One that finds no place is not heard, and times out.
 */
#define DNS_CHANNEL_SOCKETS (2 * RESOLV_SERVERS_MAX)
/* More addresses of one family than anybody would try. */
#define DNS_REPLY_ADDRESSES 128u

enum dns_family { FAMILY_V4, FAMILY_V6, FAMILIES };

enum dns_reply_kind {
    REPLY_PENDING,
    REPLY_ADDRESSES,
    REPLY_NO_ADDRESS, /* there is such a name */
    REPLY_NO_SUCH,    /* there is none */
    REPLY_FAILED,     /* no server can say */
    REPLY_SILENT,     /* no server has answered */
    REPLY_SHORTAGE,   /* we lack descriptors or memory: `why` says which */
};

/* What came of the question for one family. */
struct dns_reply {
    enum dns_reply_kind kind;
    uint32_t asked;  /* questions that are under way */
    const char *why; /* static text */
    uint32_t count;
    struct ip addresses[DNS_REPLY_ADDRESSES];
    int64_t ttl_ns; /* the smallest on the way from the name to its addresses */
};

struct dns_channel {
    struct list_node node;  /* the owner's */
    void *owner;            /* likewise */
    dns_channel_fn changed; /* a reply is no more pending; from the loop. May free the channel. */
    struct loop *loop;
    ares_channel ares;
    struct timer timer;
    struct event sockets[DNS_CHANNEL_SOCKETS];
    bool in_use[DNS_CHANNEL_SOCKETS];
    int shortage; /* errno: what was lacking when a socket was to be opened; 0: nothing */
    bool has_changed;
    struct dns_reply replies[FAMILIES];
};

/* NULL: no memory or descriptors (errno). `servers`: "127.0.0.1:5353,…"; NULL: those of `conf`. */
struct dns_channel *dns_channel_new(struct loop *loop, const struct resolv_conf *conf, const char *servers);
/* Ends what is under way, without `changed`. Not from within a callback of c-ares. */
void dns_channel_free(struct dns_channel *channel);

/* Asks for one name's addresses. The replies are pending, or, where that needed no waiting, there already. */
void dns_channel_ask(struct dns_channel *channel, const char *name, bool with_v6);
/* Asks the same once more, besides the questions that are under way, where there is no reply yet. */
void dns_channel_repeat(struct dns_channel *channel, const char *name);
/* Ends what is under way, without `changed`. */
void dns_channel_cancel(struct dns_channel *channel);

/* Is it fit for another name? One that has failed, or lacked something, is not. */
bool dns_channel_is_good(const struct dns_channel *channel);

#endif
