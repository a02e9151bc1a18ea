#ifndef CURFEW_PAGE_ASSETS_H
#define CURFEW_PAGE_ASSETS_H

#include <stdbool.h>

#include "base/span.h"

/*
 * The files of the page, which are part of the binary: those of src/page, and Chart.js, which Makefile finds and
 * compresses.
 */
enum asset {
#define ASSET(id, name, path, type, is_gzip) ASSET_##id,
#include "page/assets.def"
#undef ASSET
    ASSET_COUNT
};

/* The file of this name. False: there is none. */
bool asset_find(const char *name, enum asset *asset) __attribute__((warn_unused_result));

struct span asset_bytes(enum asset asset);
/* Media type. */
const char *asset_type(enum asset asset);
/* Are the bytes compressed (RFC 9110 8.4.1.3)? */
bool asset_is_gzip(enum asset asset);

#endif
