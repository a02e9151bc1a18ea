#include "admin/history.h"

#include <event2/util.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/labels.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/generation.h"
#include "runtime/loop.h"
#include "runtime/circuit.h"

static int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* ---- upstreams ------------------------------------------------------------------------------------------------ */

static void upstream_history_end(struct upstream_history *upstream)
{
    mem_free(upstream->name);
    mem_free(upstream->history);
    mem_free(upstream->recent);
    *upstream = (struct upstream_history){0};
}

/* All counters of an upstream begin at 0 with it. False: no memory. */
static bool upstream_history_begin(struct upstream_history *upstream, const char *name)
{
    upstream_history_end(upstream);
    upstream->name = mem_dup(name, strlen(name));
    return upstream->name != NULL;
}

static bool make_room(struct admin_history *history, uint32_t count)
{
    struct upstream_history *more;

    if (count <= history->upstream_count)
        return true;
    more = mem_realloc(history->upstreams, count * sizeof(struct upstream_history));
    if (more == NULL)
        return false;
    memset(more + history->upstream_count, 0,
           (count - history->upstream_count) * sizeof(struct upstream_history));
    history->upstreams = more;
    history->upstream_count = count;
    return true;
}

static bool refuses(const struct admin_history *history, const struct route_config *route)
{
    return route_owns_circuit(route) &&
           circuit_look(history->proxy->circuits[route->circuit], loop_clock_ns()).state != BREAKER_CLOSED;
}

static void look_up_route(const struct admin_history *history, struct upstream_history *upstream,
                          const struct route_config *route, const struct metrics *sum)
{
    int64_t at_most_ns = route_longest_ns(route);

    upstream->refuses |= refuses(history, route);
    if (route_longest_deadline_ns(route) > upstream->longest_ns)
        upstream->longest_ns = route_longest_deadline_ns(route);
    if (route->index < sum->route_count && sum->routes[route->index].started[0] != 0 &&
        at_most_ns > upstream->at_most_ns)
        upstream->at_most_ns = at_most_ns;
}

/* The newer generations come later, and have the last word. */
static void look_up(struct admin_history *history, const struct upstream_config *config,
                    const struct metrics *sum)
{
    struct upstream_history *upstream = &history->upstreams[config->index];

    if (upstream->name == NULL || strcmp(upstream->name, config->name) != 0)
        if (!upstream_history_begin(upstream, config->name))
            return;
    upstream->deadline_ns = config->default_route.deadline_ns;
    upstream->pool = config->default_route.pool;
    upstream->observed = config->observe;
    upstream->refuses = false;
    for (uint32_t id = 0; id <= config->route_count; id++)
        look_up_route(history, upstream, snapshot_route(config, id), sum);
    upstream->goes_on = true;
}

static void look_up_all(struct admin_history *history, const struct metrics *sum)
{
    for (uint32_t i = 0; i < history->upstream_count; i++) {
        struct upstream_history *upstream = &history->upstreams[i];

        upstream->goes_on = false;
        upstream->totals = (struct history_totals){0};
        upstream->recent_totals = (struct recent_totals){0};
        upstream->longest_ns = upstream->at_most_ns = 0;
    }
    LIST_FOREACH(node, &history->proxy->generations) {
        const struct snapshot *snapshot = CONTAINER_OF(node, struct generation, node)->snapshot;

        for (uint32_t i = 0; i < snapshot->upstream_count; i++)
            look_up(history, &snapshot->upstreams[i], sum);
    }
    for (uint32_t i = 0; i < history->upstream_count; i++)
        if (!history->upstreams[i].goes_on)
            upstream_history_end(&history->upstreams[i]);
}

/* ---- a second ------------------------------------------------------------------------------------------------ */

static bool has_history(struct upstream_history *upstream, int64_t second)
{
    static const struct history_totals nothing;
    static const struct recent_totals nothing_recent;

    if (upstream->history != NULL)
        return true;
    if (upstream->recent == NULL)
        upstream->recent = mem_alloc(sizeof(struct recent));
    if (upstream->recent != NULL)
        upstream->history = mem_alloc(sizeof(struct history));
    if (upstream->history != NULL) {
        history_begin(upstream->history, upstream->is_late ? &upstream->totals : &nothing);
        recent_begin(upstream->recent, second,
                     upstream->is_late ? &upstream->recent_totals : &nothing_recent);
    }
    upstream->is_late = true;
    return upstream->history != NULL;
}

static void write_second(struct admin_history *history, int64_t second)
{
    for (uint32_t i = 0; i < history->upstream_count; i++) {
        struct upstream_history *upstream = &history->upstreams[i];
        struct pool_figures pool;
        struct history_state state;

        if (upstream->name == NULL || !has_history(upstream, second))
            continue;
        pool = proxy_pool_figures(history->proxy, upstream->pool);
        state = (struct history_state){pool.held, pool.waiting, upstream->at_most_ns};
        history_put(upstream->history, second, &upstream->totals, &state);
        recent_put(upstream->recent, second, &upstream->recent_totals);
    }
}

