#include "proxy/fleet.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/fleet_identity.h"
#include "proxy/fleet_link.h"
#include "proxy/fleet_script.h"
#include "runtime/loop.h"
#include "runtime/store.h"

#define LINE_BYTES     600
/* How long the leave-taking may last. */
#define LEAVE_TIMEOUTS 2

struct fleet {
    struct fleet_peers peers;
    fleet_say_fn say;
    void *arg;
    struct fleet_identity identity;
    bool is_known; /* who we are */
    struct store_script renew, turn;
    struct fleet_link *store; /* in use; NULL: there is no fleet */
    struct list_node pools;
    struct metric_histogram round_trips;
    int64_t ride_out_ns;
    struct timer leaving;
    void (*left)(void *arg);
    void *left_arg;
};

struct fleet_change {
    struct fleet_link *store; /* NULL: none, or the one in use stays */
    bool is_on;
    struct fleet_pool **pools; /* by their place among the snapshot's; NULL: not of the fleet */
    uint32_t count;
};

static void say(struct fleet *fleet, enum fleet_gravity gravity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct fleet *fleet, enum fleet_gravity gravity, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fleet->say(fleet->arg, gravity, line);
}

static struct fleet *fleet_of(struct fleet_peers *peers)
{
    return CONTAINER_OF(peers, struct fleet, peers);
}

static bool have_all_left(const struct fleet *fleet)
{
    LIST_FOREACH(node, &fleet->pools) {
        if (!fleet_pool_has_left(CONTAINER_OF(node, struct fleet_pool, node)))
            return false;
    }
    return true;
}

/* ---- what the store does -------------------------------------------------------------------------------- */

static struct fleet *fleet_of_link(const struct fleet_link *link)
{
    return link->arg;
}

/* The functions run pools' agents, which may not go meanwhile: only a reload frees them. */
static void look_at_all(struct fleet *fleet, void (*look)(struct fleet_pool *fp))
{
    LIST_FOREACH(node, &fleet->pools) {
        look(CONTAINER_OF(node, struct fleet_pool, node));
    }
}

static void is_up(void *arg)
{
    struct fleet_link *store = arg;
    struct fleet *fleet = fleet_of_link(store);

    if (store != fleet->store)
        return;
    fleet->peers.was_up = true;
    say(fleet, FLEET_SAYS, "fleet: the store is reached");
    look_at_all(fleet, fleet_pool_hint);
}

static void is_down(void *arg, enum store_fault fault, const char *why)
{
    struct fleet_link *store = arg;

    if (store != fleet_of_link(store)->store)
        return;
    say(fleet_of_link(store), fault == STORE_LOCKED ? FLEET_FAILS : FLEET_WARNS,
        "fleet: the store is away: %s", why);
}

static void is_hinted(void *arg, struct span channel)
{
    struct fleet_link *store = arg;

    LIST_FOREACH(node, &fleet_of_link(store)->pools) {
        struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);
        bool is_own = span_eq(fp->channel, channel);

        if (!is_own && !span_eq(fp->turn.channel, channel))
            continue;
        fp->figures.hints++;
        (is_own ? fleet_pool_hint : fleet_pool_hint_turn)(fp);
    }
}

static void is_listening(void *arg)
{
    struct fleet_link *store = arg;

    if (store == fleet_of_link(store)->store)
        look_at_all(fleet_of_link(store), fleet_pool_hint);
}

static void is_deaf(void *arg, enum store_fault fault, const char *why)
{
    struct fleet_link *store = arg;

    (void)fault;
    if (store == fleet_of_link(store)->store)
        say(fleet_of_link(store), FLEET_WARNS, "fleet: the store's hints are not heard: %s", why);
}

static const struct store_events events = {is_up, is_down, is_hinted, is_listening, is_deaf};

