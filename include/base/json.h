#ifndef CURFEW_BASE_JSON_H
#define CURFEW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/*
 * Writes one JSON value (RFC 8259) onto a text, member by member, without allocating: for the log and the problem
 * body, where each line is bounded, and, by blocks, for answers of any length. Commas are put where they belong;
 * nesting is up to 8 deep. Keys are trusted literals of at most 100 bytes, and NULL for the elements of an array.
 * Values may hold any byte: what is not UTF-8 is written as U+FFFD, control characters are escaped, so the result is
 * always one line of valid JSON (if the text did not overflow).
 */
struct jsonw;

/* Takes what is in `out`, and empties it. */
typedef void (*jsonw_flush_fn)(struct jsonw *j);

struct jsonw {
    struct text *out;
    jsonw_flush_fn flush; /* NULL: `out` has to do */
    uint8_t depth;
    bool comma[16];
};

struct jsonw jsonw_on(struct text *out);
/* Flushes whenever `out`, of at least 512 bytes, is nearly full: it never overflows. What is left is the caller's. */
struct jsonw jsonw_flushed(struct text *out, jsonw_flush_fn flush);

void jsonw_open_object(struct jsonw *j, const char *key);
void jsonw_close_object(struct jsonw *j);
void jsonw_open_array(struct jsonw *j, const char *key);
void jsonw_close_array(struct jsonw *j);
void jsonw_string(struct jsonw *j, const char *key, struct span value);
/* These, one behind the other, as one string. */
void jsonw_joined(struct jsonw *j, const char *key, const struct span *parts, size_t count);
/* Terminated; null if it is NULL. */
void jsonw_text(struct jsonw *j, const char *key, const char *value);
/* A string of hexadecimal digits. */
void jsonw_hex(struct jsonw *j, const char *key, uint64_t value);
void jsonw_u64(struct jsonw *j, const char *key, uint64_t value);
void jsonw_i64(struct jsonw *j, const char *key, int64_t value);
/* Finite, with as many significant digits. */
void jsonw_real(struct jsonw *j, const char *key, double value, int digits);
void jsonw_bool(struct jsonw *j, const char *key, bool value);
void jsonw_null(struct jsonw *j, const char *key);
/* Nanoseconds, written as a number of milliseconds with up to three decimals. */
void jsonw_ms(struct jsonw *j, const char *key, int64_t ns);

/* The string alone, in quotes. */
void jsonw_quote(struct text *out, struct span value);

#endif
