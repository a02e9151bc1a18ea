#include "view/durations.h"

#include <jansson.h>

#include "base/mem.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "?";
}

/* Below 0 there is nothing. */
static int64_t number_of(const json_t *object, const char *key)
{
    int64_t number = json_integer_value(json_object_get(object, key));

    return number > 0 ? number : 0;
}

static struct duration_end end_of(const json_t *route, const char *key)
{
    const json_t *end = json_object_get(route, key);

    return (struct duration_end){(uint64_t)number_of(end, "calls"), (double)number_of(end, "held_us"),
                                 (double)number_of(end, "took_us")};
}

/* False: it is none. */
static bool read_bucket(const json_t *json, struct duration_bucket *bucket)
{
    int64_t calls = json_integer_value(json_array_get(json, 1));
    int64_t held_us = json_integer_value(json_array_get(json, 2));

    *bucket = (struct duration_bucket){json_integer_value(json_array_get(json, 0)), (uint64_t)calls,
                                       (double)held_us};
    return json_array_size(json) == 3 && bucket->upto_us > 0 && calls > 0 && held_us >= 0;
}

static bool read_buckets(const json_t *json, struct duration_route *route)
{
    size_t count = json_array_size(json);

    route->buckets = mem_calloc(count + 1, sizeof(struct duration_bucket));
    if (route->buckets == NULL || count > UINT32_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct duration_bucket *bucket = &route->buckets[i];

        if (!read_bucket(json_array_get(json, i), bucket) || (i > 0 && bucket->upto_us <= bucket[-1].upto_us))
            return false;
        route->completed += bucket->calls;
    }
    route->bucket_count = (uint32_t)count;
    return true;
}

/* What is kept of the JSON is the names: the buckets, which are most of it, are copied. */
static bool take_buckets(json_t *json, struct duration_route *route)
{
    bool is_good = read_buckets(json_object_get(json, "buckets"), route);

    (void)json_object_del(json, "buckets"); /* there may be none */
    return is_good;
}

static bool read_route(json_t *json, struct duration_route *route)
{
    *route = (struct duration_route){
        .upstream = text_of(json, "upstream"),
        .route = text_of(json, "route"),
        .of = json_object_get(json, "of") != NULL ? text_of(json, "of") : "calls",
        .pool = text_of(json, "pool"),
        .deadline_us = number_of(json, "deadline_us"),
        .longest_allowed_us = number_of(json, "longest_allowed_us"),
        .observed = json_is_true(json_object_get(json, "observed")),
        .for_us = number_of(json, "for_us"),
        .longest_us = number_of(json, "longest_us"),
        .spared = (uint64_t)number_of(json, "spared"),
        .cut = end_of(json, "cut"),
        .rejected = end_of(json, "rejected"),
        .abandoned = end_of(json, "abandoned"),
        .failed = end_of(json, "failed"),
    };
    return json_is_object(json) && take_buckets(json, route);
}

static bool read_routes(struct durations *durations, const json_t *routes)
{
    size_t count = json_array_size(routes);

    durations->routes = mem_calloc(count + 1, sizeof(struct duration_route));
    if (durations->routes == NULL || !json_is_array(routes))
        return false;
    for (size_t i = 0; i < count; i++) {
        durations->route_count++;
        if (!read_route(json_array_get(routes, i), &durations->routes[i]))
            return false;
    }
    return true;
}

static bool read_pools(struct durations *durations, const json_t *pools)
{
    size_t count = json_array_size(pools);

    durations->pools = mem_calloc(count + 1, sizeof(struct duration_pool));
    if (durations->pools == NULL || !json_is_array(pools))
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *pool = json_array_get(pools, i);

        durations->pools[i] = (struct duration_pool){text_of(pool, "name"), (uint64_t)number_of(pool, "size"),
                                                     (uint64_t)number_of(pool, "held_peak")};
    }
    durations->pool_count = (uint32_t)count;
    return true;
}

bool durations_read(struct durations *durations, struct span json)
{
    json_t *root = json_loadb(json.ptr, json.len, 0, NULL);

    *durations = (struct durations){.json = root};
    return read_routes(durations, json_object_get(root, "routes")) &&
           read_pools(durations, json_object_get(root, "pools"));
}

void durations_free(struct durations *durations)
{
    for (uint32_t i = 0; i < durations->route_count; i++)
        mem_free(durations->routes[i].buckets);
    mem_free(durations->routes);
    mem_free(durations->pools);
    json_decref(durations->json);
    *durations = (struct durations){0};
}
