#include "runtime/connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/connect_cause.h"
#include "runtime/guarded.h"
#include "runtime/loop.h"
#include "runtime/socket_address.h"
#include "runtime/tcp.h"

/*
 * begin -> (DNS) -> go_on: race_next -> start -> connecting -> (handshaking) -> win -> finish
 *                     ^                   |          |               |
 *                     +-------------------+----------+---------------+  failed, or a timer
 *
 * Every step comes from the loop, and `finish` is the one way out but for connect_cancel.
 *
 * The first attempt has the owner's transport. So has each that begins when it is free: where one address after the
 * other refuses, and where there is but one, nothing is allocated. Those beside it have a transport of their own, and
 * if one of them wins, its connection is moved into the owner's. A transport that lies in memory of ours is freed at
 * the end of the turn: its event may be running.
 *
 * What is remembered of addresses, if there are several (runtime/address_book): one that fails by itself; one that was
 * given up for the next; and one that had lost its patience when another won or the owner's time was over. A shortage
 * of our own says nothing of an address.
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

static void close_lane(struct connect *connect, unsigned lane)
{
    struct transport *transport = connect->lanes[lane];

    connect->lanes[lane] = NULL;
    if (connect->proxy != NULL)
        proxy_ask_fini(&connect->asks[lane]);
    if (transport == NULL)
        return;
    transport_close(transport);
    if (transport != connect->transport)
        loop_free_later(connect->loop, &CONTAINER_OF(transport, struct rival, transport)->deferred_free,
                        free_rival);
}

static void leave(struct connect *connect)
{
    PRE(connect->active);
    connect->active = false;
    for (unsigned lane = 0; lane < RACE_LANES; lane++)
        close_lane(connect, lane);
    timer_fini(&connect->loop->timers, &connect->timer);
    loop_undefer(&connect->begin);
    dns_cancel(&connect->query);
    dns_answer_release(&connect->answer);
}

static void finish(struct connect *connect, enum cause cause)
{
    leave(connect);
    POST(transport_is_open(connect->transport) == (cause == CAUSE_NONE));
    connect->events->done(connect, cause, connect->detail);
}

/* ---- what went wrong ----------------------------------------------------------------------------------- */

/* Of those that tell as much, the latest. */
static void note(struct connect *connect, const union dns_address *peer, enum cause cause, const char *why)
{
    char block[64];
    struct text at = text_over(block, sizeof(block));

    if (!connect_cause_tells(cause, connect->cause))
        return;
    socket_address_put(&at, &peer->any);
    snprintf(connect->detail, sizeof(connect->detail), "%.*s: %s", SPAN_FMT(text_span(&at)), why);
    connect->cause = cause;
}

