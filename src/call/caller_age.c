#include "call/caller_age.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "core/budget.h"
#include "core/timer.h"
#include "runtime/loop.h"

/* Steps that a tenth is divided into. */
#define STEPS 1024

struct caller_age {
    struct timer timer;
    void (*is_old)(void *arg);
    void *arg;
};

int64_t caller_age_spread(int64_t age_ns, uint64_t chance)
{
    int64_t tenth_ns = age_ns / 10;
    int64_t at = (int64_t)(chance % (2 * STEPS + 1)) - STEPS;

    return age_ns + tenth_ns / STEPS * at + tenth_ns % STEPS * at / STEPS;
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct caller_age *age = CONTAINER_OF(timer, struct caller_age, timer);

    (void)now_ns;
    age->is_old(age->arg);
}

enum status caller_age_begin(struct caller_age **age_at, struct call_context *context,
                             void (*is_old)(void *arg), void *arg)
{
    int64_t most_ns = context->snapshot->limits.connection_age_ns;
    struct caller_age *age;
    uint64_t chance;

    *age_at = NULL;
    if (most_ns == NS_NEVER)
        return ST_OK;
    age = mem_zalloc(sizeof(*age));
    if (age == NULL || timer_init(&context->loop->timers, &age->timer, time_is_up) != ST_OK) {
        mem_free(age);
        return ST_NOMEM;
    }
    if (!entropy_take(&context->entropy, &chance, 1))
        chance = STEPS; /* without chance: the time itself */
    age->is_old = is_old;
    age->arg = arg;
    timer_set(&context->loop->timers, &age->timer,
              budget_end(loop_now(context->loop), caller_age_spread(most_ns, chance)));
    *age_at = age;
    return ST_OK;
}

void caller_age_end(struct caller_age **age_at, struct call_context *context)
{
    if (*age_at != NULL)
        timer_fini(&context->loop->timers, &(*age_at)->timer);
    mem_free(*age_at);
    *age_at = NULL;
}
