#include "core/script_words.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/invariant.h"

void script_words_begin(struct script_words *out)
{
    out->count = out->used = 0;
}

void script_put_text(struct script_words *out, struct span text)
{
    PRE(out->count < SCRIPT_WORDS_MAX);
    out->words[out->count++] = text;
}

void script_put_number(struct script_words *out, int64_t number)
{
    char *at = out->bytes + out->used;
    size_t room = sizeof(out->bytes) - out->used;
    int len = snprintf(at, room, "%" PRId64, number < SCRIPT_NUMBER_MAX ? number : SCRIPT_NUMBER_MAX);

    PRE(number >= 0 && len > 0 && (size_t)len < room);
    out->used += (uint32_t)len;
    script_put_text(out, (struct span){at, (size_t)len});
}