static void fail_without_address(struct connect *connect, enum cause cause, const char *why)
{
    snprintf(connect->detail, sizeof(connect->detail), "%s: %s", connect->origin->host, why);
    finish(connect, cause);
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static union dns_address address_at(const struct connect *connect, unsigned place)
{
    union dns_address address = connect->answer != NULL ? connect->answer->addresses[connect->order[place]]
                                                        : dns_address_of(&connect->origin->ip);
    in_port_t port = htons(connect->origin->port);

    if (address.any.sa_family == AF_INET6)
        address.v6.sin6_port = port;
    else
        address.v4.sin_port = port;
    return address;
}

static union dns_address address_in(const struct connect *connect, unsigned lane)
{
    return address_at(connect, connect->race.lanes[lane].place);
}

static bool has_several_addresses(const struct connect *connect)
{
    return connect->answer != NULL && connect->answer->count > 1;
}

/* The address in this lane goes last for a while. */
static void remember(struct connect *connect, unsigned lane)
{
    union dns_address address = address_in(connect, lane);

    if (has_several_addresses(connect))
        address_book_failed(connect->book, connect->origin, &address, loop_now(connect->loop));
}

/* Those that had lost their patience before the one at `place` was started. */
static void remember_passed(struct connect *connect, unsigned place)
{
    for (unsigned lane = 0; lane < RACE_LANES; lane++) {
        if (race_is_passed(&connect->race, lane, place))
            remember(connect, lane);
    }
}

/* ---- attempts ------------------------------------------------------------------------------------------ */

static void go_on(struct connect *connect);

static unsigned lane_of(const struct connect *connect, const struct transport *transport)
{
    unsigned lane = 0;

    while (connect->lanes[lane] != transport)
        lane++;
    POST(lane < RACE_LANES); /* each transport that has events is in a lane */
    return lane;
}

static void attempt_failed(struct connect *connect, unsigned lane, enum cause cause, const char *why)
{
    union dns_address address = address_in(connect, lane);

    note(connect, &address, cause, why);
    close_lane(connect, lane);
    if (cause != CAUSE_INTERNAL)
        remember(connect, lane);
    if (cause == CAUSE_TLS_CERTIFICATE)
        race_distrusted(&connect->race, lane);
    else
        race_failed(&connect->race, lane);
}

static void attempt_failed_by(struct connect *connect, unsigned lane, int error)
{
    union dns_address address = address_in(connect, lane);

    attempt_failed(connect, lane, tcp_cause_of(error, &address.any), strerror(error));
}

/* Before `done` and the owner's own on_ready. */
static void nothing_to_do(struct transport *transport)
{
    (void)transport;
}

/* The attempt in this lane is the first that is usable. */
static void win(struct connect *connect, unsigned lane)
{
    struct transport *winner = connect->lanes[lane];
    enum status status = ST_OK;

    PRE(transport_is_open(winner) && connect->race.lanes[lane].is_taken);
    connect->peer = address_in(connect, lane);
    if (has_several_addresses(connect)) {
        remember_passed(connect, connect->race.lanes[lane].place);
        address_book_won(connect->book, connect->origin, &connect->peer);
    }
    for (unsigned other = 0; other < RACE_LANES; other++) {
        if (other != lane)
            close_lane(connect, other);
    }
    if (winner != connect->transport)
        status = transport_move(connect->transport, winner);
    if (status != ST_OK) {
        note(connect, &connect->peer, CAUSE_INTERNAL, strerror(ENOMEM));
        finish(connect, CAUSE_INTERNAL);
        return;
    }
    proxy_ask_fini(&connect->asks[lane]);
    if (winner == connect->transport)
        connect->lanes[lane] = NULL; /* it stays open */
    connect->transport->on_ready = nothing_to_do;
    connect->transport->arg = NULL;
    /* The handshake may have read ahead: bytes that raise no event any more. */
    connect->transport->can_read = connect->transport->can_write = true;
    connect->detail[0] = '\0';
    finish(connect, CAUSE_NONE);
}

static int open_socket(struct connect *connect, unsigned lane);

/*
 * The handshake in this lane offered a session, and the peer may bear none that would resume: the same address anew,
 * without one, once. Nothing has been sent, and the race does not hear of it.
 */
static void try_without_session(struct connect *connect, unsigned lane)
{
    int error;

    PRE(!connect->shuns_session[lane]); /* once */
    connect->shuns_session[lane] = true;
    proxy_ask_fini(&connect->asks[lane]);
    transport_close(connect->lanes[lane]);
    error = open_socket(connect, lane);
    if (error == 0)
        return;
    attempt_failed_by(connect, lane, error);
    go_on(connect);
}

static void handshaking(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    struct tls_failure failure;

    switch (tls_handshake(transport, &failure)) {
    case ST_AGAIN: return;
    case ST_OK: win(connect, lane); return;
    default: break;
    }
    if (failure.was_resumption && !connect->shuns_session[lane]) {
        try_without_session(connect, lane);
        return;
    }
    attempt_failed(connect, lane, failure.cause, failure.why);
    go_on(connect);
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
        attempt_failed(connect, lane, CAUSE_INTERNAL, strerror(ENOMEM));
        go_on(connect);
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
        win(connect, lane);
}

static void asking(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    struct proxy_failure failure;

    switch (proxy_ask_step(&connect->asks[lane], transport, connect->proxy, &failure)) {
    case ST_AGAIN: return;
    case ST_OK: way_is_open(connect, lane); return;
    default: break;
    }
    attempt_failed(connect, lane, failure.cause, failure.why);
    go_on(connect);
}

/* The first event of a socket that is connecting says that it has connected, or failed. */
static void connecting(struct transport *transport)
{
    struct connect *connect = transport->arg;
    unsigned lane = lane_of(connect, transport);
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        attempt_failed_by(connect, lane, error);
        go_on(connect);
    } else if (connect->proxy != NULL) {
        transport->on_ready = asking;
        asking(transport);
    } else {
        way_is_open(connect, lane);
    }
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
    union dns_address address = address_in(connect, lane);
    int fd;

    PRE(connect->origin->guard == NULL ||
        guarded_may_dial(connect->origin->guard, &address, connect->origin->port));
    fd = tcp_connect(&address.any, connect->origin->longest_ns);
    if (fd < 0)
        return errno;
    if (transport_open(transport, connect->loop, fd, connecting) != ST_OK)
        return ENOMEM;
    transport->arg = connect;
    return 0;
}

