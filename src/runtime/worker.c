#include "runtime/worker.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/buffer.h"

/*
 * What a turn has room for, so that a burst does not keep a deadline waiting. Deferred are the dear things, such as
 * opening a connection; thousands of callers at once are the case that the numbers were measured with.
 */
#define DEFERRED_A_TURN 8
#define EVENTS_A_TURN   64

/* Mail and the timer go before the descriptors that are ready: of those, a burst has thousands, many turns of them. */
enum event_priority { FIRST, OTHERS, PRIORITIES };

static void mail_came(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;

    (void)fd;
    (void)what;
    worker->mail_waiting = true;
}

/* Only wakes the loop: timers run at the end of each turn. */
static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;

    (void)fd;
    (void)what;
    worker->armed_ns = NS_NEVER;
}

static enum status add_event(struct worker *worker, struct event *event, int fd, event_callback_fn fn)
{
    if (event_assign(event, worker->base, fd, EV_READ | EV_ET | EV_PERSIST, fn, worker) < 0 ||
        event_priority_set(event, FIRST) < 0 || event_add(event, NULL) < 0)
        return ST_NOMEM;
    return ST_OK;
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config == NULL)
        return NULL;
    if (event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0 &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    if (base != NULL && event_base_priority_init(base, PRIORITIES) < 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

enum status worker_init(struct worker *worker, uint32_t index)
{
    enum status status = ST_FAILED;

    *worker = (struct worker){.index = index, .armed_ns = NS_NEVER};
    timers_init(&worker->timers);
    list_init(&worker->deferred);
    list_init(&worker->free_later);
    atomic_init(&worker->stop, false);
    if (mailbox_init(&worker->mailbox) != ST_OK)
        return ST_FAILED;
    worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (worker->timer_fd < 0)
        goto no_timer;
    worker->base = new_base();
    if (worker->base == NULL)
        goto no_base;
    status = add_event(worker, &worker->mail_event, worker->mailbox.event_fd, mail_came);
    if (status == ST_OK)
        status = add_event(worker, &worker->timer_event, worker->timer_fd, timer_fired);
    if (status == ST_OK)
        return ST_OK;
    event_base_free(worker->base);
no_base:
    close(worker->timer_fd);
no_timer:
    mailbox_fini(&worker->mailbox);
    return status;
}

static void free_deferred(struct worker *worker)
{
    struct list_node *node;

    while ((node = list_take_front(&worker->free_later)) != NULL) {
        struct deferred_free *deferred_free = CONTAINER_OF(node, struct deferred_free, node);

        deferred_free->free_fn(deferred_free);
    }
}

void worker_fini(struct worker *worker)
{
    free_deferred(worker);
    event_del(&worker->mail_event);
    event_del(&worker->timer_event);
    event_base_free(worker->base);
    close(worker->timer_fd);
    mailbox_fini(&worker->mailbox);
    timers_fini(&worker->timers);
    buffer_drop_spares(worker);
}

int64_t worker_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t worker_refresh_now(struct worker *worker)
{
    return worker->now_ns = worker_clock_ns();
}

int64_t worker_now(struct worker *worker)
{
    if (worker->now_ns == 0)
        worker->now_ns = worker_clock_ns();
    return worker->now_ns;
}

void worker_count_event(struct worker *worker)
{
    if (++worker->events == EVENTS_A_TURN)
        event_base_loopbreak(worker->base);
}

void worker_defer(struct worker *worker, struct mail *mail)
{
    list_push_back(&worker->deferred, &mail->node);
}

void worker_expect_mail(struct worker *worker)
{
    worker->mail_waiting = true;
}

void worker_undefer(struct mail *mail)
{
    list_remove(&mail->node);
}

void worker_free_later(struct worker *worker, struct deferred_free *deferred_free,
                       void (*free_fn)(struct deferred_free *deferred_free))
{
    deferred_free->free_fn = free_fn;
    list_push_back(&worker->free_later, &deferred_free->node);
}

/*
 * What is deferred while this runs, or is more than a turn's share, waits for the next turn: a deadline counts from
 * the instant at which a request's first byte is read, so a thousand connections to be made must not delay the reading.
 */
static void run_deferred(struct worker *worker)
{
    struct list_node batch, *node;

    list_init(&batch);
    list_append_all(&batch, &worker->deferred);
    for (int i = 0; i < DEFERRED_A_TURN && (node = list_take_front(&batch)) != NULL; i++) {
        struct mail *mail = CONTAINER_OF(node, struct mail, node);

        mail->fn(mail);
    }
    list_append_all(&batch, &worker->deferred);
    list_append_all(&worker->deferred, &batch);
}

static void arm_timer(struct worker *worker)
{
    int64_t next_ns = timers_next(&worker->timers);
    struct itimerspec when = {0};

    if (next_ns >= worker->armed_ns)
        return;
    /* All zero would switch it off. */
    if (next_ns <= 0)
        next_ns = 1;
    when.it_value.tv_sec = (time_t)(next_ns / NS_PER_S);
    when.it_value.tv_nsec = (long)(next_ns % NS_PER_S);
    if (timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        worker->armed_ns = next_ns;
}

static void end_turn(struct worker *worker)
{
    timers_run(&worker->timers, worker_now(worker));
    if (worker->mail_waiting) {
        worker->mail_waiting = false;
        mailbox_deliver(&worker->mailbox);
    }
    run_deferred(worker);
    free_deferred(worker);
    arm_timer(worker);
    worker->now_ns = 0;
    worker->events = 0;
    worker->turn++;
}

enum status worker_run(struct worker *worker)
{
    /* Timers may have been set before the first turn. */
    arm_timer(worker);
    while (!atomic_load_explicit(&worker->stop, memory_order_acquire)) {
        bool busy = worker->mail_waiting || !list_is_empty(&worker->deferred);

        if (event_base_loop(worker->base, EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0)) < 0)
            return ST_FAILED;
        end_turn(worker);
    }
    return ST_OK;
}

void worker_stop(struct worker *worker)
{
    atomic_store_explicit(&worker->stop, true, memory_order_release);
    mailbox_ring(&worker->mailbox);
}
