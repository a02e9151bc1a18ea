#include "runtime/store_cluster.h"

#include <string.h>

#include "base/hash.h"
#include "base/invariant.h"

#define CONNECT_NS (1 * NS_PER_S)

int64_t store_connect_ns(const struct store_spec *spec)
{
    return spec->timeout_ns > CONNECT_NS / 4 ? 4 * spec->timeout_ns : CONNECT_NS;
}

/* ---- a node -------------------------------------------------------------------------------------------- */

static void has_opened(struct store_link *link)
{
    struct store_node *node = CONTAINER_OF(link, struct store_node, link);

    store_greet(&node->greeting, link);
}

static void was_greeted(struct store_greeting *greeting)
{
    struct store_node *node = CONTAINER_OF(greeting, struct store_node, greeting);

    store_link_limit(&node->link, NS_NEVER, STORE_FINE, NULL);
    node->is_up = true;
    node->number = ++node->cluster->connections;
    node->cluster->events->up(node);
}

static void forget_routes(struct store_node *node)
{
    struct store_cluster *cluster = node->cluster;

    for (uint32_t i = 0; i < STORE_ROUTES; i++) {
        if (cluster->routes[i].node == node)
            cluster->routes[i] = (struct store_route){0};
    }
}

static void has_closed(struct store_link *link)
{
    struct store_node *node = CONTAINER_OF(link, struct store_node, link);

    forget_routes(node);
    node->is_up = node->is_coming = false;
    node->cluster->events->closed(node);
}

void store_node_open(struct store_node *node, const struct store_place *place)
{
    const struct store_ground *ground = node->cluster->ground;

    node->greeting = (struct store_greeting){.wants_master = true, .done = was_greeted};
    node->is_coming = true;
    store_link_open(&node->link, place);
    store_link_limit(&node->link, loop_now(ground->loop) + store_connect_ns(ground->spec), STORE_AWAY,
                     "no connection in time");
}

/* ---- all of them --------------------------------------------------------------------------------------- */

enum status store_cluster_init(struct store_cluster *cluster, struct store_ground *ground,
                               const struct store_cluster_events *events)
{
    static const struct store_link_events link_events = {has_opened, has_closed, NULL};

    *cluster = (struct store_cluster){.ground = ground, .events = events};
    list_init(&cluster->commands);
    for (uint32_t i = 0; i < STORE_NODES; i++) {
        struct store_node *node = &cluster->nodes[i];

        node->cluster = cluster;
        list_init(&node->waiting);
        if (store_link_init(&node->link, ground, &link_events) != ST_OK)
            return ST_NOMEM;
    }
    return ST_OK;
}

void store_cluster_fini(struct store_cluster *cluster)
{
    for (uint32_t i = 0; i < STORE_NODES; i++)
        store_link_fini(&cluster->nodes[i].link);
}

struct store_node *store_cluster_at(struct store_cluster *cluster, const struct store_place *place)
{
    struct store_node *idle = NULL;

    for (uint32_t i = 0; i < STORE_NODES; i++) {
        struct store_node *node = &cluster->nodes[i];

        if (node->link.state != STORE_LINK_CLOSED && store_link_is_at(&node->link, place))
            return node;
        if (i > 0 && node->link.state == STORE_LINK_CLOSED)
            idle = node;
    }
    if (idle != NULL)
        store_node_open(idle, place);
    return idle;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* What is between the first { and the next }, if that is anything; else all of it. */
static struct span hashed_part(struct span key)
{
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    size_t left = open != NULL ? key.len - (size_t)(open + 1 - key.ptr) : 0;
    const char *end = left > 0 ? memchr(open + 1, '}', left) : NULL;

    return end != NULL && end > open + 1 ? (struct span){open + 1, (size_t)(end - open - 1)} : key;
}

uint64_t store_tag_of(struct span key)
{
    struct span part = hashed_part(key);

    return hash_bytes(HASH_OF_NOTHING, part.ptr, part.len) | 1;
}

void store_cluster_learn(struct store_cluster *cluster, uint64_t tag, struct store_node *node)
{
    uint32_t at = 0;

    while (at < STORE_ROUTES && cluster->routes[at].tag != tag)
        at++;
    if (at == STORE_ROUTES)
        at = cluster->routes_made++ % STORE_ROUTES;
    cluster->routes[at] = (struct store_route){tag, node};
}

struct store_node *store_cluster_find(struct store_cluster *cluster, uint64_t tag)
{
    for (uint32_t i = 0; i < STORE_ROUTES; i++) {
        if (cluster->routes[i].tag == tag)
            return cluster->routes[i].node;
    }
    return &cluster->nodes[0];
}