/* 0, or an errno. */
static int open_lane(struct connect *connect, unsigned lane)
{
    PRE(connect->lanes[lane] == NULL);
    connect->shuns_session[lane] = false;
    connect->lanes[lane] = take_transport(connect);
    return connect->lanes[lane] != NULL ? open_socket(connect, lane) : ENOMEM;
}

static void start(struct connect *connect, unsigned lane, unsigned place)
{
    int error;

    if (connect->peer.any.sa_family == AF_UNSPEC)
        connect->events->phase(connect, PHASE_CONNECT);
    connect->peer = address_at(connect, place);
    error = open_lane(connect, lane);
    if (error == 0)
        return;
    if (!tcp_is_shortage(error)) {
        attempt_failed_by(connect, lane, error);
        return;
    }
    close_lane(connect, lane);
    race_put_off(&connect->race, lane, loop_now(connect->loop));
    if (connect->race.taken == 0)
        note(connect, &connect->peer, CAUSE_INTERNAL, strerror(error));
}

static void give_up(struct connect *connect, unsigned lane)
{
    union dns_address address = address_in(connect, lane);

    note(connect, &address, CAUSE_CONNECT_LIMIT,
         connect->lanes[lane]->ssl != NULL ? "no TLS handshake in time" : "no answer in time");
    remember(connect, lane);
    close_lane(connect, lane);
}

/* No address is left. */
static void lose(struct connect *connect)
{
    PRE(connect->cause != CAUSE_NONE); /* each attempt that failed was noted */
    if (connect->answer != NULL && connect->cause != CAUSE_INTERNAL)
        dns_doubt(connect->resolver, connect->origin->host);
    finish(connect, connect->cause);
}

/* As the race says, until there is something to wait for. */
static void go_on(struct connect *connect)
{
    int64_t now_ns = loop_now(connect->loop);

    for (;;) {
        struct race_step step = race_next(&connect->race, now_ns);

        switch (step.verb) {
        case RACE_START: start(connect, step.lane, step.place); break;
        case RACE_GIVE_UP: give_up(connect, step.lane); break;
        case RACE_WAIT: timer_set(&connect->loop->timers, &connect->timer, step.until_ns); return;
        case RACE_LOST: lose(connect); return;
        }
    }
}

static void look_again(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    go_on(CONTAINER_OF(timer, struct connect, timer));
}

/* ---- from the name on ---------------------------------------------------------------------------------- */

