#ifndef CURFEW_CORE_STORE_REPLY_H
#define CURFEW_CORE_STORE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* What a store has answered (RESP2), taken apart. */
enum store_reply_kind { STORE_NOTHING, STORE_TEXT, STORE_ERROR, STORE_NUMBER, STORE_LIST };

struct store_reply {
    enum store_reply_kind kind;
    uint32_t count;   /* LIST: of items */
    int64_t number;   /* NUMBER */
    struct span text; /* TEXT, a bulk or a status; ERROR: "NOPERM this user has no permissions …" */
    struct store_reply *items; /* LIST */
};

/* The item as a whole number, which Lua scripts give as a number or as text. False: there is none such. */
bool store_reply_number(const struct store_reply *reply, uint32_t item, int64_t *out)
    __attribute__((warn_unused_result));
/* The same, from `least` to `most`. */
bool store_reply_within(const struct store_reply *reply, uint32_t item, int64_t least, int64_t most,
                        int64_t *out) __attribute__((warn_unused_result));
/* The item's text; an empty one if it has none. */
struct span store_reply_text(const struct store_reply *reply, uint32_t item);

#endif