static void listen_to_hints(struct fleet *fleet)
{
    struct span *channels;
    uint32_t count = 0, i = 0;
    enum status status;

    if (fleet->store == NULL)
        return;
    LIST_FOREACH(node, &fleet->pools) {
        count += 2;
    }
    channels = mem_calloc(count, sizeof(*channels));
    if (channels != NULL) {
        LIST_FOREACH(node, &fleet->pools) {
            const struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

            channels[i++] = fp->channel;
            if (fp->turn.is_on)
                channels[i++] = fp->turn.channel;
        }
    }
    status = channels != NULL || count == 0 ? store_listen(fleet->store->store, channels, i) : ST_NOMEM;
    mem_free(channels);
    if (status != ST_OK)
        say(fleet, FLEET_WARNS, "fleet: the store's hints are not heard: not enough memory");
}

/* ---- what pools' agents tell ---------------------------------------------------------------------------- */

static void has_answered(struct fleet_peers *peers, int64_t took_ns)
{
    metric_observe_overshoot(&fleet_of(peers)->round_trips, took_ns);
}

static void has_told(struct fleet_peers *peers, enum fleet_gravity gravity, const char *pool,
                     const char *what, const char *particulars)
{
    say(fleet_of(peers), gravity, "fleet: pool %s: %s: %s", pool, what, particulars);
}

static void has_changed(struct fleet_peers *peers, const char *pool, enum fleet_mode before,
                        enum fleet_mode mode, uint32_t size)
{
    struct fleet *fleet = fleet_of(peers);

    if (mode == FLEET_FALLBACK)
        say(fleet, FLEET_WARNS,
            "fleet: pool %s: nothing that the store has lent is left: the fallback holds, %u permits", pool,
            size);
    else if (mode == FLEET_LEARNING)
        say(fleet, FLEET_WARNS,
            "fleet: pool %s: the store learns anew what hosts hold: until then only what they give back is lent",
            pool);
    else if (before == FLEET_FALLBACK || before == FLEET_LEARNING)
        say(fleet, FLEET_SAYS, "fleet: pool %s: the store lends again", pool);
}

/* The last one that had something to give back closes the door, behind all that is going on now. */
static void has_looked(struct fleet_peers *peers)
{
    struct fleet *fleet = fleet_of(peers);

    if (fleet->left != NULL && have_all_left(fleet))
        timer_set(&peers->loop->timers, &fleet->leaving, 0);
}

/* Two that have one name in the fleet are two hosts to the store. */
static bool is_first(const struct fleet *fleet, const struct fleet_pool *fp)
{
    LIST_FOREACH(node, &fleet->pools) {
        const struct fleet_pool *other = CONTAINER_OF(node, struct fleet_pool, node);

        if (other == fp)
            return true;
        if (strcmp(other->key, fp->key) == 0)
            return false;
    }
    return true;
}

