#include "runtime/store_reader.h"

#include <hiredis/read.h>

#include "base/mem.h"

/*
 * hiredis calls for an object for each part of an answer, the outer before the inner ones. The outermost is a block of
 * its own; those of a list are in one block of the list's, and a text has its bytes in another.
 */

static struct store_reply *place_of(const redisReadTask *task)
{
    struct store_reply *list = task->parent != NULL ? task->parent->obj : NULL;

    return list != NULL ? &list->items[task->idx] : mem_zalloc(sizeof(struct store_reply));
}

static void free_parts(struct store_reply *reply)
{
    for (uint32_t i = 0; i < reply->count; i++)
        free_parts(&reply->items[i]);
    mem_free(reply->items);
    mem_free((char *)(uintptr_t)reply->text.ptr);
}

static void free_reply(void *object)
{
    if (object == NULL)
        return;
    free_parts(object);
    mem_free(object);
}

/* Of what belongs to a list, the list frees the rest. */
static void *give_up(const redisReadTask *task, struct store_reply *reply)
{
    if (task->parent == NULL)
        free_reply(reply);
    return NULL;
}

static void *make_text(const redisReadTask *task, char *bytes, size_t len)
{
    struct store_reply *reply = place_of(task);

    if (reply == NULL)
        return NULL;
    reply->kind = task->type == REDIS_REPLY_ERROR ? STORE_ERROR : STORE_TEXT;
    reply->text.ptr = mem_dup(bytes, len);
    if (reply->text.ptr == NULL)
        return give_up(task, reply);
    reply->text.len = len;
    return reply;
}

static void *make_list(const redisReadTask *task, int count)
{
    struct store_reader *reader = task->privdata;
    struct store_reply *reply;

    if (count < 0 || (uint32_t)count > STORE_ITEMS_MAX - reader->items) {
        reader->why = "an answer with too many items";
        return NULL;
    }
    reader->items += (uint32_t)count;
    reply = place_of(task);
    if (reply == NULL)
        return NULL;
    reply->kind = STORE_LIST;
    reply->items = mem_calloc((size_t)count, sizeof(*reply->items));
    if (reply->items == NULL)
        return give_up(task, reply);
    reply->count = (uint32_t)count;
    return reply;
}

static void *make_number(const redisReadTask *task, long long number)
{
    struct store_reply *reply = place_of(task);

    if (reply == NULL)
        return NULL;
    reply->kind = STORE_NUMBER;
    reply->number = number;
    return reply;
}

static void *make_nothing(const redisReadTask *task)
{
    return place_of(task); /* zero is STORE_NOTHING */
}

enum status store_reader_open(struct store_reader *reader)
{
    static redisReplyObjectFunctions functions = {make_text, make_list, make_number, make_nothing,
                                                  free_reply};

    *reader = (struct store_reader){.reader = redisReaderCreateWithFunctions(&functions)};
    if (reader->reader == NULL)
        return ST_NOMEM;
    reader->reader->privdata = reader;
    reader->reader->maxbuf =
        0; /* it would swap a large buffer for a small one, and abort without memory for that */
    return ST_OK;
}

void store_reader_close(struct store_reader *reader)
{
    if (reader->reader == NULL)
        return;
    free_reply(reader->reply);
    redisReaderFree(reader->reader);
    *reader = (struct store_reader){0};
}

enum status store_reader_feed(struct store_reader *reader, const char *bytes, size_t len)
{
    reader->fed += len;
    return redisReaderFeed(reader->reader, bytes, len) == REDIS_OK ? ST_OK : ST_NOMEM;
}

static enum status refuse(struct store_reader *reader, const char **why)
{
    if (reader->why == NULL && reader->reader->err == REDIS_ERR_OOM)
        return ST_NOMEM;
    *why = reader->why != NULL ? reader->why : reader->reader->errstr;
    return ST_BAD;
}

enum status store_reader_next(struct store_reader *reader, const struct store_reply **reply, const char **why)
{
    void *next = NULL;

    free_reply(reader->reply);
    reader->reply = NULL;
    if (redisReaderGetReply(reader->reader, &next) != REDIS_OK)
        return refuse(reader, why);
    if (next == NULL && reader->fed > STORE_REPLY_MAX) {
        *why = "an answer of more than 64 KiB";
        return ST_BAD;
    }
    if (next == NULL)
        return ST_AGAIN;
    reader->reply = next;
    reader->fed = reader->reader->len - reader->reader->pos;
    reader->items = 0;
    *reply = next;
    return ST_OK;
}
