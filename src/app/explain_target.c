#include "app/explain_target.h"

#include <stdio.h>
#include <string.h>

#include "config/address.h"
#include "config/suggest.h"
#include "config/url.h"

static char why[512];

/* The URL in its parts; of a path alone, `authority` is empty. */
struct parts {
    bool is_https;
    struct span authority;
    struct span path;
};

static bool take_prefix(struct span *s, struct span prefix)
{
    if (s->len < prefix.len || !span_eq_nocase((struct span){s->ptr, prefix.len}, prefix))
        return false;
    s->ptr += prefix.len;
    s->len -= prefix.len;
    return true;
}

/* A fragment stays with the client (RFC 9110 7.1). */
static struct span without_fragment(struct span s)
{
    const char *hash = memchr(s.ptr, '#', s.len);

    return hash ? (struct span){s.ptr, (size_t)(hash - s.ptr)} : s;
}

static const char *split(const char *url, struct parts *out)
{
    struct span rest = without_fragment(span_of(url));

    *out = (struct parts){.path = rest};
    if (rest.len != 0 && rest.ptr[0] == '/')
        return NULL;
    out->is_https = take_prefix(&rest, SPAN_LIT("https://"));
    if (!out->is_https && !take_prefix(&rest, SPAN_LIT("http://")))
        return "an URL begins with http:// or https://, and a path with /";
    out->authority = rest;
    out->authority.len = strcspn(rest.ptr, "/?#");
    out->path = (struct span){rest.ptr + out->authority.len, rest.len - out->authority.len};
    if (out->path.len == 0)
        out->path = SPAN_LIT("/");
    return out->authority.len != 0 ? NULL : "the URL has no host";
}

/* Would a connection to `to` be taken by somebody who listens at `at`? */
static bool is_reached_by(const struct endpoint *at, const struct endpoint *to)
{
    static const uint8_t any[16];
    size_t len = at->family == ENDPOINT_IPV4 ? 4 : 16;

    if (at->family != to->family || at->family == ENDPOINT_UNIX || at->port != to->port)
        return false;
    return memcmp(at->ip, to->ip, len) == 0 || memcmp(at->ip, any, len) == 0;
}

static bool find_listener(const struct snapshot *snapshot, const struct parts *parts,
                          struct explain_target *out)
{
    char text[300];
    struct endpoint to;

    snprintf(text, sizeof(text), "%.*s", SPAN_FMT(parts->authority));
    if (address_parse(text, &to) != NULL)
        return false;
    for (uint32_t u = 0; u < snapshot->upstream_count; u++) {
        const struct upstream_config *upstream = &snapshot->upstreams[u];

        for (uint32_t i = 0; i < upstream->listen_count; i++) {
            if (upstream_listens_by_tls(upstream, &upstream->listen[i]) == parts->is_https &&
                is_reached_by(&upstream->listen[i], &to)) {
                out->upstream = upstream;
                out->listener = &upstream->listen[i];
                return true;
            }
        }
    }
    return false;
}

/* Is it an URL of the upstream's API? Then *path is what a caller asks curfew for to get there. */
static bool is_of_api(const struct upstream_config *upstream, const struct parts *parts, struct span *path)
{
    struct span base = upstream->rules.base_path, rest = parts->path;
    char text[300];
    struct url url;

    snprintf(text, sizeof(text), "%s%.*s", parts->is_https ? "https://" : "http://",
             SPAN_FMT(parts->authority));
    if (url_parse(span_of(text), &url) != NULL || url.is_https != upstream->tls.enabled ||
        url.port != upstream->origin.port || !span_eq_nocase(url.host, span_of(upstream->origin.host)))
        return false;
    if (rest.len < base.len || !span_eq((struct span){rest.ptr, base.len}, base))
        return false;
    rest = (struct span){rest.ptr + base.len, rest.len - base.len};
    if (rest.len != 0 && base.len != 0 && rest.ptr[0] != '/' && rest.ptr[0] != '?')
        return false;
    *path = rest.len != 0 ? rest : SPAN_LIT("/");
    return true;
}

static const char *list_upstreams(const struct snapshot *snapshot, const char *problem)
{
    struct text text = text_over(why, sizeof(why) - 1);

    text_put(&text, span_of(problem));
    TEXT_LIT(&text, "; choose one by --upstream:");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        TEXT_LIT(&text, " ");
        text_put(&text, span_of(snapshot->upstreams[i].name));
    }
    why[text.len] = '\0';
    return why;
}

static const char *find_by_api(const struct snapshot *snapshot, const struct parts *parts,
                               struct explain_target *out)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        struct span path;

        if (!is_of_api(&snapshot->upstreams[i], parts, &path))
            continue;
        if (out->upstream)
            return list_upstreams(snapshot, "more than one upstream leads there");
        out->upstream = &snapshot->upstreams[i];
        out->path = path;
    }
    return out->upstream ? NULL : list_upstreams(snapshot, "no upstream listens there or leads there");
}

static const char *find_by_name(const struct snapshot *snapshot, const struct parts *parts, const char *name,
                                struct explain_target *out)
{
    struct suggestion suggestion = suggest_for(span_of(name));

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        suggest_offer(&suggestion, span_of(upstream->name));
        if (strcmp(upstream->name, name) != 0)
            continue;
        out->upstream = upstream;
        if (parts->authority.len != 0)
            (void)is_of_api(upstream, parts, &out->path); /* else the path stands as it is */
        return NULL;
    }
    snprintf(why, sizeof(why), "there is no upstream \"%.64s\"%s", name, suggest_text(&suggestion).text);
    return why;
}

const char *explain_find(const struct snapshot *snapshot, const char *url, const char *upstream_name,
                         struct explain_target *out)
{
    struct parts parts;
    const char *problem = split(url, &parts);

    *out = (struct explain_target){NULL, NULL, parts.path};
    if (problem)
        return problem;
    if (upstream_name)
        return find_by_name(snapshot, &parts, upstream_name, out);
    if (parts.authority.len != 0)
        return find_listener(snapshot, &parts, out) ? NULL : find_by_api(snapshot, &parts, out);
    if (snapshot->upstream_count != 1)
        return list_upstreams(snapshot, "a path alone does not say whose it is");
    out->upstream = &snapshot->upstreams[0];
    return NULL;
}
