#include "core/timer.h"

#include <stdbool.h>

#include "base/invariant.h"
#include "base/mem.h"

#define NO_SLOT UINT32_MAX
#define ARITY   4u

void timers_init(struct timers *timers)
{
    *timers = (struct timers){0};
}

void timers_fini(struct timers *timers)
{
    PRE(timers->members == 0);
    POST(timers->count == 0); /* only members are in the heap */
    mem_free(timers->heap);
    timers_init(timers);
}

enum status timer_init(struct timers *timers, struct timer *timer, timer_fn fn)
{
    if (timers->members == timers->capacity) {
        uint32_t capacity = timers->capacity != 0 ? 2 * timers->capacity : 64;
        struct timer **heap = mem_realloc(timers->heap, capacity * sizeof(struct timer *));

        if (heap == NULL)
            return ST_NOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timers->members++;
    *timer = (struct timer){.due_ns = NS_NEVER, .key_ns = NS_NEVER, .slot = NO_SLOT, .fn = fn};
    return ST_OK;
}

static void put(struct timers *timers, uint32_t slot, struct timer *timer)
{
    timers->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct timers *timers, uint32_t slot, struct timer *timer)
{
    while (slot > 0) {
        uint32_t parent = (slot - 1) / ARITY;

        if (timers->heap[parent]->key_ns <= timer->key_ns)
            break;
        put(timers, slot, timers->heap[parent]);
        slot = parent;
    }
    put(timers, slot, timer);
}

static void sift_down(struct timers *timers, uint32_t slot, struct timer *timer)
{
    for (;;) {
        uint32_t first = slot * ARITY + 1;
        uint32_t least = first;

        if (first >= timers->count)
            break;
        for (uint32_t i = first + 1; i < first + ARITY && i < timers->count; i++)
            if (timers->heap[i]->key_ns < timers->heap[least]->key_ns)
                least = i;
        if (timer->key_ns <= timers->heap[least]->key_ns)
            break;
        put(timers, slot, timers->heap[least]);
        slot = least;
    }
    put(timers, slot, timer);
}

static void take_out(struct timers *timers, struct timer *timer)
{
    uint32_t slot = timer->slot;
    struct timer *last = timers->heap[--timers->count];

    PRE(slot <= timers->count && timers->heap[slot] == timer);
    timer->slot = NO_SLOT;
    if (last == timer)
        return;
    if (slot > 0 && last->key_ns < timers->heap[(slot - 1) / ARITY]->key_ns)
        sift_up(timers, slot, last);
    else
        sift_down(timers, slot, last);
}

void timer_fini(struct timers *timers, struct timer *timer)
{
    PRE(timers->members > 0 && timer->fn != NULL); /* a timer is finished once */
    if (timer->slot != NO_SLOT)
        take_out(timers, timer);
    timer->fn = NULL;
    timers->members--;
}

void timer_set(struct timers *timers, struct timer *timer, int64_t due_ns)
{
    PRE(timer->fn != NULL); /* it is NULL before timer_init and after timer_fini */
    timer->due_ns = due_ns;
    if (timer->slot == NO_SLOT) {
        if (due_ns == NS_NEVER)
            return;
        timer->key_ns = due_ns;
        PRE(timers->count < timers->members);
        sift_up(timers, timers->count++, timer);
    } else if (due_ns < timer->key_ns) {
        timer->key_ns = due_ns;
        sift_up(timers, timer->slot, timer);
    }
}

int64_t timers_next(const struct timers *timers)
{
    return timers->count != 0 ? timers->heap[0]->key_ns : NS_NEVER;
}

int64_t timer_next_multiple(int64_t began_ns, int64_t every_ns, int64_t now_ns)
{
    PRE(every_ns > 0 && now_ns >= began_ns);
    return now_ns + every_ns - (now_ns - began_ns) % every_ns;
}

/* The first was moved or cleared, and is now put where it belongs. False: it is where it belongs. */
static bool settle_first(struct timers *timers)
{
    struct timer *timer = timers->heap[0];

    PRE(timer->slot == 0 && timer->key_ns <= timer->due_ns);
    if (timer->due_ns == NS_NEVER) {
        take_out(timers, timer);
        return true;
    }
    if (timer->due_ns == timer->key_ns)
        return false;
    timer->key_ns = timer->due_ns;
    sift_down(timers, 0, timer);
    return true;
}

int64_t timers_settle(struct timers *timers)
{
    while (timers->count != 0 && settle_first(timers))
        continue;
    return timers_next(timers);
}

void timers_run(struct timers *timers, int64_t now_ns)
{
    while (timers->count != 0 && timers->heap[0]->key_ns <= now_ns) {
        struct timer *timer = timers->heap[0];

        if (settle_first(timers))
            continue;
        timer->due_ns = NS_NEVER;
        take_out(timers, timer);
        timer->fn(timer, now_ns);
    }
}
