#include "view/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* So many calls took so long. */
struct point {
    int64_t us;
    uint64_t calls;
};

static int by_time(const void *a, const void *b)
{
    const struct point *left = a, *right = b;

    return (left->us > right->us) - (left->us < right->us);
}

/* NULL: it is counted anew since, or was not there. */
static const struct duration_route *find_before(const struct durations *before,
                                                const struct duration_route *route)
{
    for (uint32_t i = 0; before != NULL && i < before->route_count; i++) {
        const struct duration_route *other = &before->routes[i];

        if (strcmp(other->upstream, route->upstream) == 0 && strcmp(other->route, route->route) == 0 &&
            strcmp(other->of, route->of) == 0)
            return other->for_us <= route->for_us && other->completed <= route->completed &&
                           other->cut.calls <= route->cut.calls
                       ? other
                       : NULL;
    }
    return NULL;
}

/* Both have their buckets in order; *at is where the search goes on. */
static uint64_t calls_before(const struct duration_route *before, uint32_t *at, int64_t upto_us)
{
    if (before == NULL)
        return 0;
    while (*at < before->bucket_count && before->buckets[*at].upto_us < upto_us)
        (*at)++;
    return *at < before->bucket_count && before->buckets[*at].upto_us == upto_us ? before->buckets[*at].calls
                                                                                 : 0;
}

static struct point point_of(const struct duration_route *route, int64_t us, uint64_t calls)
{
    return (struct point){us < route->longest_allowed_us ? us : route->longest_allowed_us, calls};
}

/* Returns the end of the points that were put. */
static struct point *put_route(struct point *out, const struct duration_route *route,
                               const struct duration_route *before)
{
    uint64_t cut = route->cut.calls - (before != NULL ? before->cut.calls : 0);
    double took_us = route->cut.took_us - (before != NULL ? before->cut.took_us : 0);
    uint32_t at = 0;

    for (uint32_t i = 0; i < route->bucket_count; i++) {
        const struct duration_bucket *bucket = &route->buckets[i];
        uint64_t earlier = calls_before(before, &at, bucket->upto_us);

        if (bucket->calls > earlier)
            *out++ = point_of(route, bucket->upto_us, bucket->calls - earlier);
    }
    if (cut != 0)
        *out++ = point_of(route, (int64_t)(took_us / (double)cut), cut);
    return out;
}

static double quantile(const struct point *points, size_t count, uint64_t all, double q)
{
    double rank = q * (double)all, upto = 0;

    for (size_t i = 0; i < count; i++) {
        upto += (double)points[i].calls;
        if (upto >= rank)
            return (double)points[i].us * 1e-6;
    }
    return NAN;
}

static struct latency of_points(struct point *points, size_t count)
{
    uint64_t all = 0;

    for (size_t i = 0; i < count; i++)
        all += points[i].calls;
    if (count == 0)
        return (struct latency){NAN, NAN};
    qsort(points, count, sizeof(*points), by_time);
    return (struct latency){quantile(points, count, all, 0.5), quantile(points, count, all, 0.99)};
}

struct latency latency_between(const struct durations *now, const struct durations *before,
                               const char *upstream, const char *of)
{
    struct latency latency = {NAN, NAN};
    struct point *points, *end;
    size_t room = 1;

    if (now == NULL)
        return latency;
    for (uint32_t i = 0; i < now->route_count; i++)
        room += now->routes[i].bucket_count + 1;
    points = end = mem_calloc(room, sizeof(*points));
    if (points == NULL)
        return latency;
    for (uint32_t i = 0; i < now->route_count; i++) {
        const struct duration_route *route = &now->routes[i];

        if (strcmp(route->upstream, upstream) == 0 && strcmp(route->of, of) == 0)
            end = put_route(end, route, find_before(before, route));
    }
    latency = of_points(points, (size_t)(end - points));
    mem_free(points);
    return latency;
}
