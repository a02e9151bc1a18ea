#ifndef CURFEW_CONFIG_SUGGEST_H
#define CURFEW_CONFIG_SUGGEST_H

#include "base/span.h"

/*
 * "Did you mean …?": the candidate that takes the fewest single edits (a character put in, left out or changed, or
 * two neighbours swapped) to get from what was written, if they are few for a word of that length.
 */
struct suggestion {
    struct span word; /* what was written */
    struct span best; /* the nearest so far; empty: none is near */
    size_t distance;  /* its edits; the most that are allowed while there is none */
};

struct suggestion suggest_for(struct span word);
void suggest_offer(struct suggestion *suggestion, struct span candidate);

/* `; did you mean "deadline"?`, or nothing: the end of a message. */
struct suggestion_text {
    char text[416]; /* enough for a word of which each byte is written as \u00xx */
};
struct suggestion_text suggest_text(const struct suggestion *suggestion);

#endif
