#include "http/head_copy.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

/* The bytes of the copy: the block is a head, its fields, and then these. */
struct room {
    char *at;
    size_t left;
};

static struct span put(struct room *room, struct span bytes)
{
    struct span copy = {room->at, bytes.len};

    PRE(bytes.len <= room->left);
    if (bytes.len != 0)
        memcpy(room->at, bytes.ptr, bytes.len);
    room->at += bytes.len;
    room->left -= bytes.len;
    return copy;
}

/* The span of the line's copy that `part` is of the line. */
static struct span same_part(struct span copy, struct span line, struct span part)
{
    PRE(part.ptr >= line.ptr && part.ptr + part.len <= line.ptr + line.len);
    return (struct span){copy.ptr + (part.ptr - line.ptr), part.len};
}

static struct http1_field copy_field(struct room *room, const struct http1_field *field)
{
    struct http1_field copy = *field;

    copy.line = put(room, field->line);
    copy.name = same_part(copy.line, field->line, field->name);
    copy.value = same_part(copy.line, field->line, field->value);
    return copy;
}

struct http1_head *http1_head_copy(const struct http1_head *response)
{
    size_t fields_size = response->field_count * sizeof(struct http1_field);
    struct room room = {.left = response->reason.len};
    struct http1_head *copy;

    for (uint32_t i = 0; i < response->field_count; i++)
        room.left += response->fields[i].line.len;
    copy = mem_alloc(sizeof(*copy) + fields_size + room.left);
    if (copy == NULL)
        return NULL;
    *copy = *response;
    copy->fields = (struct http1_field *)(copy + 1);
    copy->field_cap = response->field_count;
    room.at = (char *)(copy->fields + response->field_count);
    copy->reason = put(&room, response->reason);
    for (uint32_t i = 0; i < response->field_count; i++)
        copy->fields[i] = copy_field(&room, &response->fields[i]);
    POST(room.left == 0);
    return copy;
}
