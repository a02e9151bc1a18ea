#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "core/connect_cause.h"
#include "runtime/connect.h"
#include "runtime/loop.h"
#include "runtime/socket_address.h"
#include "runtime/tcp.h"

/*
 * connect_race: race_next -> start -> (an attempt: connect_attempt.c) -> connect_won -> connect_finish
 *                  ^           |               |
 *                  +-----------+---------------+  connect_lost, or a timer
 *
 * What is remembered of addresses, if there are several (runtime/address_book): one that fails by itself; one that was
 * given up for the next; and one that had lost its patience when another won or the owner's time was over. A shortage
 * of our own says nothing of an address.
 */

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

union dns_address connect_address_in(const struct connect *connect, unsigned lane)
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
    union dns_address address = connect_address_in(connect, lane);

    if (has_several_addresses(connect))
        address_book_failed(connect->book, connect->origin, &address, loop_now(connect->loop));
}

void connect_remember_passed(struct connect *connect, unsigned place)
{
    for (unsigned lane = 0; lane < RACE_LANES; lane++) {
        if (race_is_passed(&connect->race, lane, place))
            remember(connect, lane);
    }
}

/* Of those that tell as much, the latest. */
static void note(struct connect *connect, unsigned place, enum cause cause, const char *why)
{
    char block[64];
    struct text at = text_over(block, sizeof(block));
    union dns_address address = address_at(connect, place);

    if (!connect_cause_tells(cause, connect->cause))
        return;
    socket_address_put(&at, &address.any);
    snprintf(connect->detail, sizeof(connect->detail), "%.*s: %s", SPAN_FMT(text_span(&at)), why);
    connect->cause = cause;
    connect->place = (uint8_t)place;
}

/* Once an attempt has failed: it was not about that address, if another one is still tried, or tells more. */
static void choose_peer(struct connect *connect)
{
    unsigned place = connect->place;
    bool is_tried = false;

    for (unsigned lane = 0; lane < RACE_LANES; lane++) {
        const struct race_lane *at = &connect->race.lanes[lane];

        if (!at->is_taken || (is_tried && at->place < place))
            continue;
        place = at->place; /* of several, the one that was begun last */
        is_tried = true;
    }
    connect->peer = address_at(connect, place);
}

/* ---- how attempts end ---------------------------------------------------------------------------------- */

static void attempt_failed(struct connect *connect, unsigned lane, enum cause cause, const char *why)
{
    note(connect, connect->race.lanes[lane].place, cause, why);
    connect_close(connect, lane);
    if (cause != CAUSE_INTERNAL)
        remember(connect, lane);
    if (cause == CAUSE_TLS_CERTIFICATE)
        race_distrusted(&connect->race, lane);
    else
        race_failed(&connect->race, lane);
    choose_peer(connect);
}

static void attempt_failed_by(struct connect *connect, unsigned lane, int error)
{
    union dns_address address = connect_address_in(connect, lane);

    attempt_failed(connect, lane, tcp_cause_of(error, &address.any), strerror(error));
}

/* Before `done` and the owner's own on_ready. */
static void nothing_to_do(struct transport *transport)
{
    (void)transport;
}

void connect_won(struct connect *connect, unsigned lane)
{
    struct transport *winner = connect->lanes[lane];
    enum status status = ST_OK;

    PRE(transport_is_open(winner) && connect->race.lanes[lane].is_taken);
    connect->peer = connect_address_in(connect, lane);
    connect->place = connect->race.lanes[lane].place;
    if (has_several_addresses(connect)) {
        connect_remember_passed(connect, connect->race.lanes[lane].place);
        address_book_won(connect->book, connect->origin, &connect->peer);
    }
    for (unsigned other = 0; other < RACE_LANES; other++) {
        if (other != lane)
            connect_close(connect, other);
    }
    if (winner != connect->transport)
        status = transport_move(connect->transport, winner);
    if (status != ST_OK) {
        note(connect, connect->race.lanes[lane].place, CAUSE_INTERNAL, strerror(ENOMEM));
        connect_finish(connect, CAUSE_INTERNAL);
        return;
    }
    if (connect->proxy != NULL)
        connect->proxy = connect->asks[lane]->spec;
    connect_forget_ask(connect, lane);
    if (winner == connect->transport)
        connect->lanes[lane] = NULL; /* it stays open */
    connect->transport->on_ready = nothing_to_do;
    connect->transport->arg = NULL;
    /* The handshake, or the proxy's answer, may have been read with what follows: that raises no event any more. */
    if (connect->tls != NULL || connect->proxy != NULL)
        connect->transport->can_read = connect->transport->can_write = true;
    connect->detail[0] = '\0';
    connect_finish(connect, CAUSE_NONE);
}

static void start(struct connect *connect, unsigned lane, unsigned place)
{
    int error;

    if (connect->peer.any.sa_family == AF_UNSPEC)
        connect->events->phase(connect, PHASE_CONNECT);
    connect->peer = address_at(connect, place);
    error = connect_open(connect, lane);
    if (error == 0)
        return;
    if (!tcp_is_shortage(error)) {
        attempt_failed_by(connect, lane, error);
        return;
    }
    connect_close(connect, lane);
    race_put_off(&connect->race, lane, loop_now(connect->loop));
    if (connect->race.taken == 0)
        note(connect, place, CAUSE_INTERNAL, strerror(error));
    else
        choose_peer(connect);
}

static void give_up(struct connect *connect, unsigned lane)
{
    note(connect, connect->race.lanes[lane].place, CAUSE_CONNECT_LIMIT,
         connect->lanes[lane]->ssl != NULL ? "no TLS handshake in time" : "no answer in time");
    remember(connect, lane);
    connect_close(connect, lane);
}

/* No address is left. */
static void lose(struct connect *connect)
{
    PRE(connect->cause != CAUSE_NONE); /* each attempt that failed was noted */
    if (connect->answer != NULL && connect->cause != CAUSE_INTERNAL)
        dns_doubt(connect->resolver, connect->origin->host);
    connect_finish(connect, connect->cause);
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

void connect_lost(struct connect *connect, unsigned lane, enum cause cause, const char *why)
{
    attempt_failed(connect, lane, cause, why);
    go_on(connect);
}

void connect_lost_by(struct connect *connect, unsigned lane, int error)
{
    attempt_failed_by(connect, lane, error);
    go_on(connect);
}

void connect_look_again(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    go_on(CONTAINER_OF(timer, struct connect, timer));
}

void connect_race(struct connect *connect)
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