static void is_outdated(struct fleet_peers *peers)
{
    struct fleet *fleet = fleet_of(peers);

    if (fleet_identity_renew(&fleet->identity) != ST_OK)
        return;
    say(fleet, FLEET_WARNS,
        "fleet: the store has newer requests of this host than its own: it is another one from now on");
    LIST_FOREACH(node, &fleet->pools) {
        struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

        if (!fleet_pool_rename(fp, fleet->identity.text, is_first(fleet, fp)))
            return;
    }
    listen_to_hints(fleet);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

static void leaving_is_over(struct timer *timer, int64_t now_ns)
{
    struct fleet *fleet = CONTAINER_OF(timer, struct fleet, leaving);
    void (*left)(void *arg) = fleet->left;

    (void)now_ns;
    fleet->left = NULL;
    if (left != NULL)
        left(fleet->left_arg);
}

struct fleet *fleet_new(struct loop *loop, fleet_say_fn say_fn, void *arg)
{
    struct fleet *fleet = mem_zalloc(sizeof(*fleet));

    if (fleet == NULL)
        return NULL;
    fleet->say = say_fn;
    fleet->arg = arg;
    list_init(&fleet->pools);
    store_script_init(&fleet->renew, fleet_script_renew());
    store_script_init(&fleet->turn, fleet_script_turn());
    fleet->peers = (struct fleet_peers){.loop = loop,
                                        .renew = &fleet->renew,
                                        .turn = &fleet->turn,
                                        .answered = has_answered,
                                        .told = has_told,
                                        .changed = has_changed,
                                        .looked = has_looked,
                                        .outdated = is_outdated};
    fleet->identity.fd = -1;
    if (timer_init(&loop->timers, &fleet->leaving, leaving_is_over) == ST_OK)
        return fleet;
    mem_free(fleet);
    return NULL;
}

void fleet_free(struct fleet *fleet)
{
    struct list_node *node;

    while ((node = list_take_front(&fleet->pools)) != NULL)
        fleet_pool_free(CONTAINER_OF(node, struct fleet_pool, node));
    fleet_link_free(fleet->store);
    fleet_identity_fini(&fleet->identity);
    timer_fini(&fleet->peers.loop->timers, &fleet->leaving);
    mem_free(fleet);
}

/* ---- a configuration ------------------------------------------------------------------------------------ */

static struct fleet_pool *find(const struct fleet *fleet, const char *name, const struct pool_config *config)
{
    size_t len = strlen(name);

    LIST_FOREACH(node, &fleet->pools) {
        struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

        if (fp->number == config->index && !config->is_new && strncmp(fp->key, name, len) == 0 &&
            fp->key[len] == '/' && strcmp(fp->shared, config->fleet) == 0)
            return fp;
    }
    return NULL;
}

static bool is_alone(const struct fleet *fleet, const struct fleet_pool *other, const struct fleet_pool *fp)
{
    return other != fp && strcmp(other->key, fp->key) == 0 && strcmp(other->id, fleet->identity.text) == 0;
}

/*
 * Is this curfew's identity alone, without a pool's name, another agent's for the new one's name in the fleet? Also
 * one's that goes by this change: its calls go on, and the store is to count them until its lease is over.
 */
static bool is_taken(const struct fleet *fleet, const struct fleet_change *change, uint32_t at)
{
    const struct fleet_pool *fp = change->pools[at];

    LIST_FOREACH(node, &fleet->pools) {
        if (is_alone(fleet, CONTAINER_OF(node, struct fleet_pool, node), fp))
            return true;
    }
    for (uint32_t i = 0; i < at; i++)
        if (change->pools[i] != NULL && is_alone(fleet, change->pools[i], fp))
            return true;
    return false;
}

static bool prepare_pools(struct fleet *fleet, const struct snapshot *snapshot, struct fleet_change *change)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        if (config->fleet == NULL)
            continue;
        change->pools[i] = find(fleet, snapshot->fleet.name, config);
        if (change->pools[i] != NULL)
            continue;
        change->pools[i] = fleet_pool_new(&fleet->peers, snapshot->fleet.name, config);
        if (change->pools[i] == NULL ||
            !fleet_pool_rename(change->pools[i], fleet->identity.text, !is_taken(fleet, change, i)))
            return false;
    }
    return true;
}

struct fleet_change *fleet_prepare(struct fleet *fleet, const struct snapshot *snapshot, char *why,
                                   size_t why_cap)
{
    struct fleet_change *change = mem_zalloc(sizeof(*change));

    snprintf(why, why_cap, "not enough memory");
    if (change == NULL)
        return NULL;
    PRE(fleet->left == NULL); /* there is no reload while it leaves */
    change->count = snapshot->pool_count;
    change->is_on = snapshot->fleet.enabled;
    change->pools = mem_calloc(change->count, sizeof(*change->pools));
    if (change->pools == NULL)
        goto failed;
    if (!change->is_on)
        return change;
    if (!fleet->is_known && fleet_identity_init(&fleet->identity) != ST_OK)
        goto failed;
    fleet->is_known = true;
    if (!prepare_pools(fleet, snapshot, change))
        goto failed;
    if (fleet->store != NULL && fleet_link_is_to(fleet->store, &snapshot->fleet.store))
        return change;
    change->store = fleet_link_new(fleet->peers.loop, &snapshot->fleet.store, &events, fleet, why, why_cap);
    if (change->store != NULL)
        return change;
failed:
    fleet_abort(fleet, change);
    return NULL;
}

