#include "runtime/connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "runtime/guarded.h"
#include "runtime/loop.h"

/*
 * begin -> (DNS) -> race -> done: the name, and the way in and out. The race is in connect_race.c, what is done about
 * one address in connect_attempt.c. Every step comes from the loop, and connect_finish is the one way out but for
 * connect_cancel.
 */

static void leave(struct connect *connect)
{
    PRE(connect->active);
    connect->active = false;
    for (unsigned lane = 0; lane < RACE_LANES; lane++)
        connect_close(connect, lane);
    timer_fini(&connect->loop->timers, &connect->timer);
    loop_undefer(&connect->begin);
    dns_cancel(&connect->query);
    dns_answer_release(&connect->answer);
}

void connect_finish(struct connect *connect, enum cause cause)
{
    leave(connect);
    POST(transport_is_open(connect->transport) == (cause == CAUSE_NONE));
    connect->events->done(connect, cause, connect->detail);
}

static void fail_without_address(struct connect *connect, enum cause cause, const char *why)
{
    snprintf(connect->detail, sizeof(connect->detail), "%s: %s", connect->origin->host, why);
    connect_finish(connect, cause);
}

/* ---- from the name on ---------------------------------------------------------------------------------- */

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
    connect_race(connect);
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
        connect_race(connect);
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
    if (timer_init(&connect->loop->timers, &connect->timer, connect_look_again) != ST_OK)
        return ST_NOMEM;
    connect->limit_ns = limit_ns;
    dns_query_init(&connect->query);
    connect->answer = NULL;
    connect->race = (struct race){0};
    memset(connect->lanes, 0, sizeof(connect->lanes));
    memset(connect->asks, 0, sizeof(connect->asks));
    connect->peer = (union dns_address){.any.sa_family = AF_UNSPEC};
    connect->addresses = 0;
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
    connect_remember_passed(connect, connect->race.next - 1u);
    if (connect->answer != NULL && race_is_hopeless(&connect->race, loop_now(connect->loop)))
        dns_doubt(connect->resolver, connect->origin->host);
    leave(connect);
}