static void race(struct connect *connect)
{
    const struct origin *origin = connect->origin;
    int64_t now_ns = loop_now(connect->loop);
    uint32_t count = 1;

    if (connect->answer != NULL)
        count = address_book_order(connect->book, origin, connect->answer, connect->shunned, now_ns,
                                   connect->order);
    connect->addresses = count;
    race_begin(&connect->race, count, origin->stagger_ns, now_ns, connect->limit_ns);
    go_on(connect);
}

static void deny(struct connect *connect)
{
    fail_without_address(connect, CAUSE_PROHIBITED, "its address is private, or special");
}

/* Where addresses are guarded, what of the answer may be dialled is all that there is from now on. */
static void race_guarded(struct connect *connect)
{
    struct dns_answer *passed;

    if (connect->origin->guard != NULL) {
        switch (guarded_answer(connect->origin->guard, connect->answer, connect->origin->port, &passed)) {
        case ST_OK: break;
        case ST_BAD: deny(connect); return;
        default: fail_without_address(connect, CAUSE_INTERNAL, strerror(ENOMEM)); return;
        }
        dns_answer_release(&connect->answer);
        connect->answer = passed;
    }
    race(connect);
}

/* The answer is in place, if there is one. */
static void go_by_answer(struct connect *connect)
{
    connect->events->resolved(connect, connect->query.result);
    if (connect->answer != NULL)
        race_guarded(connect);
    else
        fail_without_address(connect, connect->query.result == DNS_SHORTAGE ? CAUSE_INTERNAL : CAUSE_DNS,
                             connect->query.why);
}

static void resolved(struct dns_query *query, struct dns_answer *answer)
{
    struct connect *connect = CONTAINER_OF(query, struct connect, query);

    PRE(connect->active && connect->answer == NULL);
    if (answer != NULL)
        connect->answer = dns_answer_acquire(answer);
    go_by_answer(connect);
}

/* The url has an address itself. */
static void race_to_url(struct connect *connect)
{
    const struct origin *origin = connect->origin;
    union dns_address address = dns_address_of(&origin->ip);

    if (origin->guard == NULL || guarded_may_dial(origin->guard, &address, origin->port))
        race(connect);
    else
        deny(connect);
}

static void begin(struct mail *mail)
{
    struct connect *connect = CONTAINER_OF(mail, struct connect, begin);

    if (connect->origin->host_is_ip) {
        race_to_url(connect);
        return;
    }
    if (connect->given != NULL) {
        connect->answer = dns_answer_acquire(connect->given);
        race_guarded(connect);
        return;
    }
    connect->events->phase(connect, PHASE_DNS);
    if (dns_ask(connect->resolver, connect->origin->host, &connect->origin->dns, &connect->query, resolved,
                &connect->answer) != ST_AGAIN)
        go_by_answer(connect);
}

enum status connect_start(struct connect *connect, int64_t limit_ns)
{
    PRE(!connect->active && !transport_is_open(connect->transport));
    if (timer_init(&connect->loop->timers, &connect->timer, look_again) != ST_OK)
        return ST_NOMEM;
    connect->limit_ns = limit_ns;
    dns_query_init(&connect->query);
    connect->answer = NULL;
    connect->race = (struct race){0};
    memset(connect->lanes, 0, sizeof(connect->lanes));
    memset(connect->asks, 0, sizeof(connect->asks));
    connect->peer = (union dns_address){.any.sa_family = AF_UNSPEC};
    connect->cause = CAUSE_NONE;
    connect->detail[0] = '\0';
    connect->active = true;
    connect->in_tls = false;
    mail_init(&connect->begin, begin);
    loop_defer(connect->loop, &connect->begin);
    return ST_OK;
}

void connect_cancel(struct connect *connect)
{
    if (!connect->active)
        return;
    remember_passed(connect, connect->race.next - 1u);
    if (connect->answer != NULL && race_is_hopeless(&connect->race, loop_now(connect->loop)))
        dns_doubt(connect->resolver, connect->origin->host);
    leave(connect);
}
