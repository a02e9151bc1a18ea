#include "admin/chronicle.h"

#include <event2/util.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/labels.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/generation.h"
#include "runtime/worker.h"

static int64_t unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* ---- chapters ------------------------------------------------------------------------------------------------ */

static void chapter_end(struct chapter *chapter)
{
    mem_free(chapter->name);
    mem_free(chapter->history);
    *chapter = (struct chapter){0};
}

/* All counters of an upstream begin at 0 with it. False: no memory. */
static bool chapter_begin(struct chapter *chapter, const char *name)
{
    chapter_end(chapter);
    chapter->name = mem_dup(name, strlen(name));
    return chapter->name != NULL;
}

static bool make_room(struct chronicle *chronicle, uint32_t count)
{
    struct chapter *more;

    if (count <= chronicle->chapter_count)
        return true;
    more = mem_realloc(chronicle->chapters, count * sizeof(struct chapter));
    if (more == NULL)
        return false;
    memset(more + chronicle->chapter_count, 0, (count - chronicle->chapter_count) * sizeof(struct chapter));
    chronicle->chapters = more;
    chronicle->chapter_count = count;
    return true;
}

static void look_up_route(struct chapter *chapter, const struct route_config *route,
                          const struct metrics *sum)
{
    int64_t at_most_ns = route_longest_ns(route);

    if (route->deadline_ns > chapter->longest_ns)
        chapter->longest_ns = route->deadline_ns;
    if (route->index < sum->route_count && sum->routes[route->index].started[0] != 0 &&
        at_most_ns > chapter->at_most_ns)
        chapter->at_most_ns = at_most_ns;
}

/* The newer generations come later, and have the last word. */
static void look_up(struct chronicle *chronicle, const struct upstream_config *upstream)
{
    struct chapter *chapter = &chronicle->chapters[upstream->index];

    if (chapter->name == NULL || strcmp(chapter->name, upstream->name) != 0)
        if (!chapter_begin(chapter, upstream->name))
            return;
    chapter->deadline_ns = upstream->default_route.deadline_ns;
    chapter->pool = upstream->default_route.pool;
    chapter->observed = upstream->observe;
    for (uint32_t id = 0; id <= upstream->route_count; id++)
        look_up_route(chapter, snapshot_route(upstream, id), chronicle->tally.sum);
    chapter->goes_on = true;
}

static void look_up_all(struct chronicle *chronicle)
{
    for (uint32_t i = 0; i < chronicle->chapter_count; i++) {
        struct chapter *chapter = &chronicle->chapters[i];

        chapter->goes_on = false;
        chapter->totals = (struct history_totals){0};
        chapter->longest_ns = chapter->at_most_ns = 0;
    }
    LIST_FOREACH(node, &chronicle->proxy->generations) {
        const struct snapshot *snapshot = CONTAINER_OF(node, struct generation, node)->snapshot;

        for (uint32_t i = 0; i < snapshot->upstream_count; i++)
            look_up(chronicle, &snapshot->upstreams[i]);
    }
    for (uint32_t i = 0; i < chronicle->chapter_count; i++)
        if (!chronicle->chapters[i].goes_on)
            chapter_end(&chronicle->chapters[i]);
}

/* ---- a second ------------------------------------------------------------------------------------------------ */

static bool has_history(struct chapter *chapter)
{
    static const struct history_totals nothing;

    if (chapter->history != NULL)
        return true;
    chapter->history = mem_alloc(sizeof(struct history));
    if (chapter->history != NULL)
        history_begin(chapter->history, chapter->is_late ? &chapter->totals : &nothing);
    chapter->is_late = true;
    return chapter->history != NULL;
}

static void write_second(struct chronicle *chronicle, int64_t second)
{
    for (uint32_t i = 0; i < chronicle->chapter_count; i++) {
        struct chapter *chapter = &chronicle->chapters[i];
        struct pool_figures pool;
        struct history_state state;

        if (chapter->name == NULL || !has_history(chapter))
            continue;
        pool = proxy_pool_figures(chronicle->proxy, chapter->pool);
        state = (struct history_state){pool.held, pool.waiting, chapter->at_most_ns};
        history_put(chapter->history, second, &chapter->totals, &state);
    }
}

static void add_up(struct chronicle *chronicle, const struct labels *labels)
{
    const struct metrics *sum = chronicle->tally.sum;

    for (uint32_t i = 0; i < chronicle->chapter_count && i < sum->upstream_count; i++)
        history_add_upstream(&chronicle->chapters[i].totals, &sum->upstreams[i]);
    for (uint32_t i = 0; i < labels->route_count; i++)
        if (labels->routes[i].name != NULL)
            history_add_route(&chronicle->chapters[labels->routes[i].upstream].totals, &sum->routes[i]);
}

