#include "core/block_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"

/* A script's numbers are exact up to here. */
#define NUMBER_MAX  ((INT64_C(1) << 53) - 1)
#define PERMITS_MAX INT64_C(1000000000)
#define NS_A_US     INT64_C(1000)

/* ---- the request ---------------------------------------------------------------------------------------- */

static void put_text(struct block_words *out, struct span text)
{
    PRE(out->count < BLOCK_WORDS);
    out->words[out->count++] = text;
}

static void put_number(struct block_words *out, int64_t number)
{
    char *at = out->bytes + out->used;
    size_t room = sizeof(out->bytes) - out->used;
    int len = snprintf(at, room, "%" PRId64, number < NUMBER_MAX ? number : NUMBER_MAX);

    PRE(len > 0 && (size_t)len < room);
    out->used += (uint32_t)len;
    put_text(out, (struct span){at, (size_t)len});
}

void block_put_words(struct block_words *out, const struct block_request *request,
                     const struct block_terms *terms, const struct block_sender *sender)
{
    out->count = out->used = 0;
    put_text(out, sender->host);
    put_number(out, (int64_t)request->number);
    put_text(out, span_of(request->epoch));
    put_number(out, request->not_after_us);
    put_number(out, request->claim);
    put_number(out, request->held);
    put_number(out, request->want);
    put_number(out, request->weight);
    put_number(out, request->size);
    put_number(out, request->yields);
    put_number(out, request->adrift);
    put_number(out, terms->lease_ns / NS_A_US);
    put_number(out, sender->margin_us);
    put_text(out, sender->channel);
    POST(out->count == BLOCK_WORDS);
}

/* ---- the answer ----------------------------------------------------------------------------------------- */

static bool read_answer(struct span word, enum block_answer *out)
{
    static const char *const words[] = {
        [BLOCK_OK] = "OK", [BLOCK_EPOCH] = "EPOCH", [BLOCK_LATE] = "LATE", [BLOCK_OLD] = "OLD"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!span_eq(word, span_of(words[i])))
            continue;
        *out = (enum block_answer)i;
        return true;
    }
    return false;
}

static bool read_within(const struct store_reply *from, uint32_t item, int64_t most, int64_t *out)
{
    return store_reply_number(from, item, out) && *out >= 0 && *out <= most;
}

static bool read_permits(const struct store_reply *from, uint32_t item, uint32_t *out)
{
    int64_t number;

    if (!read_within(from, item, PERMITS_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_grant(const struct store_reply *from, struct block_reply *out)
{
    int64_t tight, turn_ns;

    if (from->count < 13 || !read_within(from, 6, 1, &tight) || !store_reply_number(from, 7, &turn_ns))
        return false;
    out->tight = tight != 0;
    out->turn_ns = turn_ns < 0 ? INT64_MAX : turn_ns;
    return read_permits(from, 4, &out->granted) && read_permits(from, 5, &out->aim) &&
           read_permits(from, 8, &out->reserve) && read_permits(from, 9, &out->total_granted) &&
           read_permits(from, 10, &out->hosts) && read_permits(from, 11, &out->waiting_hosts) &&
           read_within(from, 12, NUMBER_MAX, &out->learning_us);
}

bool block_read_reply(const struct store_reply *from, const struct block_request *request,
                      struct block_reply *out)
{
    struct span epoch;
    int64_t number;

    *out = (struct block_reply){.number = request->number, .connection = request->connection};
    if (from->kind != STORE_LIST || from->count < 4 ||
        !read_answer(store_reply_text(from, 0), &out->answer) || !read_within(from, 1, NUMBER_MAX, &number) ||
        (uint64_t)number != request->number || !read_within(from, 3, NUMBER_MAX, &out->time_us))
        return false;
    epoch = store_reply_text(from, 2);
    if (epoch.len == 0 || epoch.len >= BLOCK_EPOCH_MAX || memchr(epoch.ptr, '\0', epoch.len) != NULL)
        return false;
    memcpy(out->epoch, epoch.ptr, epoch.len);
    return out->answer != BLOCK_OK || read_grant(from, out);
}
