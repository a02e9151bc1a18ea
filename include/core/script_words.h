#ifndef CURFEW_CORE_SCRIPT_WORDS_H
#define CURFEW_CORE_SCRIPT_WORDS_H

#include <stdint.h>

#include "base/span.h"

/* What a script of the store's is called with: texts, and numbers as they are written. Pure. */

#define SCRIPT_WORDS_MAX  15
/* A script's numbers are exact up to here. */
#define SCRIPT_NUMBER_MAX ((INT64_C(1) << 53) - 1)

struct script_words {
    struct span words[SCRIPT_WORDS_MAX];
    uint32_t count, used;
    char bytes[24 * SCRIPT_WORDS_MAX]; /* of the numbers */
};

void script_words_begin(struct script_words *out);
/* The text stays as long as the words are used. */
void script_put_text(struct script_words *out, struct span text);
/* From 0 on; of what is above SCRIPT_NUMBER_MAX, that. */
void script_put_number(struct script_words *out, int64_t number);

#endif
