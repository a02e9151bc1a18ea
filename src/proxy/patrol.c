#include "proxy/patrol.h"

#include <poll.h>

#include "proxy/call.h"
#include "proxy/downstream.h"
#include "proxy/edition.h"
#include "proxy/proxy_worker.h"
#include "proxy/upstream.h"

#define EVERY_NS NS_PER_S
/* Callers of one pool that are looked after in one round; the others have their turn in the next ones. */
#define BATCH    256u

/* Whose holders are counted. */
struct census {
    const struct proxy_worker *worker;
    uint32_t pool;
};

/*
 * By the calls' own state, which the pool does not know. A granted permit that is still in the mail is held too, and
 * so is one that goes with a connection that is about to be cut.
 */
static uint32_t count_holders(void *arg)
{
    const struct census *census = arg;
    const struct proxy_worker *pw = census->worker;
    uint32_t count = upstream_count_cuts(pw, pw->pools[census->pool]);

    LIST_FOREACH(node, &pw->calls[census->pool]) {
        const struct call *call = CONTAINER_OF(node, struct call, node);
        bool in_the_mail = call->fsm.state == CALL_QUEUED && call->ticket.permit.state == PERMIT_HELD;

        if ((call_state_holds(call->fsm.state) & HOLD_PERMIT) != 0 || in_the_mail)
            count++;
    }
    return count;
}

/* The first calls of the list, which become its last. */
static uint32_t take_batch(struct list_node *calls, struct call *batch[BATCH])
{
    struct list_node taken;
    uint32_t count = 0;

    list_init(&taken);
    while (count < BATCH && !list_is_empty(calls)) {
        struct list_node *node = list_take_front(calls);

        list_push_back(&taken, node);
        batch[count++] = CONTAINER_OF(node, struct call, node);
    }
    list_append_all(calls, &taken);
    return count;
}

/*
 * A reset that came with the request's last bytes raised its event then, and raises no other. And a caller who has
 * said his end before, or whose end waits behind bytes that we don't read, leaves without a packet.
 */
static bool has_left(const struct call *call, const struct pollfd *seen)
{
    const struct stream *stream = &call->downstream->stream;

    if ((seen->revents & (POLLHUP | POLLERR)) != 0)
        return true;
    return (stream->peer_ended || call->upload_waits) && stream_peer_is_gone(stream);
}

static void look_after_callers(struct list_node *calls)
{
    struct call *batch[BATCH];
    struct pollfd seen[BATCH];
    uint32_t count = take_batch(calls, batch);

    for (uint32_t i = 0; i < count; i++)
        seen[i] = (struct pollfd){.fd = batch[i]->downstream->stream.fd};
    if (count == 0 || poll(seen, count, 0) < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (has_left(batch[i], &seen[i]))
            call_caller_gone(batch[i]);
}

static void make_round(struct timer *timer, int64_t now_ns)
{
    struct proxy_worker *pw = CONTAINER_OF(timer, struct proxy_worker, patrol);

    edition_look_after(pw);
    for (uint32_t i = 0; i < pw->pool_places; i++) {
        struct census census = {pw, i};

        pool_audit(pw->pools[i], &pw->worker, count_holders, &census);
        look_after_callers(&pw->calls[i]);
    }
    timer_set(&pw->worker.timers, timer, now_ns + EVERY_NS);
}

enum status patrol_init(struct proxy_worker *pw)
{
    return timer_init(&pw->worker.timers, &pw->patrol, make_round);
}

void patrol_start(struct proxy_worker *pw)
{
    timer_set(&pw->worker.timers, &pw->patrol, worker_clock_ns() + EVERY_NS);
}

void patrol_fini(struct proxy_worker *pw)
{
    timer_fini(&pw->worker.timers, &pw->patrol);
}
