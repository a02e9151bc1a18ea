#include "page/assets.h"

/*
 * The assembler puts the files in, byte for byte; make runs it where the tree begins, and says where it has put
 * Chart.js.
 */
#define EMBED(name, path)                                                                                    \
    __asm__(".pushsection .rodata\n" #name "_start: .incbin \"" path "\"\n" #name "_end: .popsection\n");    \
    extern const char name##_start[], name##_end[]

EMBED(asset_index, "src/page/index.html");
EMBED(asset_style, "src/page/page.css");
EMBED(asset_script, "src/page/page.js");
EMBED(asset_chart, CHART_JS_GZ);
EMBED(asset_icon, "src/page/icon.svg");

static const struct {
    const char *start, *end, *type;
    bool is_gzip;
} assets[ASSET_COUNT] = {
    [ASSET_INDEX] = {asset_index_start, asset_index_end, "text/html; charset=utf-8", false},
    [ASSET_STYLE] = {asset_style_start, asset_style_end, "text/css; charset=utf-8", false},
    [ASSET_SCRIPT] = {asset_script_start, asset_script_end, "text/javascript; charset=utf-8", false},
    [ASSET_CHART] = {asset_chart_start, asset_chart_end, "text/javascript; charset=utf-8", true},
    [ASSET_ICON] = {asset_icon_start, asset_icon_end, "image/svg+xml", false},
};

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
