#include "faulty/work.h"

#include <event2/event.h>

static void settle_later(struct faulty_work *work)
{
    static const struct timeval at_once = {0, 0};

    if (!event_pending(&work->settle, EV_TIMEOUT, NULL))
        (void)event_add(&work->settle, &at_once); /* without memory, the maximum comes later */
}

static void note_most(struct faulty_work *work, uint64_t count)
{
    if (count > work->most)
        work->most = count;
}

static void leave_fresh(struct faulty_work *work, struct faulty_work_item *item)
{
    list_remove(&item->node);
    work->fresh_count--;
}

/* Runs behind the events of its turn of the loop. Those read in this very turn wait for the next one. */
static void settle(evutil_socket_t fd, short what, void *arg)
{
    struct faulty_work *work = arg;

    (void)fd;
    (void)what;
    while (!list_is_empty(&work->fresh)) {
        struct faulty_work_item *item = CONTAINER_OF(work->fresh.next, struct faulty_work_item, node);

        if (item->turn == work->turn)
            break;
        leave_fresh(work, item);
    }
    note_most(work, work->now - work->fresh_count);
    work->turn++;
    if (!list_is_empty(&work->fresh))
        settle_later(work);
}

void faulty_work_init(struct faulty_work *work, struct event_base *base)
{
    *work = (struct faulty_work){0};
    list_init(&work->fresh);
    (void)evtimer_assign(&work->settle, base, settle,
                         work); /* fails only for a base in use by another thread */
}

void faulty_work_begin(struct faulty_work *work, struct faulty_work_item *item)
{
    item->counted = true;
    item->turn = work->turn;
    list_push_back(&work->fresh, &item->node);
    work->fresh_count++;
    work->now++;
    settle_later(work);
}

bool faulty_work_end(struct faulty_work *work, struct faulty_work_item *item)
{
    if (!item->counted)
        return false;
    item->counted = false;
    if (!list_is_empty(&item->node))
        leave_fresh(work, item);
    /* One that was answered at once was in work all the same. */
    note_most(work, 1);
    work->now--;
    return true;
}

void faulty_work_reset(struct faulty_work *work)
{
    work->most = work->now - work->fresh_count;
}
