#include "proxy/circuits.h"

#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "base/text.h"
#include "call/circuit_watch.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "runtime/circuit.h"

static void opened(struct circuit *circuit, struct loop *loop)
{
    circuit_watch_opened(&CONTAINER_OF(loop, struct worker, loop)->context, circuit);
}

/* Any number will do, if that of another instance is another one. */
static uint64_t draw_seed(const struct circuit *circuit)
{
    uint64_t seed;

    return getrandom(&seed, sizeof(seed), 0) == sizeof(seed) ? seed : (uint64_t)(uintptr_t)circuit;
}

/* One of the proxy's. */
struct known_circuit {
    struct circuit circuit;
    struct proxy *proxy;
    uint32_t number;
};

/* ---- what operators are told ---------------------------------------------------------------------------- */

static const struct route_config *find_owner(const struct snapshot *snapshot, uint32_t circuit,
                                             const char **upstream)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        for (uint32_t id = 0; id <= snapshot->upstreams[i].route_count; id++) {
            const struct route_config *route = snapshot_route(&snapshot->upstreams[i], id);

            if (!route_owns_circuit(route) || route->circuit != circuit)
                continue;
            *upstream = snapshot->upstreams[i].name;
            return route;
        }
    }
    return NULL;
}

static const char *why_it_opened(enum breaker_reason reason)
{
    return reason == BREAKER_RATIO ? "too large a part of the last tries went wrong; calls are refused"
                                   : "tries went wrong one after the other; calls are refused";
}

static void say(const struct known_circuit *known, bool refuses, enum breaker_reason reason)
{
    struct proxy *proxy = known->proxy;
    const char *upstream;
    const struct route_config *route = find_owner(proxy->snapshot, known->number, &upstream);
    char line[512];
    struct text text = text_over(line, sizeof(line) - 1);

    if (route == NULL || proxy->say == NULL) /* of an older configuration */
        return;
    text_printf(&text, "breaker of upstream %s", upstream);
    if (route->has_own_breaker)
        text_printf(&text, ", route %s", route->name);
    text_printf(&text, "%s: %s", refuses ? " opened" : " closed",
                refuses ? why_it_opened(reason) : "calls are let in again");
    line[text.len] = '\0';
    proxy->say(proxy->say_arg, line);
}

/* They take turns, and the latest one is what it is now. */
static void report(struct mail *mail)
{
    struct known_circuit *known = CONTAINER_OF(mail, struct known_circuit, circuit.news);
    struct circuit_report report = circuit_take_report(&known->circuit);
    bool refuses =
        report.openings > report.closings ||
        (report.openings == report.closings && circuit_look(&known->circuit, 0).state != BREAKER_CLOSED);

    if (report.closings != 0 && refuses)
        say(known, false, report.reason);
    if (report.openings != 0)
        say(known, true, report.reason);
    if (report.closings != 0 && !refuses)
        say(known, false, report.reason);
}

/* ---- those that there are ------------------------------------------------------------------------------- */

static struct circuit *new_circuit(struct proxy *proxy, uint32_t number)
{
    struct known_circuit *known = mem_alloc(sizeof(*known));

    if (known == NULL)
        return NULL;
    if (circuit_init(&known->circuit, draw_seed(&known->circuit), proxy->loops, proxy->worker_count,
                     opened) != ST_OK) {
        mem_free(known);
        return NULL;
    }
    known->proxy = proxy;
    known->number = number;
    circuit_report_to(&known->circuit, proxy->home, report);
    return &known->circuit;
}

static void free_circuit(struct circuit *circuit)
{
    if (circuit == NULL)
        return;
    circuit_fini(circuit);
    mem_free(CONTAINER_OF(circuit, struct known_circuit, circuit));
}

static struct circuit *there_is(const struct proxy *proxy, uint32_t number)
{
    return number < proxy->circuit_count ? proxy->circuits[number] : NULL;
}

/* The upstream's own route may have no breaker, and then those without one of their own have none either. */
static bool make_of_upstream(struct proxy *proxy, struct circuit **circuits,
                             const struct upstream_config *upstream)
{
    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);

        if (!route_owns_circuit(route) || circuits[route->index] != NULL)
            continue;
        circuits[route->index] = new_circuit(proxy, route->index);
        if (circuits[route->index] == NULL)
            return false;
    }
    return true;
}

struct circuit **circuits_prepare(struct proxy *proxy, const struct snapshot *snapshot)
{
    uint32_t count = proxy->numbering.routes.count;
    struct circuit **circuits = mem_calloc(count, sizeof(struct circuit *));

    for (uint32_t i = 0; circuits != NULL && i < count; i++)
        circuits[i] = there_is(proxy, i);
    for (uint32_t i = 0; circuits != NULL && i < snapshot->upstream_count; i++) {
        if (!make_of_upstream(proxy, circuits, &snapshot->upstreams[i])) {
            circuits_abort(proxy, circuits, count);
            return NULL;
        }
    }
    return circuits;
}

void circuits_abort(struct proxy *proxy, struct circuit **circuits, uint32_t count)
{
    for (uint32_t i = 0; circuits != NULL && i < count; i++)
        if (there_is(proxy, i) == NULL)
            free_circuit(circuits[i]);
    mem_free(circuits);
}

static const struct upstream_config *find_before(const struct proxy *proxy,
                                                 const struct upstream_config *upstream)
{
    const struct snapshot *before = proxy->snapshot;

    for (uint32_t i = 0; before != NULL && i < before->upstream_count; i++)
        if (before->upstreams[i].index == upstream->index)
            return &before->upstreams[i];
    return NULL;
}

static bool is_same_api(const struct upstream_config *a, const struct upstream_config *b)
{
    return a->tls.enabled == b->tls.enabled && a->origin.port == b->origin.port &&
           strcasecmp(a->origin.host, b->origin.host) == 0 &&
           (!a->tls.enabled || strcasecmp(a->tls.spec.server_name, b->tls.spec.server_name) == 0);
}

static bool had_circuit(const struct upstream_config *before, uint32_t circuit)
{
    for (uint32_t id = 0; id <= before->route_count; id++)
        if (route_owns_circuit(snapshot_route(before, id)) && snapshot_route(before, id)->circuit == circuit)
            return true;
    return false;
}

static void set_of_upstream(const struct proxy *proxy, const struct upstream_config *upstream)
{
    const struct upstream_config *before = find_before(proxy, upstream);
    bool is_known = before != NULL && !upstream->is_new && is_same_api(before, upstream);

    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);

        if (route_owns_circuit(route))
            circuit_set(proxy->circuits[route->circuit], route->breaker,
                        !is_known || !had_circuit(before, route->circuit));
    }
}

void circuits_commit(struct proxy *proxy, struct circuit **circuits, uint32_t count,
                     const struct snapshot *snapshot)
{
    PRE(proxy->snapshot != snapshot && count >= proxy->circuit_count);
    mem_free(proxy->circuits);
    proxy->circuits = circuits;
    proxy->circuit_count = count;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        set_of_upstream(proxy, &snapshot->upstreams[i]);
}

void circuits_recall(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->circuit_count; i++)
        if (proxy->circuits[i] != NULL)
            circuit_recall(proxy->circuits[i]);
}

void circuits_free(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->circuit_count; i++)
        free_circuit(proxy->circuits[i]);
    mem_free(proxy->circuits);
}
