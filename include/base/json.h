#ifndef CURFEW_BASE_JSON_H
#define CURFEW_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/*
 * Writes one JSON value (RFC 8259) onto a text, member by member: for the log and the problem body, where each
 * line is bounded and nothing may be allocated. Commas are put where they belong; nesting is up to 8 deep.
 * Keys are trusted literals; values may hold any byte: what is not UTF-8 is written as U+FFFD, control
 * characters are escaped, so the result is always one line of valid JSON (if the text did not overflow).
 */
struct jsonw {
    struct text *out;
    uint8_t depth;
    bool comma[8];
};

struct jsonw jsonw_on(struct text *out);
void jsonw_open_object(struct jsonw *j, const char *key_or_null);
void jsonw_close_object(struct jsonw *j);
void jsonw_string(struct jsonw *j, const char *key, struct span value);
void jsonw_u64(struct jsonw *j, const char *key, uint64_t value);
void jsonw_bool(struct jsonw *j, const char *key, bool value);
/* Nanoseconds, written as a number of milliseconds with up to three decimals. */
void jsonw_ms(struct jsonw *j, const char *key, int64_t ns);

/* The string alone, in quotes. */
void jsonw_quote(struct text *out, struct span value);

#endif
