#include "runtime/loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/invariant.h"
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
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    loop->mail_waiting = true;
}

/* Only wakes the loop: timers run at the end of each turn. */
static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;

    (void)fd;
    (void)what;
    loop->armed_ns = NS_NEVER;
}

static enum status add_event(struct loop *loop, struct event *event, int fd, event_callback_fn fn)
{
    if (event_assign(event, loop->base, fd, EV_READ | EV_ET | EV_PERSIST, fn, loop) < 0 ||
        event_priority_set(event, FIRST) < 0 || event_add(event, NULL) < 0)
        return ST_NOMEM;
    return ST_OK;
}

/* Its timers are not used, so it need not ask for the time in each turn. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config == NULL)
        return NULL;
    if (event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0 &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    if (base != NULL && event_base_priority_init(base, PRIORITIES) < 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

enum status loop_init(struct loop *loop, uint32_t index)
{
    enum status status = ST_FAILED;

    *loop = (struct loop){.index = index, .armed_ns = NS_NEVER};
    timers_init(&loop->timers);
    list_init(&loop->deferred);
    list_init(&loop->free_later);
    atomic_init(&loop->stop, false);
    atomic_init(&loop->runs, false);
    if (mailbox_init(&loop->mailbox) != ST_OK)
        return ST_FAILED;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0)
        goto no_timer;
    loop->base = new_base();
    if (loop->base == NULL)
        goto no_base;
    status = add_event(loop, &loop->mail_event, loop->mailbox.event_fd, mail_came);
    if (status == ST_OK)
        status = add_event(loop, &loop->timer_event, loop->timer_fd, timer_fired);
    if (status == ST_OK)
        return ST_OK;
    event_base_free(loop->base);
no_base:
    close(loop->timer_fd);
no_timer:
    mailbox_fini(&loop->mailbox);
    return status;
}

static void free_deferred(struct loop *loop)
{
    struct list_node *node;

    while ((node = list_take_front(&loop->free_later)) != NULL) {
        struct deferred_free *deferred_free = CONTAINER_OF(node, struct deferred_free, node);

        deferred_free->free_fn(deferred_free);
    }
}

void loop_fini(struct loop *loop)
{
    PRE(!atomic_load(&loop->runs) && list_is_empty(&loop->deferred));
    free_deferred(loop);
    event_del(&loop->mail_event);
    event_del(&loop->timer_event);
    event_base_free(loop->base);
    close(loop->timer_fd);
    mailbox_fini(&loop->mailbox);
    timers_fini(&loop->timers);
    buffer_drop_spares(&loop->spare_buffers);
    slab_drop(&loop->slab);
}

int64_t loop_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

bool loop_find_descriptor(struct loop *loop, int error)
{
    PRE(loop_is_own(loop));
    return (error == EMFILE || error == ENFILE) && loop->find_descriptor != NULL &&
           loop->find_descriptor(loop);
}

int64_t loop_refresh_now(struct loop *loop)
{
    int64_t now_ns = loop_clock_ns();

    PRE(loop_is_own(loop));
    POST(now_ns >= loop->now_ns); /* a turn's time goes on, never back */
    loop->is_fresh = loop->events != 0;
    return loop->now_ns = now_ns;
}

int64_t loop_now(struct loop *loop)
{
    PRE(loop_is_own(loop));
    if (loop->now_ns == 0)
        loop->now_ns = loop_clock_ns();
    return loop->now_ns;
}

void loop_count_event(struct loop *loop)
{
    loop->is_fresh = false;
    if (++loop->events == EVENTS_A_TURN)
        event_base_loopbreak(loop->base);
}

void loop_defer(struct loop *loop, struct mail *mail)
{
    PRE(loop_is_own(loop));
    PRE(list_is_empty(&mail->node)); /* neither deferred nor in a mailbox */
    list_push_back(&loop->deferred, &mail->node);
}

void loop_expect_mail(struct loop *loop)
{
    PRE(loop_is_own(loop));
    loop->mail_waiting = true;
}

void loop_rearm(struct loop *loop)
{
    PRE(loop_is_own(loop));
    loop->armed_ns = NS_NEVER;
}

void loop_undefer(struct mail *mail)
{
    list_remove(&mail->node);
}

void loop_free_later(struct loop *loop, struct deferred_free *deferred_free,
                     void (*free_fn)(struct deferred_free *deferred_free))
{
    PRE(loop_is_own(loop));
    PRE(list_is_alone(&deferred_free->node)); /* memory is freed once */
    deferred_free->free_fn = free_fn;
    list_push_back(&loop->free_later, &deferred_free->node);
}

/*
 * What is deferred while this runs, or is more than a turn's share, waits for the next turn: a deadline counts from
 * the instant at which a request's first byte is read, so a thousand connections to be made must not delay the reading.
 */
static void run_deferred(struct loop *loop)
{
    struct list_node batch, *node;

    list_init(&batch);
    list_append_all(&batch, &loop->deferred);
    for (int i = 0; i < DEFERRED_A_TURN && (node = list_take_front(&batch)) != NULL; i++) {
        struct mail *mail = CONTAINER_OF(node, struct mail, node);

        mail->fn(mail);
    }
    list_append_all(&batch, &loop->deferred);
    list_append_all(&loop->deferred, &batch);
}

static void arm_timer(struct loop *loop)
{
    int64_t next_ns = timers_next(&loop->timers);
    struct itimerspec when = {0};

    if (next_ns >= loop->armed_ns)
        return;
    next_ns = timers_settle(&loop->timers);
    if (next_ns >= loop->armed_ns)
        return;
    /* All zero would switch it off. */
    if (next_ns <= 0)
        next_ns = 1;
    when.it_value.tv_sec = (time_t)(next_ns / NS_PER_S);
    when.it_value.tv_nsec = (long)(next_ns % NS_PER_S);
    if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
        loop->armed_ns = next_ns;
}

static void end_turn(struct loop *loop)
{
    loop->full = loop->events >= EVENTS_A_TURN ? loop->full + 1 : 0;
    loop->events = 0;
    loop->is_fresh = false;
    timers_run(&loop->timers, loop_now(loop));
    if (loop->mail_waiting) {
        loop->mail_waiting = false;
        mailbox_deliver(&loop->mailbox);
    }
    run_deferred(loop);
    free_deferred(loop);
    arm_timer(loop);
    loop->now_ns = 0;
    loop->turn++;
}

void loop_turn(struct loop *loop, int64_t now_ns)
{
    PRE(!atomic_load(&loop->runs));
    loop->now_ns = now_ns;
    end_turn(loop);
}

static enum status run_turns(struct loop *loop)
{
    /* Timers may have been set before the first turn. */
    arm_timer(loop);
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire) || !list_is_empty(&loop->deferred)) {
        bool busy = loop->mail_waiting || !list_is_empty(&loop->deferred);

        if (event_base_loop(loop->base, EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0)) < 0)
            return ST_FAILED;
        end_turn(loop);
    }
    return ST_OK;
}

enum status loop_run(struct loop *loop)
{
    enum status status;

    PRE(!atomic_load(&loop->runs));
    loop->thread = pthread_self();
    atomic_store(&loop->runs, true);
    status = run_turns(loop);
    atomic_store(&loop->runs, false);
    return status;
}

bool loop_is_own(const struct loop *loop)
{
    return !atomic_load(&loop->runs) || pthread_equal(loop->thread, pthread_self()) != 0;
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    mailbox_ring(&loop->mailbox);
}
