#include "proxy/generation.h"

#include <stdio.h>

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/downstream.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "proxy/upstream.h"

/* The last worker has done with it. */
static void unused(struct mail *mail)
{
    struct generation *generation = CONTAINER_OF(mail, struct generation, unused);

    list_remove(&generation->node);
    generation_free(generation);
}

static bool open_tls(struct generation *generation, const struct snapshot *snapshot, char *why,
                     size_t why_cap)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        if (!snapshot->upstreams[i].tls.enabled)
            continue;
        generation->tls[i] =
            tls_client_new(&snapshot->upstreams[i], generation->proxy->worker_count, why, why_cap);
        if (generation->tls[i] == NULL)
            return false;
    }
    return true;
}

static void close_tls(struct generation *generation, uint32_t count)
{
    for (uint32_t i = 0; generation->tls != NULL && i < count; i++)
        if (generation->tls[i] != NULL)
            tls_client_free(generation->tls[i]);
    mem_free(generation->tls);
}

struct generation *generation_new(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap)
{
    uint32_t workers = proxy->worker_count, upstreams = (*snapshot)->upstream_count;
    struct generation *generation = mem_zalloc(sizeof(*generation) + workers * sizeof(struct list_node));

    snprintf(why, why_cap, "not enough memory");
    if (generation == NULL)
        return NULL;
    generation->proxy = proxy;
    list_init(&generation->node);
    atomic_init(&generation->users, workers);
    mail_init(&generation->unused, unused);
    for (uint32_t i = 0; i < workers; i++)
        list_init(&generation->retired[i]);
    generation->tls = mem_calloc(upstreams, sizeof(struct tls_client *));
    if (generation->tls != NULL && open_tls(generation, *snapshot, why, why_cap) &&
        numbering_take(&proxy->numbering, *snapshot) == ST_OK) {
        generation->snapshot = *snapshot;
        *snapshot = NULL;
        return generation;
    }
    close_tls(generation, upstreams);
    mem_free(generation);
    return NULL;
}

void generation_free(struct generation *generation)
{
    close_tls(generation, generation->snapshot->upstream_count);
    numbering_release(&generation->proxy->numbering, generation->snapshot);
    snapshot_free(generation->snapshot);
    mem_free(generation);
}

struct tls_client *generation_tls(const struct generation *generation, const struct upstream_config *upstream)
{
    return generation->tls[upstream - generation->snapshot->upstreams];
}

void generation_retire(struct generation *generation, struct worker *pw)
{
    list_push_back(&pw->retired, &generation->retired[pw->loop.index]);
}

/* A caller's connection may stand on it without a call: one that came in by a listener that is gone. */
static bool is_in_use(const struct generation *generation, const struct worker *pw)
{
    const struct snapshot *snapshot = generation->snapshot;

    LIST_FOREACH(node, &pw->downstreams) {
        const struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        if (downstream->upstream->snapshot == snapshot ||
            (downstream->call != NULL && downstream->call->config->snapshot == snapshot))
            return true;
    }
    LIST_FOREACH(node, &pw->cutting) {
        if (CONTAINER_OF(node, struct upstream, node)->config->snapshot == snapshot)
            return true;
    }
    return false;
}

void generation_look_after(struct worker *pw)
{
    struct list_node *next = pw->retired.next;

    while (next != &pw->retired) {
        struct list_node *node = next;
        struct generation *generation = CONTAINER_OF(node - pw->loop.index, struct generation, retired);

        next = next->next;
        if (is_in_use(generation, pw))
            continue;
        list_remove(node);
        if (atomic_fetch_sub(&generation->users, 1) == 1)
            mailbox_post(pw->proxy->home, &generation->unused);
    }
}