/* One whose names are gone, or that there is no memory for, is not told of. */
static void tell(struct chronicle *chronicle, const struct labels *labels, const struct stuck_call *call,
                 int64_t ahead_ms)
{
    struct told_call *told = &chronicle->told[chronicle->told_count % STUCK_CALLS];
    const char *upstream = call->upstream < labels->upstream_count ? labels->upstreams[call->upstream] : NULL;
    const char *route = call->route < labels->route_count ? labels->routes[call->route].name : NULL;

    if (upstream == NULL || route == NULL)
        return;
    mem_free(told->upstream);
    mem_free(told->route);
    told->upstream = mem_dup(upstream, strlen(upstream));
    told->route = mem_dup(route, strlen(route));
    told->call = *call;
    told->ended_unix_ms = call->ended_ns / NS_PER_MS + ahead_ms;
    chronicle->told_count++;
}

static void tell_all(struct chronicle *chronicle, const struct labels *labels)
{
    int64_t ahead_ms = unix_ms() - worker_clock_ns() / NS_PER_MS;

    for (uint32_t i = 0; i < chronicle->tally.stuck.count; i++)
        tell(chronicle, labels, stuck_calls_at(&chronicle->tally.stuck, i), ahead_ms);
}

/* The second that is nearest to being over when the workers were asked. */
static int64_t second_asked(const struct chronicle *chronicle)
{
    return (chronicle->asked_ns - chronicle->began_ns + NS_PER_S / 2) / NS_PER_S - 1;
}

static void told(struct tally *tally)
{
    struct chronicle *chronicle = CONTAINER_OF(tally, struct chronicle, tally);
    const struct metrics *sum = tally->sum;
    struct labels labels;

    /*
     * A reload came in between, and the numbers may be other ones' now; or there was no memory for all of the sum. The
     * next second has this one's calls.
     */
    if (chronicle->renamed != chronicle->proxy->renamed || sum->lacks_codes)
        return;
    if (labels_init(&labels, chronicle->proxy, sum->upstream_count, sum->route_count) &&
        make_room(chronicle, chronicle->proxy->numbering.upstreams.count)) {
        look_up_all(chronicle);
        add_up(chronicle, &labels);
        write_second(chronicle, second_asked(chronicle));
        tell_all(chronicle, &labels);
    }
    labels_fini(&labels);
}

/* At the end of each second, so that what a turn of the loop takes does not add up. */
static bool wait_for_next(struct chronicle *chronicle, int64_t now_ns)
{
    int64_t in_ns = NS_PER_S - (now_ns - chronicle->began_ns) % NS_PER_S;
    struct timeval in = {in_ns / NS_PER_S, in_ns % NS_PER_S / NS_PER_US};

    return event_add(&chronicle->tick, &in) == 0;
}

static void second_is_over(evutil_socket_t fd, short what, void *arg)
{
    struct chronicle *chronicle = arg;
    int64_t now_ns = worker_clock_ns();

    (void)fd;
    (void)what;
    (void)wait_for_next(chronicle, now_ns); /* a timer that has run has its place in the heap */
    if (chronicle->tally.under_way)
        return;
    chronicle->asked_ns = now_ns;
    chronicle->renamed = chronicle->proxy->renamed;
    (void)tally_ask(&chronicle->tally); /* without memory, this second is a gap */
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

int64_t chronicle_unanswered_ns(const struct chronicle *chronicle)
{
    return chronicle->tally.under_way ? worker_clock_ns() - chronicle->asked_ns : 0;
}

int64_t chronicle_newest(const struct chronicle *chronicle)
{
    int64_t newest = -1;

    for (uint32_t i = 0; i < chronicle->chapter_count; i++) {
        const struct history *history = chronicle->chapters[i].history;

        if (history != NULL && history->newest > newest)
            newest = history->newest;
    }
    return newest;
}

enum status chronicle_init(struct chronicle *chronicle)
{
    unsigned long long instance;

    evutil_secure_rng_get_bytes(&instance, sizeof(instance));
    snprintf(chronicle->instance, sizeof(chronicle->instance), "%016llx", instance);
    page_edition(chronicle->edition);
    chronicle->began_ns = worker_clock_ns();
    chronicle->began_unix_ms = unix_ms();
    if (tally_init(&chronicle->tally, chronicle->proxy, told) != ST_OK)
        return ST_NOMEM;
    if (event_assign(&chronicle->tick, chronicle->base, -1, 0, second_is_over, chronicle) == 0 &&
        wait_for_next(chronicle, chronicle->began_ns))
        return ST_OK;
    tally_fini(&chronicle->tally);
    return ST_NOMEM;
}

void chronicle_fini(struct chronicle *chronicle)
{
    event_del(&chronicle->tick);
    tally_fini(&chronicle->tally);
    for (uint32_t i = 0; i < chronicle->chapter_count; i++)
        chapter_end(&chronicle->chapters[i]);
    mem_free(chronicle->chapters);
    for (uint32_t i = 0; i < STUCK_CALLS; i++) {
        mem_free(chronicle->told[i].upstream);
        mem_free(chronicle->told[i].route);
    }
}
