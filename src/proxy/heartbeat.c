#include "proxy/heartbeat.h"

#include "base/invariant.h"
#include "core/timer.h"
#include "proxy/worker.h"

/* A block that is large enough is used again. */
static void renew_sum(struct heartbeat *heartbeat)
{
    const struct heartbeat_numbers *numbers = &heartbeat->in_force;
    struct metrics *sum = heartbeat->sum;

    if (sum != NULL && sum->upstream_count >= numbers->upstream_count &&
        sum->route_count >= numbers->route_count) {
        metrics_clear(sum);
        return;
    }
    metrics_free(sum);
    heartbeat->sum = metrics_new(numbers->upstream_count, numbers->route_count);
}

/* Under the lock. */
static void begin_round(struct heartbeat *heartbeat)
{
    renew_sum(heartbeat);
    heartbeat->generation = heartbeat->in_force.generation;
    heartbeat->round++;
    heartbeat->missing = heartbeat->worker_count;
}

static void expect_all(struct heartbeat *heartbeat)
{
    PRE(!heartbeat->under_way); /* or the mail of the round before may be on its way */
    pthread_mutex_lock(&heartbeat->lock);
    heartbeat->stuck.count = heartbeat->late.count = 0;
    begin_round(heartbeat);
    pthread_mutex_unlock(&heartbeat->lock);
    heartbeat->under_way = true;
    heartbeat->expected_ns = loop_clock_ns() + heartbeat->every_ns;
}

static void beat(struct mail *mail)
{
    struct heartbeat *heartbeat = CONTAINER_OF(mail, struct heartbeat, all_spoke);

    PRE(heartbeat->under_way && heartbeat->missing == 0);
    heartbeat->under_way = false;
    if (heartbeat->generation != heartbeat->in_force.generation) {
        metrics_free(heartbeat->sum);
        heartbeat->sum = NULL;
    }
    LIST_FOREACH(node, &heartbeat->listeners) {
        struct heartbeat_listener *listener = CONTAINER_OF(node, struct heartbeat_listener, node);

        listener->beat(listener, heartbeat);
    }
    if (!list_is_empty(&heartbeat->listeners))
        expect_all(heartbeat);
}

void heartbeat_init(struct heartbeat *heartbeat, struct mailbox *home, uint32_t worker_count,
                    int64_t every_ns)
{
    PRE(worker_count > 0 && every_ns > 0);
    *heartbeat = (struct heartbeat){
        .home = home, .worker_count = worker_count, .began_ns = loop_clock_ns(), .every_ns = every_ns};
    list_init(&heartbeat->listeners);
    mail_init(&heartbeat->all_spoke, beat);
    pthread_mutex_init(&heartbeat->lock, NULL);
}

void heartbeat_fini(struct heartbeat *heartbeat)
{
    PRE(list_is_empty(&heartbeat->listeners));
    metrics_free(heartbeat->sum);
    pthread_mutex_destroy(&heartbeat->lock);
}

void heartbeat_listen(struct heartbeat *heartbeat, struct heartbeat_listener *listener)
{
    list_push_back(&heartbeat->listeners, &listener->node);
    if (!heartbeat->under_way)
        expect_all(heartbeat);
}

void heartbeat_leave(struct heartbeat_listener *listener)
{
    list_remove(&listener->node);
}

void heartbeat_renumber(struct heartbeat *heartbeat, const struct heartbeat_numbers *numbers)
{
    heartbeat->in_force = *numbers;
    pthread_mutex_lock(&heartbeat->lock);
    if (heartbeat->missing != 0)
        begin_round(heartbeat);
    pthread_mutex_unlock(&heartbeat->lock);
}

int64_t heartbeat_next_ns(const struct heartbeat *heartbeat, int64_t now_ns)
{
    return timer_next_multiple(heartbeat->began_ns, heartbeat->every_ns, now_ns);
}

void heartbeat_speak(struct heartbeat *heartbeat, struct worker *pw, int64_t now_ns)
{
    bool is_last = false;

    PRE(loop_is_own(&pw->loop)); /* whose metrics these are */
    pthread_mutex_lock(&heartbeat->lock);
    if (heartbeat->missing != 0 && pw->spoke_in_round != heartbeat->round &&
        pw->generation == heartbeat->generation) {
        if (heartbeat->missing == heartbeat->worker_count)
            heartbeat->spoke_ns = now_ns;
        if (heartbeat->sum != NULL)
            metrics_add(heartbeat->sum, pw->context.metrics);
        stuck_calls_take(&heartbeat->stuck, &pw->context.stuck);
        late_calls_take(&heartbeat->late, &pw->context.late);
        pw->spoke_in_round = heartbeat->round;
        is_last = --heartbeat->missing == 0;
    }
    pthread_mutex_unlock(&heartbeat->lock);
    if (is_last)
        mailbox_post(heartbeat->home, &heartbeat->all_spoke);
}

int64_t heartbeat_overdue_ns(const struct heartbeat *heartbeat)
{
    int64_t now_ns = loop_clock_ns();

    return heartbeat->under_way && now_ns > heartbeat->expected_ns ? now_ns - heartbeat->expected_ns : 0;
}