void fleet_abort(struct fleet *fleet, struct fleet_change *change)
{
    (void)fleet;
    for (uint32_t i = 0; change->pools != NULL && i < change->count; i++)
        if (change->pools[i] != NULL && !change->pools[i]->is_attached)
            fleet_pool_free(change->pools[i]);
    fleet_link_free(change->store);
    mem_free(change->pools);
    mem_free(change);
}

/* Those that stay are put into the new list; all others go. */
static void drop_others(struct fleet *fleet, const struct fleet_change *change)
{
    struct list_node *node, stay;

    list_init(&stay);
    for (uint32_t i = 0; i < change->count; i++) {
        if (change->pools[i] == NULL)
            continue;
        if (change->pools[i]->is_attached)
            list_remove(&change->pools[i]->node);
        list_push_back(&stay, &change->pools[i]->node);
    }
    while ((node = list_take_front(&fleet->pools)) != NULL)
        fleet_pool_free(CONTAINER_OF(node, struct fleet_pool, node));
    list_append_all(&fleet->pools, &stay);
}

/* What was asked by the old connection is lost with it. */
static void use_store(struct fleet *fleet, struct fleet_link *store)
{
    struct fleet_link *old = fleet->store;

    fleet->store = store;
    LIST_FOREACH(node, &fleet->pools) {
        struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

        if (fleet->peers.store == NULL)
            continue;
        store_cancel(fleet->peers.store, &fp->command);
        fleet_turn_lost(&fp->turn);
    }
    fleet->peers.store = store != NULL ? store->store : NULL;
    if (store != NULL && store_connection(store->store) != 0)
        fleet->peers.was_up = true;
    LIST_FOREACH(node, &fleet->pools) {
        struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

        if (fp->is_attached)
            fleet_pool_lost(fp);
    }
    fleet_link_free(old);
}

void fleet_commit(struct fleet *fleet, struct fleet_change *change, const struct snapshot *snapshot,
                  struct pool *const *pools)
{
    PRE(loop_is_own(fleet->peers.loop) && change->count == snapshot->pool_count);
    drop_others(fleet, change);
    fleet->ride_out_ns = snapshot->fleet.ride_out_ns;
    if (change->store != NULL || !change->is_on)
        use_store(fleet, change->store);
    for (uint32_t i = 0; i < change->count; i++) {
        struct fleet_pool *fp = change->pools[i];

        if (fp == NULL)
            continue;
        if (!fp->is_attached)
            fleet_pool_attach(fp, pools[snapshot->pools[i].index]);
        fleet_pool_set(fp, snapshot, &snapshot->pools[i]);
    }
    listen_to_hints(fleet);
    mem_free(change->pools);
    mem_free(change);
}

/* ---- the end -------------------------------------------------------------------------------------------- */

void fleet_leave(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
    struct loop *loop = fleet->peers.loop;

    if (fleet->store == NULL || store_connection(fleet->store->store) == 0 || have_all_left(fleet)) {
        done(arg);
        return;
    }
    PRE(fleet->left == NULL);
    fleet->left = done;
    fleet->left_arg = arg;
    timer_set(&loop->timers, &fleet->leaving,
              loop_clock_ns() + LEAVE_TIMEOUTS * fleet->store->spec.timeout_ns);
    look_at_all(fleet, fleet_pool_leave);
}

/* ---- figures -------------------------------------------------------------------------------------------- */

bool fleet_figures(const struct fleet *fleet, uint32_t pool, struct fleet_figures *out)
{
    if (fleet == NULL)
        return false;
    LIST_FOREACH(node, &fleet->pools) {
        const struct fleet_pool *fp = CONTAINER_OF(node, struct fleet_pool, node);

        if (fp->number != pool)
            continue;
        fleet_pool_figures(fp, out);
        return true;
    }
    return false;
}

bool fleet_store_figures(const struct fleet *fleet, struct fleet_store_figures *out)
{
    if (fleet == NULL || fleet->store == NULL)
        return false;
    *out = (struct fleet_store_figures){.connected = store_connection(fleet->store->store) != 0,
                                        .clock_step_seconds = fleet->peers.clock_step_seconds,
                                        .ride_out_seconds = (double)fleet->ride_out_ns * 1e-9,
                                        .round_trips = &fleet->round_trips};
    return true;
}
