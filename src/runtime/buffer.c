#include "runtime/buffer.h"

#include <string.h>

#include "base/mem.h"
#include "runtime/worker.h"

#define SPARE_BUFFERS_MAX 64u

struct buffer_block {
    struct buffer_block *next;
};

static char *take_block(struct worker *worker)
{
    struct buffer_block *block = worker->spare_buffers;

    if (block == NULL)
        return mem_alloc(BUFFER_SIZE);
    worker->spare_buffers = block->next;
    worker->spare_buffer_count--;
    return (char *)block;
}

static void give_block(struct worker *worker, char *data, uint32_t cap)
{
    struct buffer_block *block = (struct buffer_block *)(void *)data;

    if (cap != BUFFER_SIZE || worker->spare_buffer_count == SPARE_BUFFERS_MAX) {
        mem_free(data);
        return;
    }
    block->next = worker->spare_buffers;
    worker->spare_buffers = block;
    worker->spare_buffer_count++;
}

enum status buffer_open(struct worker *worker, struct buffer *buffer)
{
    if (buffer->data != NULL)
        return ST_OK;
    buffer->data = take_block(worker);
    if (buffer->data == NULL)
        return ST_NOMEM;
    buffer->cap = BUFFER_SIZE;
    buffer->start = buffer->end = 0;
    return ST_OK;
}

void buffer_close(struct worker *worker, struct buffer *buffer)
{
    if (buffer->data != NULL)
        give_block(worker, buffer->data, buffer->cap);
    *buffer = (struct buffer){0};
}

void buffer_close_if_empty(struct worker *worker, struct buffer *buffer)
{
    if (buffer->start == buffer->end)
        buffer_close(worker, buffer);
}

static enum status enlarge(struct worker *worker, struct buffer *buffer, uint32_t max)
{
    uint32_t cap = buffer->cap > max / 2 ? max : 2 * buffer->cap;
    char *data;

    if (cap <= buffer->cap)
        return ST_LIMIT;
    data = mem_alloc(cap);
    if (data == NULL)
        return ST_NOMEM;
    memcpy(data, buffer->data, buffer->end);
    give_block(worker, buffer->data, buffer->cap);
    buffer->data = data;
    buffer->cap = cap;
    return ST_OK;
}

enum status buffer_make_room(struct worker *worker, struct buffer *buffer, uint32_t max)
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
    return enlarge(worker, buffer, max);
}

void buffer_drop_spares(struct worker *worker)
{
    while (worker->spare_buffers != NULL)
        mem_free(take_block(worker));
}
