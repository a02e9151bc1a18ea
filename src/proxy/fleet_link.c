#include "proxy/fleet_link.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/arena.h"

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_same_tls(const struct tls_spec *a, const struct tls_spec *b)
{
    return is_same_text(a->ca_file, b->ca_file) && is_same_text(a->cert_file, b->cert_file) &&
           is_same_text(a->key_file, b->key_file) && is_same_text(a->server_name, b->server_name) &&
           a->offer == b->offer && a->renegotiate == b->renegotiate && a->min_version == b->min_version;
}

/* Of TLS the files are read at each reload: what is in them may be new. */
bool fleet_link_is_to(const struct fleet_link *link, const struct store_spec *b)
{
    const struct store_spec *a = &link->spec;
    bool is_same = a->place_count == b->place_count && is_same_text(a->sentinel, b->sentinel) &&
                   a->database == b->database && is_same_text(a->user, b->user) &&
                   is_same_text(a->password_file, b->password_file) && a->has_tls == b->has_tls &&
                   !a->has_tls && is_same_tls(&a->tls, &b->tls) && a->timeout_ns == b->timeout_ns;

    for (uint32_t i = 0; is_same && i < a->place_count; i++)
        is_same = is_same_text(a->places[i].host, b->places[i].host) &&
                  a->places[i].port == b->places[i].port &&
                  is_same_text(a->places[i].path, b->places[i].path);
    return is_same;
}

static bool copy_text(struct arena *arena, const char **text)
{
    if (*text != NULL)
        *text = arena_text(arena, span_of(*text));
    return *text != NULL;
}

/* The snapshot that it stands in goes with a reload. */
static bool copy_spec(struct arena *arena, const struct store_spec *from, struct store_spec *to)
{
    const char **const texts[] = {&to->sentinel,       &to->user,          &to->password_file,
                                  &to->tls.ca_file,    &to->tls.cert_file, &to->tls.key_file,
                                  &to->tls.server_name};
    struct store_place *places = arena_calloc(arena, from->place_count, sizeof(*places));

    if (places == NULL)
        return false;
    *to = *from;
    to->places = places;
    for (uint32_t i = 0; i < from->place_count; i++) {
        places[i] = from->places[i];
        if ((places[i].host != NULL && !copy_text(arena, &places[i].host)) ||
            (places[i].path != NULL && !copy_text(arena, &places[i].path)))
            return false;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (*texts[i] != NULL && !copy_text(arena, texts[i]))
            return false;
    return true;
}

struct fleet_link *fleet_link_new(struct loop *loop, const struct store_spec *spec,
                                  const struct store_events *events, void *arg, char *why, size_t why_cap)
{
    struct fleet_link *link = mem_zalloc(sizeof(*link));

    snprintf(why, why_cap, "not enough memory");
    if (link == NULL)
        return NULL;
    link->arg = arg;
    link->arena = arena_new();
    if (link->arena != NULL && copy_spec(link->arena, spec, &link->spec)) {
        link->store = store_new(loop, &link->spec, events, link, why, why_cap);
        if (link->store != NULL)
            return link;
    }
    fleet_link_free(link);
    return NULL;
}

void fleet_link_free(struct fleet_link *link)
{
    if (link == NULL)
        return;
    if (link->store != NULL)
        store_free(link->store);
    arena_free(link->arena);
    mem_free(link);
}
