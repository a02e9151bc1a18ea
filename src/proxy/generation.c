#include "proxy/generation.h"

#include <stdio.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

/* The last worker has done with it. */
static void unused(struct mail *mail)
{
    struct generation *generation = CONTAINER_OF(mail, struct generation, unused);

    PRE(atomic_load(&generation->users) == 0 && generation != generation->proxy->generation);
    list_remove(&generation->node);
    generation_free(generation);
}

/* "upstreams.payments.tls.ca_file: /x.pem: No such file or directory" */
static struct tls_client *open_tls_client(const struct generation *generation,
                                          const struct upstream_config *upstream, struct tls_trust *trust,
                                          char *why, size_t why_cap)
{
    static const char *const keys[] = {[TLS_NO_FILE] = "",
                                       [TLS_CA_FILE] = ".ca_file",
                                       [TLS_CERT_FILE] = ".cert_file",
                                       [TLS_KEY_FILE] = ".key_file"};
    struct tls_fault fault;
    struct tls_client *client =
        tls_client_new(&upstream->tls.spec, generation->proxy->worker_count, trust, &fault);

    if (client == NULL)
        snprintf(why, why_cap, "upstreams.%s.tls%s: %s", upstream->name, keys[fault.file], fault.text);
    return client;
}

static struct tls_server *open_tls_server(const struct generation *generation,
                                          const struct upstream_config *upstream, char *why, size_t why_cap)
{
    static const char *const keys[] = {[TLS_NO_FILE] = "",
                                       [TLS_CA_FILE] = ".client_ca_file",
                                       [TLS_CERT_FILE] = ".cert_file",
                                       [TLS_KEY_FILE] = ".key_file"};
    struct tls_fault fault;
    struct tls_server *server =
        tls_server_new(&upstream->caller_tls.spec, generation->proxy->worker_count, &fault);

    if (server == NULL)
        snprintf(why, why_cap, "upstreams.%s.caller_tls%s: %s", upstream->name, keys[fault.file], fault.text);
    return server;
}

static bool open_each_tls(struct generation *generation, const struct snapshot *snapshot,
                          struct tls_trust *trust, char *why, size_t why_cap)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (upstream->tls.enabled &&
            (generation->tls[i] = open_tls_client(generation, upstream, trust, why, why_cap)) == NULL)
            return false;
        if (upstream->caller_tls.enabled &&
            (generation->caller_tls[i] = open_tls_server(generation, upstream, why, why_cap)) == NULL)
            return false;
    }
    return true;
}

static bool open_tls(struct generation *generation, const struct snapshot *snapshot, char *why,
                     size_t why_cap)
{
    struct tls_trust trust;
    bool is_open;

    tls_trust_init(&trust);
    is_open = open_each_tls(generation, snapshot, &trust, why, why_cap);
    tls_trust_fini(&trust);
    return is_open;
}

static void close_tls(struct generation *generation, uint32_t count)
{
    for (uint32_t i = 0; generation->tls != NULL && i < count; i++)
        if (generation->tls[i] != NULL)
            tls_client_free(generation->tls[i]);
    for (uint32_t i = 0; generation->caller_tls != NULL && i < count; i++)
        if (generation->caller_tls[i] != NULL)
            tls_server_release(generation->caller_tls[i]);
    mem_free(generation->caller_tls);
    mem_free(generation->tls);
}

static void init_worker(struct generation_worker *part, struct generation *generation,
                        const struct snapshot *snapshot)
{
    part->terms = (struct call_terms){
        .snapshot = snapshot, .tls = generation->tls, .caller_tls = generation->caller_tls};
    part->generation = generation;
    list_init(&part->node);
}

struct generation *generation_new(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap)
{
    uint32_t workers = proxy->worker_count, upstreams = (*snapshot)->upstream_count;
    struct generation *generation =
        mem_zalloc(sizeof(*generation) + workers * sizeof(struct generation_worker));

    snprintf(why, why_cap, "not enough memory");
    if (generation == NULL)
        return NULL;
    generation->proxy = proxy;
    list_init(&generation->node);
    atomic_init(&generation->users, workers);
    mail_init(&generation->unused, unused);
    generation->tls = mem_calloc(upstreams, sizeof(struct tls_client *));
    generation->caller_tls = mem_calloc(upstreams, sizeof(struct tls_server *));
    for (uint32_t i = 0; i < workers; i++)
        init_worker(&generation->workers[i], generation, *snapshot);
    if (generation->tls != NULL && generation->caller_tls != NULL &&
        open_tls(generation, *snapshot, why, why_cap) &&
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

struct call_terms *generation_terms(struct generation *generation, const struct worker *pw)
{
    PRE(pw->loop.index < generation->proxy->worker_count);
    return &generation->workers[pw->loop.index].terms;
}

void generation_retire(struct generation *generation, struct worker *pw)
{
    PRE(loop_is_own(&pw->loop) && list_is_empty(&generation->workers[pw->loop.index].node)); /* once */
    list_push_back(&pw->retired, &generation->workers[pw->loop.index].node);
}

void generation_look_after(struct worker *pw)
{
    struct list_node *next = pw->retired.next;

    while (next != &pw->retired) {
        struct generation_worker *part = CONTAINER_OF(next, struct generation_worker, node);
        struct generation *generation = part->generation;

        next = next->next;
        if (part->terms.users != 0)
            continue;
        PRE(generation != pw->generation && atomic_load(&generation->users) > 0);
        list_remove(&part->node);
        if (atomic_fetch_sub(&generation->users, 1) == 1)
            mailbox_post(pw->proxy->home, &generation->unused);
    }
}
