#ifndef CURFEW_RUNTIME_STORE_LINK_H
#define CURFEW_RUNTIME_STORE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "core/origin.h"
#include "core/store_fault.h"
#include "core/store_reply.h"
#include "core/timer.h"
#include "runtime/connect.h"
#include "runtime/mailbox.h"
#include "runtime/store_ground.h"
#include "runtime/store_reader.h"
#include "runtime/transport.h"

/*
 * One connection to a store or a Sentinel: TCP, TLS over that, or a unix socket. Requests go out together at the end of
 * a turn of the loop, and answers come in the order of the requests. All callbacks come from the loop, never out of a
 * function of this header but store_link_close; each may send, and may close the link. The loop's thread.
 */
struct store_link;
struct store_request;

/* `reply` is gone afterwards. NULL: the link has closed; its `fault` and `why` say why. */
typedef void (*store_request_fn)(struct store_request *request, const struct store_reply *reply);

/* Embedded in who asks; on the link's list until it is answered. */
struct store_request {
    struct list_node node;
    store_request_fn fn;
};

struct store_link_events {
    void (*opened)(struct store_link *link); /* connected, under TLS if that is to be */
    void (*closed)(
        struct store_link *link); /* by itself or by store_link_close; its requests were told before */
    /* An answer that no request has asked for. False: it is no good, and the link closes. NULL: none is. */
    bool (*stray)(struct store_link *link, const struct store_reply *reply);
};

/* Words of one request. */
#define STORE_LINK_WORDS_MAX 80u

enum store_link_state {
    STORE_LINK_CLOSED,
    STORE_LINK_CONNECTING,
    STORE_LINK_OPEN,
    STORE_LINK_ENDING /* its socket is closed, and the end of the turn tells so */
};

struct store_link {
    struct store_ground *ground;
    const struct store_link_events *events;
    enum store_link_state state;
    char host[STORE_HOST_MAX]; /* of the place that it was opened to last; "": a unix socket */
    char path[108];
    uint16_t port;
    struct origin origin;
    struct store_tls *tls; /* NULL: plain */
    struct transport transport;
    struct connect connect;
    struct store_reader reader;
    /* Of before it was closed by who was told of an answer: until that returns. */
    struct store_reader read_out;
    bool is_reading;           /* somebody is being told of an answer */
    struct list_node requests; /* sent and not answered, in order */
    char *out;                 /* to be written: out[out_done..out_len) */
    size_t out_len, out_done, out_cap;
    /* At the end of a turn: connected, or in vain, or there is something to write or to read. */
    struct mail turn;
    struct timer limit; /* store_link_limit */
    enum store_fault limit_fault;
    const char *limit_why;
    uint32_t serial; /* how often it has been closed */
    enum store_fault fault;
    char why[192]; /* how it closed last */
};

/* ST_NOMEM. Closed at first. */
enum status store_link_init(struct store_link *link, struct store_ground *ground,
                            const struct store_link_events *events) MUST_CHECK;
/* Nobody hears of it. */
void store_link_fini(struct store_link *link);

/* Begins to connect to a place, whose texts are copied; `opened` or `closed` follows. It is closed now. */
void store_link_open(struct store_link *link, const struct store_place *place);

/*
 * At the instant it closes with this fault and this text (static), unless it is set anew before. NS_NEVER: it does not.
 */
void store_link_limit(struct store_link *link, int64_t at_ns, enum store_fault fault, const char *why);

/* ST_NOMEM: nothing is sent. It is open; `words` are copied. Without a request, what is answered is a stray. */
enum status store_link_send(struct store_link *link, const struct span *words, uint32_t count,
                            struct store_request *request) MUST_CHECK;

/* No effect on a closed one. */
void store_link_close(struct store_link *link, enum store_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same of an open one, for who must not be called back now: its socket is closed, and the next turn tells so. */
void store_link_break(struct store_link *link, enum store_fault fault, const char *why);

/* Closes it, and nobody hears of it. */
void store_link_drop(struct store_link *link);

/* Where it was opened to: "redis.internal:6379" or "unix:/run/redis.sock". */
void store_link_put_place(struct text *out, const struct store_link *link);
bool store_link_is_at(const struct store_link *link, const struct store_place *place);

#endif
