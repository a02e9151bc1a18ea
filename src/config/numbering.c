#include "config/numbering.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct numbered {
    char *name;
    uint32_t hash;
    uint32_t owner; /* a route's upstream */
    uint32_t uses;  /* snapshots that have this name */
    bool expected;  /* by the snapshot that is being numbered */
};

#define NOBODY UINT32_MAX

static uint32_t hash_of(const char *name)
{
    return hash_fold(hash_bytes(HASH_OF_NOTHING, name, strlen(name)));
}

static bool is_taken(const struct numbered *one)
{
    return one->uses != 0 || one->expected;
}

/* The number of a name, or NOBODY; then *vacant is one that is free, or NOBODY. */
static uint32_t find(const struct number_table *table, const char *name, uint32_t owner, uint32_t *vacant)
{
    uint32_t hash = hash_of(name);

    *vacant = NOBODY;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct numbered *one = &table->list[i];

        if (!is_taken(one))
            *vacant = *vacant == NOBODY ? i : *vacant;
        else if (one->hash == hash && one->owner == owner && strcmp(one->name, name) == 0)
            return i;
    }
    return NOBODY;
}

static bool make_room(struct number_table *table)
{
    uint32_t cap = table->cap != 0 ? 2 * table->cap : 16;
    struct numbered *bigger;

    if (table->count < table->cap)
        return true;
    bigger = mem_realloc(table->list, cap * sizeof(*bigger));
    if (!bigger)
        return false;
    table->list = bigger;
    table->cap = cap;
    return true;
}

/* Makes sure that the name has a number. */
static enum status expect(struct number_table *table, const char *name, uint32_t owner, uint32_t *number)
{
    uint32_t vacant;
    char *copy;

    *number = find(table, name, owner, &vacant);
    if (*number == NOBODY) {
        copy = mem_dup(name, strlen(name));
        if (!copy || (vacant == NOBODY && !make_room(table))) {
            mem_free(copy);
            return ST_NOMEM;
        }
        if (vacant == NOBODY)
            table->list[vacant = table->count++] = (struct numbered){0};
        mem_free(table->list[vacant].name);
        table->list[vacant] = (struct numbered){.name = copy, .hash = hash_of(name), .owner = owner};
        *number = vacant;
    }
    table->list[*number].expected = true;
    return ST_OK;
}

static enum status expect_upstream(struct numbering *numbering, struct upstream_config *upstream)
{
    uint32_t owner;
    enum status status = expect(&numbering->upstreams, upstream->name, 0, &owner);

    if (status == ST_OK)
        status =
            expect(&numbering->routes, upstream->default_route.name, owner, &upstream->default_route.index);
    for (uint32_t i = 0; i < upstream->route_count && status == ST_OK; i++)
        status = expect(&numbering->routes, upstream->routes[i].name, owner, &upstream->routes[i].index);
    upstream->index = upstream->origin.number = owner;
    return status;
}

static enum status expect_all(struct numbering *numbering, struct snapshot *snapshot)
{
    enum status status = ST_OK;

    for (uint32_t i = 0; i < snapshot->pool_count && status == ST_OK; i++)
        status = expect(&numbering->pools, snapshot->pools[i].name, 0, &snapshot->pools[i].index);
    for (uint32_t i = 0; i < snapshot->upstream_count && status == ST_OK; i++)
        status = expect_upstream(numbering, &snapshot->upstreams[i]);
    return status;
}

static void expect_none(struct number_table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        table->list[i].expected = false;
}

/* True for the first who uses it. */
static bool use(struct number_table *table, uint32_t number)
{
    return table->list[number].uses++ == 0;
}

static void use_route(struct numbering *numbering, const struct snapshot *snapshot,
                      struct route_config *route, uint32_t own)
{
    route->is_new = use(&numbering->routes, route->index);
    route->circuit = route->has_own_breaker ? route->index : own;
    route->pool = snapshot->pools[route->pool].index;
}

static void use_all(struct numbering *numbering, struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        snapshot->pools[i].is_new = use(&numbering->pools, snapshot->pools[i].index);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        struct upstream_config *upstream = &snapshot->upstreams[i];

        upstream->is_new = use(&numbering->upstreams, upstream->index);
        use_route(numbering, snapshot, &upstream->default_route, upstream->default_route.index);
        for (uint32_t r = 0; r < upstream->route_count; r++)
            use_route(numbering, snapshot, &upstream->routes[r], upstream->default_route.index);
    }
}

enum status numbering_take(struct numbering *numbering, struct snapshot *snapshot)
{
    enum status status = expect_all(numbering, snapshot);

    if (status == ST_OK)
        use_all(numbering, snapshot);
    expect_none(&numbering->upstreams);
    expect_none(&numbering->routes);
    expect_none(&numbering->pools);
    return status;
}

void numbering_release(struct numbering *numbering, const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        numbering->pools.list[snapshot->pools[i].index].uses--;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        numbering->upstreams.list[upstream->index].uses--;
        numbering->routes.list[upstream->default_route.index].uses--;
        for (uint32_t r = 0; r < upstream->route_count; r++)
            numbering->routes.list[upstream->routes[r].index].uses--;
    }
}

static void free_table(struct number_table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        mem_free(table->list[i].name);
    mem_free(table->list);
    *table = (struct number_table){0};
}

void numbering_fini(struct numbering *numbering)
{
    free_table(&numbering->upstreams);
    free_table(&numbering->routes);
    free_table(&numbering->pools);
}
