#include "page/assets.h"

/* The assembler puts the files in, byte for byte. make runs it where the tree begins, and says where Chart.js is. */
#define ASSET(id, name, path, type, is_gzip)                                                                 \
    __asm__(".pushsection .rodata\nasset_" #id "_start: .incbin \"" path "\"\nasset_" #id                    \
            "_end: .popsection\n");                                                                          \
    extern const char asset_##id##_start[], asset_##id##_end[];
#include "page/assets.def"
#undef ASSET

static const struct {
    const char *name, *start, *end, *type;
    bool is_gzip;
} assets[ASSET_COUNT] = {
#define ASSET(id, name, path, type, is_gzip) {name, asset_##id##_start, asset_##id##_end, type, is_gzip},
#include "page/assets.def"
#undef ASSET
};

bool asset_find(const char *name, enum asset *asset)
{
    for (*asset = 0; *asset < ASSET_COUNT; (*asset)++)
        if (strcmp(assets[*asset].name, name) == 0)
            return true;
    return false;
}

struct span asset_bytes(enum asset asset)
{
    return (struct span){assets[asset].start, (size_t)(assets[asset].end - assets[asset].start)};
}

const char *asset_type(enum asset asset)
{
    return assets[asset].type;
}

bool asset_is_gzip(enum asset asset)
{
    return assets[asset].is_gzip;
}
