#include "proxy/fleet_turn.h"

#include <sys/random.h>

#include "base/invariant.h"
#include "base/number.h"
#include "config/snapshot.h"
#include "core/turn_words.h"
#include "proxy/fleet_keys.h"
#include "proxy/fleet_peers.h"
#include "runtime/loop.h"
#include "runtime/store.h"

/* A slot is a whole number of us, by which the fleet is a little slower. */
#define HOUR_US (3600 * INT64_C(1000000))

static uint32_t draw(void)
{
    uint32_t random;

    return getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random) ? random : 0;
}

/* ---- under the pool's lock ------------------------------------------------------------------------------ */

void fleet_turn_before(struct fleet_turn *ft, const struct pool_news *news, uint32_t size)
{
    struct permit_pool *permits = news->permits;
    int64_t now_ns;

    if (!ft->is_on)
        return;
    PRE(!ft->is_answered || ft->turn.open);
    now_ns = loop_clock_ns();
    if (ft->is_answered)
        turn_answered(&ft->turn, permits, &ft->reply, now_ns);
    if (ft->is_lost)
        turn_lost(&ft->turn, permits, now_ns, draw());
    ft->is_answered = ft->is_lost = false;
    ft->sends = turn_step(&ft->turn, permits, size, now_ns, draw(), &ft->request);
}

void fleet_turn_after(struct fleet_turn *ft, const struct pool_news *news)
{
    ft->next_ns = ft->is_on ? turn_next_ns(&ft->turn, news->permits, loop_clock_ns()) : NS_NEVER;
}

/* ---- the store ------------------------------------------------------------------------------------------ */

static void answered(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                     const char *why)
{
    struct fleet_turn *ft = CONTAINER_OF(command, struct fleet_turn, command);
    struct fleet_peers *peers = ft->peers;

    ft->is_answered = fault == STORE_FINE && turn_read_reply(reply, &ft->reply);
    ft->is_lost = !ft->is_answered;
    if (ft->is_answered)
        peers->answered(peers, loop_refresh_now(peers->loop) - command->sent_ns);
    if (fault == STORE_FINE && ft->is_lost)
        why = "what the script has answered is out of form";
    if (ft->is_lost && (fault == STORE_FINE || fault == STORE_REFUSED))
        peers->told(peers, FLEET_FAILS, ft->name, FLEET_REFUSES, why);
    ft->look(ft);
}

static void ask(struct fleet_turn *ft, const char *host)
{
    struct script_words words;

    PRE(!store_is_under_way(&ft->command));
    if (ft->peers->store == NULL)
        return;
    turn_put_words(&words, &ft->request, span_of(host), ft->channel);
    store_run(ft->peers->store, &ft->command, ft->peers->turn, ft->keys, FLEET_TURN_KEYS, words.words,
              words.count, ft->turn.terms.timeout_ns, answered);
}

void fleet_turn_go_on(struct fleet_turn *ft, const char *host)
{
    PRE(loop_is_own(ft->peers->loop));
    timer_set(&ft->peers->loop->timers, &ft->timer, ft->next_ns);
    if (!ft->sends)
        return;
    ft->sends = false;
    ask(ft, host);
}

void fleet_turn_hint(struct fleet_turn *ft)
{
    turn_hint(&ft->turn);
}

void fleet_turn_lost(struct fleet_turn *ft)
{
    PRE(ft->peers->store != NULL);
    store_cancel(ft->peers->store, &ft->command);
    ft->is_lost = ft->turn.open;
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static void time_has_come(struct timer *timer, int64_t now_ns)
{
    struct fleet_turn *ft = CONTAINER_OF(timer, struct fleet_turn, timer);

    (void)now_ns;
    ft->look(ft);
}

bool fleet_turn_init(struct fleet_turn *ft, struct fleet_peers *peers, struct arena *arena, const char *name,
                     const char *key, void (*look)(struct fleet_turn *turn))
{
    *ft = (struct fleet_turn){.peers = peers, .name = name, .look = look, .next_ns = NS_NEVER};
    return fleet_key_put(arena, key, "}:turn", "", &ft->keys[0]) &&
           fleet_key_put(arena, key, "}:turns", "", &ft->keys[1]) &&
           fleet_key_put(arena, key, "}:hint:", "", &ft->channel) &&
           timer_init(&peers->loop->timers, &ft->timer, time_has_come) == ST_OK;
}

void fleet_turn_fini(struct fleet_turn *ft)
{
    if (ft->peers->store != NULL)
        store_cancel(ft->peers->store, &ft->command);
    timer_fini(&ft->peers->loop->timers, &ft->timer);
}

struct setting {
    struct turn *turn;
    const struct turn_terms *terms;
    bool was_on;
};

static void set(void *arg, struct permit_pool *permits)
{
    struct setting *setting = arg;
    int64_t now_ns = loop_clock_ns();

    if (!setting->was_on)
        turn_init(setting->turn, setting->terms, now_ns);
    turn_set_terms(setting->turn, permits, setting->terms, now_ns);
}

void fleet_turn_set(struct fleet_turn *ft, const struct snapshot *snapshot, const struct pool_config *config,
                    int64_t longest_ns, int64_t life_ns, struct pool *pool)
{
    uint32_t per_hour = config->rate_per_hour;
    struct turn_terms terms = {.period_us = per_hour != 0 ? (HOUR_US + per_hour - 1) / per_hour : 0,
                               .burst = config->rate_burst,
                               .pauses = config->pause.max_ns != 0,
                               .deadline_ns = longest_ns,
                               .life_ns = life_ns,
                               .timeout_ns = snapshot->fleet.store.timeout_ns,
                               .renew_ns = snapshot->fleet.renew_ns};
    struct setting setting = {.turn = &ft->turn, .terms = &terms, .was_on = ft->is_on};

    ft->is_on = terms.period_us != 0 || terms.pauses;
    if (ft->is_on || setting.was_on)
        pool_set_turns(pool, set, &setting);
    if (!ft->is_on && ft->peers->store != NULL)
        store_cancel(ft->peers->store, &ft->command);
}
