#include "admin/scrapes.h"

#include "admin/durations.h"
#include "admin/fleet.h"
#include "admin/labels.h"
#include "admin/pools.h"
#include "admin/respond.h"
#include "base/mem.h"
#include "stats/metric.h"
#include "proxy/scrape.h"

/*
 * More at once would only mean that scrapes are not answered, and their pages are large. Those that were given up count
 * as long as a worker holds them.
 */
#define SCRAPES_MAX 64

#define NO_MEMORY   "There is not enough memory to ask the workers."

#define PATIENCE_NS NS_PER_S

struct pending {
    struct list_node node; /* on scrapes.under_way */
    struct scrapes *scrapes;
    struct admin_request *request;
    struct scrape *scrape;
    bool wants_durations; /* in place of the page */
    struct timer patience;
};

/* --------------------------------------------------------------------------------------- the page */

static const char *name_upstream(const void *arg, uint32_t upstream)
{
    return labels_upstream(arg, upstream);
}

static const char *name_route(const void *arg, uint32_t route)
{
    return labels_route(arg, route);
}

static uint32_t upstream_of_route(const void *arg, uint32_t route)
{
    const struct labels *labels = arg;

    return labels->routes[route].upstream;
}

static bool is_forward(const void *arg, uint32_t upstream)
{
    return labels_is_forward(arg, upstream);
}

static void expose_build(const char *version, struct exposition *out)
{
#define BUILD_INFO(name, help)                                                                               \
    exposition_family(out, name, EXPOSITION_GAUGE, help);                                                    \
    exposition_sample(out, name, "");                                                                        \
    exposition_label(out, "version", version);                                                               \
    exposition_u64(out, 1);
#include "stats/metrics.def"
}

static void expose_own(struct process_reader *process, struct exposition *out)
{
    struct process_stats stats;

    process_stats_read(process, &stats);
#define EXPOSE(type, field, name, help)                                                                      \
    exposition_family(out, name, type, help);                                                                \
    exposition_sample(out, name, "");                                                                        \
    exposition_number(out, stats.field);
#define OWN_GAUGE(field, name, help)   EXPOSE(EXPOSITION_GAUGE, field, name, help)
#define OWN_COUNTER(field, name, help) EXPOSE(EXPOSITION_COUNTER, field, name, help)
#include "stats/metrics.def"
#undef EXPOSE
}

/* A page without all of its bytes must not go out: half of the families would look like all of them. */
struct page {
    struct content content;
};

static void put_piece(void *arg, struct span piece)
{
    struct page *page = arg;

    content_add(&page->content, piece);
}

static void write_page(struct scrapes *scrapes, const struct metrics *sum, struct page *page)
{
    struct labels labels;
    const struct metric_names names = {name_upstream, name_route, upstream_of_route, &labels, is_forward};
    struct exposition out;

    exposition_init(&out, put_piece, page);
    /* What the workers have not heard of yet has no samples. */
    if (labels_init(&labels, scrapes->proxy, sum->upstream_count, sum->route_count))
        metrics_render(sum, &names, &out);
    else
        page->content.is_incomplete = true;
    labels_fini(&labels);
    if (pools_expose(scrapes->proxy, &out) != ST_OK || fleet_expose(scrapes->proxy, &out) != ST_OK)
        page->content.is_incomplete = true;
    expose_build(scrapes->version, &out);
    expose_own(&scrapes->process, &out);
    exposition_end(&out);
}

static void respond_with_page(struct scrapes *scrapes, struct admin_request *request,
                              const struct metrics *sum)
{
    struct page page = {.content = {.is_incomplete = sum->lacks_codes}};

    write_page(scrapes, sum, &page);
    if (page.content.is_incomplete)
        respond_problem(request, 503, "There is not enough memory for this answer.");
    else
        respond(request, 200, "text/plain; version=0.0.4; charset=utf-8", &page.content);
    content_fini(&page.content);
}

/* --------------------------------------------------------------------------------- a scrape's life */

/* Ends a pending scrape; the request, which is to be answered next, is handed back. */
static struct admin_request *pending_end(struct pending *pending)
{
    struct admin_request *request = pending->request;

    timer_fini(&pending->scrapes->loop->timers, &pending->patience);
    list_remove(&pending->node);
    mem_free(pending);
    return request;
}

static void scrape_done(void *arg, const struct metrics *sum)
{
    struct pending *pending = arg;
    struct scrapes *scrapes = pending->scrapes;

    if (sum == NULL)
        respond_problem(pending_end(pending), 503, NO_MEMORY);
    else if (pending->wants_durations)
        durations_respond(pending_end(pending), scrapes->proxy, sum);
    else
        respond_with_page(scrapes, pending_end(pending), sum);
}

static void give_up(struct timer *timer, int64_t now_ns)
{
    struct pending *pending = CONTAINER_OF(timer, struct pending, patience);

    (void)now_ns;
    scrape_forget(pending->scrape);
    respond_problem(pending_end(pending), 503, "A worker did not answer within 1 s.");
}

/* NULL: no memory, nothing was started. */
static struct pending *pending_start(struct scrapes *scrapes, struct admin_request *request,
                                     bool wants_durations)
{
    struct pending *pending = mem_zalloc(sizeof(*pending));

    if (!pending || timer_init(&scrapes->loop->timers, &pending->patience, give_up) != ST_OK)
        goto no_timer;
    pending->scrapes = scrapes;
    pending->request = request;
    pending->wants_durations = wants_durations;
    timer_set(&scrapes->loop->timers, &pending->patience, loop_now(scrapes->loop) + PATIENCE_NS);
    pending->scrape = scrape_start(scrapes->proxy, wants_durations, scrape_done, pending);
    if (pending->scrape != NULL)
        return pending;
    timer_fini(&scrapes->loop->timers, &pending->patience);
no_timer:
    mem_free(pending);
    return NULL;
}

static void start(struct scrapes *scrapes, struct admin_request *request, bool wants_durations)
{
    struct pending *pending;

    if (scrapes->proxy->scrape_count >= SCRAPES_MAX) {
        respond_problem(request, 503, "Too many scrapes are under way.");
        return;
    }
    pending = pending_start(scrapes, request, wants_durations);
    if (!pending) {
        respond_problem(request, 503, NO_MEMORY);
        return;
    }
    list_push_back(&scrapes->under_way, &pending->node);
}

void scrapes_respond(struct scrapes *scrapes, struct admin_request *request)
{
    start(scrapes, request, false);
}

void scrapes_respond_durations(struct scrapes *scrapes, struct admin_request *request)
{
    start(scrapes, request, true);
}

/* ------------------------------------------------------------------------------------------- all */

void scrapes_init(struct scrapes *scrapes)
{
    list_init(&scrapes->under_way);
}

void scrapes_fini(struct scrapes *scrapes)
{
    while (!list_is_empty(&scrapes->under_way)) {
        struct pending *pending = CONTAINER_OF(scrapes->under_way.next, struct pending, node);

        scrape_forget(pending->scrape);
        respond_problem(pending_end(pending), 503, "curfew is shutting down.");
    }
}
