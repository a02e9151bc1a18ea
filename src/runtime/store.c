#include "runtime/store.h"

#include <stdio.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/store_listener.h"
#include "runtime/store_master.h"

/*
 * store_link       bytes, requests and answers, in order; store_reader takes answers out of bytes
 * store_greeting   what is said first: HELLO, the password, SELECT
 * store_sentinel   asks where the master is
 * store_cluster    the nodes: the master's first, then those that MOVED has named
 * store_command    a command's way over them
 * store_master     keeps the first node connected
 * store_listener   the second connection, for hints
 */
struct store {
    const struct store_events *events;
    void *arg;
    struct store_ground ground;
    struct store_cluster cluster;
    struct store_master master;
    struct store_listener listener;
};

/* ---- what its parts say -------------------------------------------------------------------------------- */

static struct store *store_of(struct store_node *node)
{
    return CONTAINER_OF(node->cluster, struct store, cluster);
}

static bool is_first(const struct store_node *node)
{
    return node == &node->cluster->nodes[0];
}

static void node_is_up(struct store_node *node)
{
    struct store *store = store_of(node);

    store_commands_go(node);
    if (!is_first(node) || !node->is_up)
        return;
    store_master_is_up(&store->master);
    store_listener_follow(&store->listener, &node->link);
    store->events->up(store->arg);
}

static void node_has_closed(struct store_node *node)
{
    if (is_first(node))
        store_master_has_closed(&store_of(node)->master);
    else
        store_commands_fail(node, node->link.fault, node->link.why);
}

static void master_is_down(struct store_master *master, enum store_fault fault, const char *why)
{
    struct store *store = CONTAINER_OF(master, struct store, master);

    store->events->down(store->arg, fault, why);
}

static void master_waits(struct store_master *master, enum store_fault fault, const char *why)
{
    store_commands_fail(master->node, fault, why);
}

static void was_heard(struct store_listener *listener, struct span channel)
{
    struct store *store = CONTAINER_OF(listener, struct store, listener);

    store->events->hint(store->arg, channel);
}

static void is_listening(struct store_listener *listener)
{
    struct store *store = CONTAINER_OF(listener, struct store, listener);

    store->events->listening(store->arg);
}

static void is_deaf(struct store_listener *listener, enum store_fault fault, const char *why)
{
    struct store *store = CONTAINER_OF(listener, struct store, listener);

    if (store->events->deaf != NULL)
        store->events->deaf(store->arg, fault, why);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static enum status open_parts(struct store *store)
{
    static const struct store_cluster_events cluster_events = {node_is_up, node_has_closed};
    static const struct store_master_events master_events = {master_is_down, master_waits};
    static const struct store_listener_events listener_events = {was_heard, is_listening, is_deaf};
    enum status status = store_cluster_init(&store->cluster, &store->ground, &cluster_events);

    if (status == ST_OK)
        status = store_master_init(&store->master, &store->cluster.nodes[0], &master_events);
    if (status == ST_OK)
        status = store_listener_init(&store->listener, &store->ground, &listener_events);
    return status;
}

static void close_parts(struct store *store)
{
    store_listener_fini(&store->listener);
    store_master_fini(&store->master);
    store_cluster_fini(&store->cluster);
    store_ground_fini(&store->ground);
}

struct store *store_new(struct loop *loop, const struct store_spec *spec, const struct store_events *events,
                        void *arg, char *why, size_t why_cap)
{
    struct store *store = mem_zalloc(sizeof(*store));

    PRE(spec->place_count > 0 && spec->place_count <= STORE_PLACES_MAX);
    snprintf(why, why_cap, "not enough memory");
    if (store == NULL)
        return NULL;
    store->events = events;
    store->arg = arg;
    if (store_ground_init(&store->ground, loop, spec, why, why_cap) != ST_OK) {
        mem_free(store);
        return NULL;
    }
    if (open_parts(store) == ST_OK)
        return store;
    close_parts(store);
    mem_free(store);
    return NULL;
}

void store_free(struct store *store)
{
    store_commands_forget(&store->cluster);
    close_parts(store);
    mem_free(store);
}

uint64_t store_connection(const struct store *store)
{
    const struct store_node *node = &store->cluster.nodes[0];

    return node->is_up && node->link.state == STORE_LINK_OPEN ? node->number : 0;
}

void store_put_place(const struct store *store, struct text *out)
{
    store_link_put_place(out, &store->cluster.nodes[0].link);
}

/* ---- what is asked of it ------------------------------------------------------------------------------- */

void store_send(struct store *store, struct store_command *command, const struct span *words, uint32_t count,
                int64_t limit_ns, store_fn fn)
{
    struct store_words all = {.words = words, .word_count = count};

    store_command_start(command, &store->cluster, &all, limit_ns, fn);
}

void store_run(struct store *store, struct store_command *command, const struct store_script *script,
               const struct span *keys, uint32_t key_count, const struct span *args, uint32_t arg_count,
               int64_t limit_ns, store_fn fn)
{
    struct store_words all = {script, keys, key_count, args, arg_count};

    store_command_start(command, &store->cluster, &all, limit_ns, fn);
}

void store_cancel(struct store *store, struct store_command *command)
{
    PRE(!command->is_active || command->cluster == &store->cluster);
    (void)store;
    store_command_cancel(command);
}

enum status store_listen(struct store *store, const struct span *channels, uint32_t count)
{
    return store_listener_set(&store->listener, channels, count);
}
