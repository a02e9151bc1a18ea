#ifndef CURFEW_CORE_BLOCK_WORDS_H
#define CURFEW_CORE_BLOCK_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/block.h"
#include "core/script_words.h"
#include "core/store_reply.h"

/* A block's request and its answer in the words of the store's script (src/proxy/fleet_renew.lua). Pure. */

#define BLOCK_WORDS 14

/* Who asks, and for how long the store is to keep what it lends. */
struct block_sender {
    struct span host;    /* its identity */
    struct span channel; /* of hints; a host's identity follows */
    int64_t margin_us;   /* how much longer than the host the store keeps it */
};

/* What request, terms and sender refer to has to stay as long as the words are used. */
void block_put_words(struct script_words *out, const struct block_request *request,
                     const struct block_terms *terms, const struct block_sender *sender);

/* False: it is no answer to this request. */
bool block_read_reply(const struct store_reply *from, const struct block_request *request,
                      struct block_reply *out) __attribute__((warn_unused_result));

#endif
