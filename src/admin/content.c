#include "admin/content.h"

#include <string.h>

#include "base/mem.h"

#define FIRST_BYTES 4096

static bool make_room(struct content *content, size_t len)
{
    size_t cap = content->cap != 0 ? content->cap : FIRST_BYTES;
    char *bytes;

    while (cap - content->len < len)
        cap *= 2;
    if (cap == content->cap)
        return true;
    bytes = mem_realloc(content->bytes, cap);
    if (bytes == NULL)
        return false;
    content->bytes = bytes;
    content->cap = cap;
    return true;
}

void content_add(struct content *content, struct span bytes)
{
    if (content->is_incomplete || !make_room(content, bytes.len)) {
        content->is_incomplete = true;
        return;
    }
    memcpy(content->bytes + content->len, bytes.ptr, bytes.len);
    content->len += bytes.len;
}

void content_fini(struct content *content)
{
    mem_free(content->bytes);
    *content = (struct content){0};
}
