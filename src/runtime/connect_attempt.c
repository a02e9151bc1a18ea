#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/connect.h"
#include "runtime/guarded.h"
#include "runtime/loop.h"
#include "runtime/tcp.h"

/*
 * An attempt: connect_open -> connecting -> (asking) -> (handshaking) -> connect_won; connect_lost from anywhere.
 *
 * The first one has the owner's transport. So has each that begins when it is free: where one address after the
 * other refuses, and where there is but one, nothing is allocated. Those beside it have a transport of their own, and
 * if one of them wins, its connection is moved into the owner's. A transport that lies in memory of ours is freed at
 * the end of the turn: its event may be running.
 */

/* A transport beside the owner's. */
struct rival {
    struct transport transport;
    struct deferred_free deferred_free;
};

static void free_rival(struct deferred_free *deferred_free)
{
    mem_free(CONTAINER_OF(deferred_free, struct rival, deferred_free));
}

void connect_forget_ask(struct connect *connect, unsigned lane)
{
    if (connect->asks[lane] == NULL)
        return;
    proxy_ask_fini(connect->asks[lane]);
    mem_free(connect->asks[lane]);
    connect->asks[lane] = NULL;
}

void connect_close(struct connect *connect, unsigned lane)
{
    struct transport *transport = connect->lanes[lane];

    connect->lanes[lane] = NULL;
    connect_forget_ask(connect, lane);
    if (transport == NULL)
        return;
    transport_close(transport);
    if (transport != connect->transport)
        loop_free_later(connect->loop, &CONTAINER_OF(transport, struct rival, transport)->deferred_free,
                        free_rival);
}

static unsigned lane_of(const struct connect *connect, const struct transport *transport)
{
    unsigned lane = 0;

    while (connect->lanes[lane] != transport)
        lane++;
    POST(lane < RACE_LANES); /* each transport that has events is in a lane */
    return lane;
}

static int open_socket(struct connect *connect, unsigned lane);

/* At the same address. Nothing has been sent to the API, and the race does not hear of it. */
static void try_anew(struct connect *connect, unsigned lane)
{
    int error;

    transport_close(connect->lanes[lane]);
    error = open_socket(connect, lane);
    if (error != 0)
        connect_lost_by(connect, lane, error);
}

/* The handshake in this lane offered a session, and the peer may bear none that would resume: once without one. */
static void try_without_session(struct connect *connect, unsigned lane)
{
    PRE(!connect->shuns_session[lane]); /* once */
    connect->shuns_session[lane] = true;
    connect_forget_ask(connect, lane);
    try_anew(connect, lane);
}

static void handshaking(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    struct tls_failure failure;

    switch (tls_handshake(transport, &failure)) {
    case ST_AGAIN: return;
    case ST_OK: connect_won(connect, lane); return;
    default: break;
    }
    if (failure.was_resumption && !connect->shuns_session[lane]) {
        try_without_session(connect, lane);
        return;
    }
    connect_lost(connect, lane, failure.cause, failure.why);
}

static void begin_tls(struct connect *connect, unsigned lane)
{
    struct transport *transport = connect->lanes[lane];

    if (!connect->in_tls)
        connect->events->phase(connect, PHASE_TLS);
    connect->in_tls = true;
    race_connected(&connect->race, lane, loop_now(connect->loop));
    if (tls_begin(connect->tls, transport, !connect->shuns_session[lane]) != ST_OK ||
        (connect->http1_only && !tls_offer_http1(transport))) {
        connect_lost(connect, lane, CAUSE_INTERNAL, strerror(ENOMEM));
        return;
    }
    transport->on_ready = handshaking;
    handshaking(transport);
}

/* The bytes are the API's from here on. */
static void way_is_open(struct connect *connect, unsigned lane)
{
    if (connect->tls != NULL)
        begin_tls(connect, lane);
    else
        connect_won(connect, lane);
}

static void asking(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    struct proxy_failure failure;

    switch (proxy_ask_step(connect->asks[lane], transport, &failure)) {
    case ST_AGAIN: return;
    case ST_OK: way_is_open(connect, lane); return;
    default: break;
    }
    if (failure.is_of_place && proxy_ask_next(connect->asks[lane])) {
        try_anew(connect, lane);
        return;
    }
    connect_lost(connect, lane, failure.cause, failure.why);
}

/* False: no memory. */
static bool make_ask(struct connect *connect, unsigned lane)
{
    struct proxy_ask *ask = mem_zalloc(sizeof(*ask));

    if (ask != NULL)
        ask->spec = connect->proxy;
    connect->asks[lane] = ask;
    return ask != NULL;
}

/* For the next place, if it has refused one. */
static void begin_asking(struct connect *connect, unsigned lane)
{
    if (connect->asks[lane] == NULL && !make_ask(connect, lane)) {
        connect_lost(connect, lane, CAUSE_INTERNAL, strerror(ENOMEM));
        return;
    }
    connect->lanes[lane]->on_ready = asking;
    asking(connect->lanes[lane]);
}

/*
 * The first event of a socket that is connecting says that it has connected, or failed. If it failed, the event says
 * that there is something to read, too.
 */
static void connecting(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    int error = 0;
    socklen_t len = sizeof(error);

    if ((transport->can_read || transport->peer_ended) &&
        getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0)
        connect_lost_by(connect, lane, error);
    else if (connect->proxy != NULL)
        begin_asking(connect, lane);
    else
        way_is_open(connect, lane);
}

/* The owner's, if no attempt has it; NULL: no memory. */
static struct transport *take_transport(struct connect *connect)
{
    struct rival *rival;
    bool is_taken = false;

    for (unsigned lane = 0; lane < RACE_LANES; lane++)
        is_taken |= connect->lanes[lane] == connect->transport;
    if (!is_taken)
        return connect->transport;
    rival = mem_zalloc(sizeof(*rival));
    if (rival == NULL)
        return NULL;
    transport_init(&rival->transport);
    return &rival->transport;
}

/* Towards the address in this lane. 0, or an errno. */
static int open_socket(struct connect *connect, unsigned lane)
{
    struct transport *transport = connect->lanes[lane];
    union dns_address address = connect_address_in(connect, lane);
    int fd;

    PRE(connect->origin->guard == NULL ||
        guarded_may_dial(connect->origin->guard, &address, connect->origin->port));
    fd = tcp_connect(&address.any, connect->origin->longest_ns);
    if (fd < 0 && loop_find_descriptor(connect->loop, errno))
        fd = tcp_connect(&address.any, connect->origin->longest_ns);
    if (fd < 0)
        return errno;
    if (transport_open(transport, connect->loop, fd, connecting) != ST_OK)
        return ENOMEM;
    transport->can_read = false; /* its first event tells */
    transport->arg = connect;
    return 0;
}

int connect_open(struct connect *connect, unsigned lane)
{
    PRE(connect->lanes[lane] == NULL);
    connect->shuns_session[lane] = false;
    connect->lanes[lane] = take_transport(connect);
    return connect->lanes[lane] != NULL ? open_socket(connect, lane) : ENOMEM;
}
