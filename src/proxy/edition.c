#include "proxy/edition.h"

#include <stdio.h>

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/downstream.h"
#include "proxy/proxy.h"
#include "proxy/proxy_worker.h"
#include "proxy/upstream.h"

/* The last worker has done with it. */
static void unused(struct mail *mail)
{
    struct edition *edition = CONTAINER_OF(mail, struct edition, unused);

    list_remove(&edition->node);
    edition_free(edition);
}

static bool open_tls(struct edition *edition, const struct snapshot *snapshot, char *why, size_t why_cap)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        if (!snapshot->upstreams[i].tls.enabled)
            continue;
        edition->tls[i] = tls_client_new(&snapshot->upstreams[i], edition->proxy->worker_count, why, why_cap);
        if (edition->tls[i] == NULL)
            return false;
    }
    return true;
}

static void close_tls(struct edition *edition, uint32_t count)
{
    for (uint32_t i = 0; edition->tls != NULL && i < count; i++)
        if (edition->tls[i] != NULL)
            tls_client_free(edition->tls[i]);
    mem_free(edition->tls);
}

struct edition *edition_new(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap)
{
    uint32_t workers = proxy->worker_count, upstreams = (*snapshot)->upstream_count;
    struct edition *edition = mem_zalloc(sizeof(*edition) + workers * sizeof(struct list_node));

    snprintf(why, why_cap, "not enough memory");
    if (edition == NULL)
        return NULL;
    edition->proxy = proxy;
    list_init(&edition->node);
    atomic_init(&edition->users, workers);
    mail_init(&edition->unused, unused);
    for (uint32_t i = 0; i < workers; i++)
        list_init(&edition->retired[i]);
    edition->tls = mem_calloc(upstreams, sizeof(struct tls_client *));
    if (edition->tls != NULL && open_tls(edition, *snapshot, why, why_cap) &&
        numbering_take(&proxy->numbering, *snapshot) == ST_OK) {
        edition->snapshot = *snapshot;
        *snapshot = NULL;
        return edition;
    }
    close_tls(edition, upstreams);
    mem_free(edition);
    return NULL;
}

void edition_free(struct edition *edition)
{
    close_tls(edition, edition->snapshot->upstream_count);
    numbering_release(&edition->proxy->numbering, edition->snapshot);
    snapshot_free(edition->snapshot);
    mem_free(edition);
}

struct tls_client *edition_tls(const struct edition *edition, const struct upstream_config *upstream)
{
    return edition->tls[upstream - edition->snapshot->upstreams];
}

void edition_retire(struct edition *edition, struct proxy_worker *pw)
{
    list_push_back(&pw->retired, &edition->retired[pw->worker.index]);
}

/* A caller's connection may stand on it without a call: one that came in by a listener that is gone. */
static bool is_in_use(const struct edition *edition, const struct proxy_worker *pw)
{
    const struct snapshot *snapshot = edition->snapshot;

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

void edition_look_after(struct proxy_worker *pw)
{
    struct list_node *next = pw->retired.next;

    while (next != &pw->retired) {
        struct list_node *node = next;
        struct edition *edition = CONTAINER_OF(node - pw->worker.index, struct edition, retired);

        next = next->next;
        if (is_in_use(edition, pw))
            continue;
        list_remove(node);
        if (atomic_fetch_sub(&edition->users, 1) == 1)
            mailbox_post(pw->proxy->home, &edition->unused);
    }
}
