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

bool page_is_wanted(struct admin_request *request)
{
    const char *accept = request->fields[REQUEST_ACCEPT];

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

static bool has_it(struct admin_request *request, const char *etag)
{
    const char *known = request->fields[REQUEST_IF_NONE_MATCH];

    return known != NULL && strstr(known, etag) != NULL;
}

static void add_lines(struct admin_request *request, enum asset asset, const char *etag)
{
    request_add_line(request, "ETag", etag);
    request_add_line(request, "Cache-Control", "no-cache");
    request_add_line(request, "Content-Security-Policy", policy);
    request_add_line(request, "X-Frame-Options", "DENY");
    request_add_line(request, "Referrer-Policy", "no-referrer");
    if (asset == ASSET_INDEX)
        request_add_line(request, "Vary", "Accept");
    if (asset_is_gzip(asset))
        request_add_line(request, "Content-Encoding", "gzip");
}

void page_respond(struct admin_request *request, enum asset asset)
{
    struct span bytes = asset_bytes(asset);
    char etag[24];

    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)hash_of(HASH_OF_NOTHING, bytes));
    add_lines(request, asset, etag);
    respond_fixed(request, has_it(request, etag) ? 304 : 200, asset_type(asset), bytes);
}
