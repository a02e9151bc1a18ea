#ifndef CURFEW_CORE_TURN_WORDS_H
#define CURFEW_CORE_TURN_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/script_words.h"
#include "core/store_reply.h"
#include "core/turn.h"

/* A turn's request and its answer in the words of the store's script (src/proxy/fleet_turn.lua). Pure. */

#define TURN_WORDS 15

/* Who asks; and the channel of what all hosts are to hear. Both stay as long as the words are used. */
void turn_put_words(struct script_words *out, const struct turn_request *request, struct span host,
                    struct span channel);

/* False: it is no answer to such a request. */
bool turn_read_reply(const struct store_reply *from, struct turn_reply *out)
    __attribute__((warn_unused_result));

#endif
