#include "runtime/buffer.h"

#include <string.h>

#include "base/mem.h"
#include "runtime/loop.h"

struct buffer_block {
    struct buffer_block *next;
};

/* What a loop keeps warm of each size: at most a MiB. */
static const struct {
    uint32_t size;
    uint32_t spare_max;
} kinds[BUFFER_KINDS] = {{BUFFER_SIZE, 64}, {BUFFER_LARGE, 16}};

static char *take_block(struct loop *loop, enum buffer_kind kind)
{
    struct buffer_spares *spares = &loop->spare_buffers[kind];
    struct buffer_block *block = spares->first;

    if (block == NULL)
        return mem_alloc(kinds[kind].size);
    spares->first = block->next;
    spares->count--;
    return (char *)block;
}

static void give_block(struct loop *loop, char *data, uint32_t cap)
{
    struct buffer_block *block = (struct buffer_block *)(void *)data;
    enum buffer_kind kind = cap == BUFFER_LARGE ? BUFFER_KIND_LARGE : BUFFER_KIND_USUAL;
    struct buffer_spares *spares = &loop->spare_buffers[kind];

    if (cap != kinds[kind].size || spares->count == kinds[kind].spare_max) {
        mem_free(data);
        return;
    }
    block->next = spares->first;
    spares->first = block;
    spares->count++;
}

static enum status open_block(struct loop *loop, struct buffer *buffer, enum buffer_kind kind)
{
    buffer->data = take_block(loop, kind);
    if (buffer->data == NULL)
        return ST_NOMEM;
    buffer->cap = kinds[kind].size;
    buffer->start = buffer->end = 0;
    return ST_OK;
}

enum status buffer_open(struct loop *loop, struct buffer *buffer)
{
    return buffer->data != NULL ? ST_OK : open_block(loop, buffer, BUFFER_KIND_USUAL);
}

enum status buffer_open_large(struct loop *loop, struct buffer *buffer)
{
    if (buffer_len(buffer) != 0 || buffer->cap >= BUFFER_LARGE)
        return buffer_open(loop, buffer);
    buffer_close(loop, buffer);
    return open_block(loop, buffer, BUFFER_KIND_LARGE);
}

void buffer_close(struct loop *loop, struct buffer *buffer)
{
    if (buffer->data != NULL)
        give_block(loop, buffer->data, buffer->cap);
    *buffer = (struct buffer){0};
}

void buffer_close_if_empty(struct loop *loop, struct buffer *buffer)
{
    if (buffer->start == buffer->end)
        buffer_close(loop, buffer);
}

static enum status enlarge(struct loop *loop, struct buffer *buffer, uint32_t max)
{
    uint32_t cap = buffer->cap > max / 2 ? max : 2 * buffer->cap;
    char *data;

    if (cap <= buffer->cap)
        return ST_LIMIT;
    data = mem_alloc(cap);
    if (data == NULL)
        return ST_NOMEM;
    memcpy(data, buffer->data, buffer->end);
    give_block(loop, buffer->data, buffer->cap);
    buffer->data = data;
    buffer->cap = cap;
    return ST_OK;
}

enum status buffer_make_room(struct loop *loop, struct buffer *buffer, uint32_t max)
{
    uint32_t len = buffer_len(buffer);

    if (buffer->end < buffer->cap)
        return ST_OK;
    if (buffer->start > 0) {
        memmove(buffer->data, buffer->data + buffer->start, len);
        buffer->start = 0;
        buffer->end = len;
        return ST_OK;
    }
    return enlarge(loop, buffer, max);
}

void buffer_drop_spares(struct loop *loop)
{
    for (enum buffer_kind kind = 0; kind < BUFFER_KINDS; kind++)
        while (loop->spare_buffers[kind].first != NULL)
            mem_free(take_block(loop, kind));
}