static void add_up(struct admin_history *history, const struct metrics *sum, const struct labels *labels)
{
    for (uint32_t i = 0; i < history->upstream_count && i < sum->upstream_count; i++) {
        history_add_upstream(&history->upstreams[i].totals, &sum->upstreams[i]);
        recent_add_upstream(&history->upstreams[i].recent_totals, &sum->upstreams[i]);
    }
    for (uint32_t i = 0; i < labels->route_count; i++) {
        struct upstream_history *upstream = &history->upstreams[labels->routes[i].upstream];

        if (labels->routes[i].name == NULL)
            continue;
        history_add_route(&upstream->totals, &sum->routes[i]);
        recent_add_route(&upstream->recent_totals, &sum->routes[i]);
    }
}

/* One whose names are gone, or that there is no memory for, is left out. */
static void keep(struct admin_history *history, const struct labels *labels, const struct stuck_call *call,
                 int64_t ahead_ms)
{
    struct stuck_record *stuck = &history->stuck[history->stuck_count % STUCK_CALLS];
    const char *upstream = labels_upstream(labels, call->upstream);
    const char *route = labels_route(labels, call->route);

    if (upstream == NULL || route == NULL)
        return;
    mem_free(stuck->upstream);
    mem_free(stuck->route);
    stuck->upstream = mem_dup(upstream, strlen(upstream));
    stuck->route = mem_dup(route, strlen(route));
    stuck->call = *call;
    stuck->late = (struct late_call){.id = 0};
    stuck->ended_unix_ms = call->ended_ns / NS_PER_MS + ahead_ms;
    history->stuck_count++;
}

static void keep_all(struct admin_history *history, const struct stuck_calls *stuck,
                     const struct labels *labels)
{
    int64_t ahead_ms = unix_ms() - loop_clock_ns() / NS_PER_MS;

    for (uint32_t i = 0; i < stuck->count; i++)
        keep(history, labels, stuck_calls_at(stuck, i), ahead_ms);
}

/* Of a call that is not in the list any more, or was none that got stuck, nothing is kept. */
static void keep_late(struct admin_history *history, const struct late_call *late)
{
    for (uint64_t i = 1; i <= history->stuck_count && i <= STUCK_CALLS; i++) {
        struct stuck_record *stuck = &history->stuck[(history->stuck_count - i) % STUCK_CALLS];

        if (stuck->call.id != late->id)
            continue;
        stuck->late = *late;
        history->late_count++;
    }
}

static void add_second(struct admin_history *history, const struct metrics *sum, const struct labels *labels,
                       int64_t second)
{
    look_up_all(history, sum);
    add_up(history, sum, labels);
    write_second(history, second);
    history->second = second;
}

/* The workers speak when a second is over; if that is not the first time, only the calls that got stuck are news. */
static void beat(struct heartbeat_listener *listener, const struct heartbeat *heartbeat)
{
    struct admin_history *history = CONTAINER_OF(listener, struct admin_history, listener);
    const struct metrics *sum = heartbeat->sum;
    int64_t second = (heartbeat->spoke_ns - history->began_ns) / NS_PER_S - 1;
    struct labels labels;

    /* A second without a sample is a gap, and the next one has its calls. */
    if (sum == NULL || sum->lacks_codes ||
        (second <= history->second && heartbeat->stuck.count == 0 && heartbeat->late.count == 0))
        return;
    if (labels_init(&labels, history->proxy, sum->upstream_count, sum->route_count) &&
        make_room(history, history->proxy->numbering.upstreams.count)) {
        if (second > history->second)
            add_second(history, sum, &labels, second);
        keep_all(history, &heartbeat->stuck, &labels);
        for (uint32_t i = 0; i < heartbeat->late.count; i++)
            keep_late(history, late_calls_at(&heartbeat->late, i));
    }
    labels_fini(&labels);
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

int64_t admin_history_newest(const struct admin_history *history)
{
    int64_t newest = -1;

    for (uint32_t i = 0; i < history->upstream_count; i++) {
        const struct history *one = history->upstreams[i].history;

        if (one != NULL && one->newest > newest)
            newest = one->newest;
    }
    return newest;
}

void admin_history_init(struct admin_history *history)
{
    unsigned long long instance;

    evutil_secure_rng_get_bytes(&instance, sizeof(instance));
    snprintf(history->instance, sizeof(history->instance), "%016llx", instance);
    page_edition(history->edition);
    history->began_ns = history->proxy->heartbeat.began_ns;
    history->began_unix_ms = unix_ms() - (loop_clock_ns() - history->began_ns) / NS_PER_MS;
    history->second = -1;
    history->listener.beat = beat;
    heartbeat_listen(&history->proxy->heartbeat, &history->listener);
}

void admin_history_fini(struct admin_history *history)
{
    heartbeat_leave(&history->listener);
    for (uint32_t i = 0; i < history->upstream_count; i++)
        upstream_history_end(&history->upstreams[i]);
    mem_free(history->upstreams);
    for (uint32_t i = 0; i < STUCK_CALLS; i++) {
        mem_free(history->stuck[i].upstream);
        mem_free(history->stuck[i].route);
    }
}
