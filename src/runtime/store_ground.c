#include "runtime/store_ground.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"

enum status store_ground_init(struct store_ground *ground, struct loop *loop, const struct store_spec *spec,
                              char *why, size_t why_cap)
{
    struct tls_spec tls = spec->tls;
    struct tls_fault fault;

    *ground = (struct store_ground){.loop = loop, .spec = spec};
    if (tls.server_name == NULL)
        tls.server_name = "";
    tls_trust_init(&ground->trust);
    if (spec->has_tls && tls_files_check(&tls, &ground->trust, &fault) != ST_OK) {
        snprintf(why, why_cap, "%s", fault.text);
        tls_trust_fini(&ground->trust);
        return ST_BAD;
    }
    ground->resolver = resolver_new(loop);
    if (ground->resolver == NULL) {
        snprintf(why, why_cap, "not enough memory");
        tls_trust_fini(&ground->trust);
        return ST_NOMEM;
    }
    address_book_init(&ground->book);
    return ST_OK;
}

void store_ground_fini(struct store_ground *ground)
{
    for (uint32_t i = 0; i < STORE_TLS_NAMES; i++) {
        PRE(ground->tls[i].users == 0);
        if (ground->tls[i].client != NULL)
            tls_client_free(ground->tls[i].client);
    }
    tls_trust_fini(&ground->trust);
    address_book_fini(&ground->book);
    resolver_free(ground->resolver);
}

/* One that has the name, or else one that nobody uses. NULL: all are used by others. */
static struct store_tls *place_for(struct store_ground *ground, const char *name)
{
    struct store_tls *idle = NULL;

    for (uint32_t i = 0; i < STORE_TLS_NAMES; i++) {
        struct store_tls *tls = &ground->tls[i];

        if (tls->client != NULL && strcmp(tls->name, name) == 0)
            return tls;
        if (tls->users == 0 && (idle == NULL || tls->client == NULL))
            idle = tls;
    }
    return idle;
}

static bool make(struct store_ground *ground, struct store_tls *tls, const char *name)
{
    struct tls_spec spec = ground->spec->tls;
    struct tls_fault fault;

    if (tls->client != NULL)
        tls_client_free(tls->client);
    spec.server_name = name;
    snprintf(tls->name, sizeof(tls->name), "%s", name);
    tls->client = tls_client_new(&spec, ground->loop->index + 1, &ground->trust, &fault);
    return tls->client != NULL;
}

struct store_tls *store_tls_acquire(struct store_ground *ground, const char *host)
{
    const char *name = ground->spec->tls.server_name != NULL ? ground->spec->tls.server_name : host;
    struct store_tls *tls = place_for(ground, name);

    if (tls == NULL || ((tls->client == NULL || strcmp(tls->name, name) != 0) && !make(ground, tls, name)))
        return NULL;
    tls->users++;
    return tls;
}

void store_tls_release(struct store_tls *tls)
{
    PRE(tls->users > 0);
    tls->users--;
}

uint64_t store_random(struct store_ground *ground)
{
    uint64_t word;

    return entropy_take(&ground->entropy, &word, 1) ? word : 0;
}
