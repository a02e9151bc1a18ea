#include "core/block_words.h"

#include <string.h>

#include "base/invariant.h"

#define PERMITS_MAX INT64_C(1000000000)
#define NS_A_US     INT64_C(1000)

/* ---- the request ---------------------------------------------------------------------------------------- */

void block_put_words(struct script_words *out, const struct block_request *request,
                     const struct block_terms *terms, const struct block_sender *sender)
{
    script_words_begin(out);
    script_put_text(out, sender->host);
    script_put_number(out, (int64_t)request->number);
    script_put_text(out, span_of(request->epoch));
    script_put_number(out, request->not_after_us);
    script_put_number(out, request->claim);
    script_put_number(out, request->held);
    script_put_number(out, request->want);
    script_put_number(out, request->weight);
    script_put_number(out, request->size);
    script_put_number(out, request->yields);
    script_put_number(out, request->adrift);
    script_put_number(out, terms->lease_ns / NS_A_US);
    script_put_number(out, sender->margin_us);
    script_put_text(out, sender->channel);
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

static bool read_permits(const struct store_reply *from, uint32_t item, uint32_t *out)
{
    int64_t number;

    if (!store_reply_within(from, item, 0, PERMITS_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_grant(const struct store_reply *from, struct block_reply *out)
{
    int64_t tight, turn_ns;

    if (from->count < 14 || !store_reply_within(from, 6, 0, 1, &tight) ||
        !store_reply_number(from, 7, &turn_ns))
        return false;
    out->tight = tight != 0;
    out->turn_ns = turn_ns < 0 ? INT64_MAX : turn_ns;
    return read_permits(from, 4, &out->granted) && read_permits(from, 5, &out->aim) &&
           read_permits(from, 8, &out->reserve) && read_permits(from, 9, &out->total_granted) &&
           read_permits(from, 10, &out->hosts) && read_permits(from, 11, &out->waiting_hosts) &&
           store_reply_within(from, 12, 0, SCRIPT_NUMBER_MAX, &out->learning_us) &&
           read_permits(from, 13, &out->smallest);
}

bool block_read_reply(const struct store_reply *from, const struct block_request *request,
                      struct block_reply *out)
{
    struct span epoch;
    int64_t number;

    *out = (struct block_reply){.number = request->number, .connection = request->connection};
    if (from->kind != STORE_LIST || from->count < 4 ||
        !read_answer(store_reply_text(from, 0), &out->answer) ||
        !store_reply_within(from, 1, 0, SCRIPT_NUMBER_MAX, &number) || (uint64_t)number != request->number ||
        !store_reply_within(from, 3, 0, SCRIPT_NUMBER_MAX, &out->time_us))
        return false;
    epoch = store_reply_text(from, 2);
    if (epoch.len == 0 || epoch.len >= BLOCK_EPOCH_MAX || memchr(epoch.ptr, '\0', epoch.len) != NULL)
        return false;
    memcpy(out->epoch, epoch.ptr, epoch.len);
    return out->answer != BLOCK_OK || read_grant(from, out);
}
