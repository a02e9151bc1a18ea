#include "core/store_reply.h"

#include "base/number.h"

static const struct store_reply *item_of(const struct store_reply *reply, uint32_t item)
{
    return reply->kind == STORE_LIST && item < reply->count ? &reply->items[item] : NULL;
}

static bool read_number(struct span text, int64_t *out)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    struct span digits = {text.ptr + is_negative, text.len - is_negative};
    uint64_t number;

    if (number_u64(digits, &number) != NUMBER_OK || number > INT64_MAX)
        return false;
    *out = is_negative ? -(int64_t)number : (int64_t)number;
    return true;
}

bool store_reply_number(const struct store_reply *reply, uint32_t item, int64_t *out)
{
    const struct store_reply *it = item_of(reply, item);

    if (it == NULL)
        return false;
    if (it->kind == STORE_TEXT)
        return read_number(it->text, out);
    *out = it->number;
    return it->kind == STORE_NUMBER;
}

bool store_reply_within(const struct store_reply *reply, uint32_t item, int64_t least, int64_t most,
                        int64_t *out)
{
    return store_reply_number(reply, item, out) && *out >= least && *out <= most;
}

struct span store_reply_text(const struct store_reply *reply, uint32_t item)
{
    const struct store_reply *it = item_of(reply, item);

    return it != NULL && it->kind == STORE_TEXT ? it->text : SPAN_LIT("");
}
