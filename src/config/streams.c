#include "config/streams.h"

bool streams_take(const struct streams_config *streams, struct span content_type)
{
    const char *semicolon = memchr(content_type.ptr, ';', content_type.len);
    struct span type = content_type;

    if (semicolon != NULL)
        type.len = (size_t)(semicolon - content_type.ptr);
    type = span_trim(type);
    for (uint32_t i = 0; i < streams->type_count; i++) {
        if (span_eq_nocase(streams->types[i], type))
            return true;
    }
    return false;
}
