#include "admin/page.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "admin/respond.h"
#include "base/hash.h"
#include "base/span.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool page_is_wanted(struct evhttp_request *request)
{
    const char *accept = evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");

    return accept != NULL && strstr(accept, "text/html") != NULL;
}

static uint64_t hash_of(uint64_t before, struct span bytes)
{
    return hash_bytes(before, bytes.ptr, bytes.len);
}

void page_edition(char out[PAGE_EDITION_LEN + 1])
{
    uint64_t value = HASH_OF_NOTHING;

    for (enum asset asset = 0; asset < ASSET_COUNT; asset++)
        value = hash_of(value, asset_bytes(asset));
    snprintf(out, PAGE_EDITION_LEN + 1, "%016llx", (unsigned long long)value);
}

static bool has_it(struct evhttp_request *request, const char *etag)
{
    const char *known = evhttp_find_header(evhttp_request_get_input_headers(request), "If-None-Match");

    return known != NULL && strstr(known, etag) != NULL;
}

static void put_fields(struct evkeyvalq *fields, enum asset asset, const char *etag)
{
    evhttp_add_header(fields, "ETag", etag);
    evhttp_add_header(fields, "Cache-Control", "no-cache");
    evhttp_add_header(fields, "Content-Security-Policy", policy);
    evhttp_add_header(fields, "X-Frame-Options", "DENY");
    evhttp_add_header(fields, "Referrer-Policy", "no-referrer");
    if (asset == ASSET_INDEX)
        evhttp_add_header(fields, "Vary", "Accept");
    if (asset_is_gzip(asset))
        evhttp_add_header(fields, "Content-Encoding", "gzip");
}

void page_respond(struct evhttp_request *request, enum asset asset)
{
    struct span bytes = asset_bytes(asset);
    struct evbuffer *content = evbuffer_new();
    char etag[24];

    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)hash_of(HASH_OF_NOTHING, bytes));
    if (content == NULL || evbuffer_add_reference(content, bytes.ptr, bytes.len, NULL, NULL) < 0) {
        respond_problem(request, 503, "There is not enough memory for this answer.");
    } else {
        put_fields(evhttp_request_get_output_headers(request), asset, etag);
        respond(request, has_it(request, etag) ? 304 : 200, asset_type(asset), content);
    }
    if (content != NULL)
        evbuffer_free(content);
}
