#ifndef CURFEW_PAGE_ASSETS_H
#define CURFEW_PAGE_ASSETS_H

#include <stdbool.h>

#include "base/span.h"

/*
 * The files of the page, which are part of the binary: those of src/page, and Chart.js, which Makefile finds and
 * compresses.
 */
enum asset { ASSET_INDEX, ASSET_STYLE, ASSET_SCRIPT, ASSET_CHART, ASSET_ICON, ASSET_COUNT };

struct span asset_bytes(enum asset asset);
/* Media type. */
const char *asset_type(enum asset asset);
/* Are the bytes compressed (RFC 9110 8.4.1.3)? */
bool asset_is_gzip(enum asset asset);

#endif
