/* Names that a forward proxy's callers may go to. */
#include "core/destination.h"

#include <string.h>

#include "base/invariant.h"

bool host_pattern_has(const struct host_pattern *pattern, struct span host)
{
    size_t len = pattern->text.len;

    if (!pattern->is_suffix)
        return span_eq(pattern->text, host);
    return len == 0 ||
           (host.len > len && span_eq(pattern->text, (struct span){host.ptr + (host.len - len), len}));
}

static bool has(const struct destination_hosts *entry, struct span host)
{
    for (uint32_t i = 0; i < entry->count; i++)
        if (host_pattern_has(&entry->patterns[i], host))
            return true;
    return false;
}

uint32_t destination_find(const struct destination_hosts *entries, uint32_t count, struct span host)
{
    uint32_t i = 0;

    while (i < count && !has(&entries[i], host))
        i++;
    POST(i <= count);
    return i;
}

enum host_pattern_fault host_pattern_read(struct span text, struct host_pattern *out)
{
    *out = (struct host_pattern){.text = text};
    if (text.len == 0)
        return HOST_PATTERN_EMPTY;
    if (span_eq(text, SPAN_LIT("*.")))
        return HOST_PATTERN_STAR;
    if (text.len > 1 && text.ptr[text.len - 1] == '.')
        out->text.len--;
    if (text.ptr[0] == '*') {
        out->is_suffix = true;
        out->text.ptr++;
        out->text.len--;
        if (out->text.len != 0 && (out->text.ptr[0] != '.' || out->text.len == 1))
            return HOST_PATTERN_STAR;
    }
    return out->text.len != 0 && memchr(out->text.ptr, '*', out->text.len) != NULL ? HOST_PATTERN_STAR
                                                                                   : HOST_PATTERN_OK;
}
