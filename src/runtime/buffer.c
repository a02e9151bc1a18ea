#include "runtime/buffer.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

struct buffer_block {
    struct buffer_block *next;
};

/* What is kept warm of each size for a loop: at most a MiB. */
static const struct {
    uint32_t size;
    uint32_t spare_max;
} kinds[BUFFER_KINDS] = {{BUFFER_SIZE, 64}, {BUFFER_LARGE, 16}};

static char *take_block(struct buffer_spares *spares, enum buffer_kind kind)
{
    struct buffer_stack *stack = &spares->of[kind];
    struct buffer_block *block = stack->first;

    if (block == NULL)
        return mem_alloc(kinds[kind].size);
    PRE(stack->count > 0);
    stack->first = block->next;
    stack->count--;
    return (char *)block;
}

static void give_block(struct buffer_spares *spares, char *data, uint32_t cap)
{
    struct buffer_block *block = (struct buffer_block *)(void *)data;
    enum buffer_kind kind = cap == BUFFER_LARGE ? BUFFER_KIND_LARGE : BUFFER_KIND_USUAL;
    struct buffer_stack *stack = &spares->of[kind];

    if (cap != kinds[kind].size || stack->count == kinds[kind].spare_max) {
        mem_free(data);
        return;
    }
    block->next = stack->first;
    stack->first = block;
    stack->count++;
}

static enum status open_block(struct buffer_spares *spares, struct buffer *buffer, enum buffer_kind kind)
{
    PRE(buffer->data == NULL); /* or that block would be lost */
    buffer->data = take_block(spares, kind);
    if (buffer->data == NULL)
        return ST_NOMEM;
    buffer->cap = kinds[kind].size;
    buffer->start = buffer->end = 0;
    return ST_OK;
}

enum status buffer_open(struct buffer_spares *spares, struct buffer *buffer)
{
    return buffer->data != NULL ? ST_OK : open_block(spares, buffer, BUFFER_KIND_USUAL);
}

enum status buffer_open_large(struct buffer_spares *spares, struct buffer *buffer)
{
    if (buffer_len(buffer) != 0 || buffer->cap >= BUFFER_LARGE)
        return buffer_open(spares, buffer);
    buffer_close(spares, buffer);
    return open_block(spares, buffer, BUFFER_KIND_LARGE);
}

void buffer_close(struct buffer_spares *spares, struct buffer *buffer)
{
    if (buffer->data != NULL)
        give_block(spares, buffer->data, buffer->cap);
    *buffer = (struct buffer){0};
}

void buffer_close_if_empty(struct buffer_spares *spares, struct buffer *buffer)
{
    if (buffer->start == buffer->end)
        buffer_close(spares, buffer);
}

static uint32_t doubled(uint32_t cap, uint32_t max)
{
    return cap > max / 2 ? max : 2 * cap;
}

/* Into a block of `cap` bytes. */
static enum status enlarge(struct buffer_spares *spares, struct buffer *buffer, uint32_t cap)
{
    char *data;

    PRE(buffer->start == 0); /* nothing smaller would do */
    if (cap <= buffer->cap)
        return ST_LIMIT;
    data = mem_alloc(cap);
    if (data == NULL)
        return ST_NOMEM;
    memcpy(data, buffer->data, buffer->end);
    give_block(spares, buffer->data, buffer->cap);
    buffer->data = data;
    buffer->cap = cap;
    return ST_OK;
}

static void move_to_front(struct buffer *buffer)
{
    uint32_t len = buffer_len(buffer);

    memmove(buffer->data, buffer->data + buffer->start, len);
    buffer->start = 0;
    buffer->end = len;
}

enum status buffer_make_room(struct buffer_spares *spares, struct buffer *buffer, uint32_t max)
{
    PRE(buffer->data != NULL && buffer->start <= buffer->end && buffer->end <= buffer->cap);
    if (buffer->end < buffer->cap)
        return ST_OK;
    if (buffer->start > 0) {
        move_to_front(buffer);
        return ST_OK;
    }
    return enlarge(spares, buffer, doubled(buffer->cap, max));
}

enum status buffer_reserve(struct buffer_spares *spares, struct buffer *buffer, size_t len, uint32_t max)
{
    enum status status = buffer_open(spares, buffer);
    uint32_t cap = buffer->cap;

    if (status != ST_OK || cap - buffer->end >= len)
        return status;
    if (len > max || buffer_len(buffer) > max - len)
        return ST_LIMIT;
    move_to_front(buffer);
    while (cap - buffer->end < len)
        cap = doubled(cap, max);
    return cap == buffer->cap ? ST_OK : enlarge(spares, buffer, cap);
}

void buffer_drop_spares(struct buffer_spares *spares)
{
    for (enum buffer_kind kind = 0; kind < BUFFER_KINDS; kind++)
        while (spares->of[kind].first != NULL)
            mem_free(take_block(spares, kind));
}
