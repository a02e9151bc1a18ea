#ifndef CURFEW_BASE_TEXT_H
#define CURFEW_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/invariant.h"
#include "base/span.h"

/*
 * A text under construction in a block of fixed size that the caller owns. What does not fit is left out whole
 * and `overflow` is set, once and for good: check it once, at the end. Never allocates, never terminates.
 */
struct text {
    char *ptr;
    size_t len;
    size_t cap;
    bool overflow;
};

static inline struct text text_over(char *block, size_t cap)
{
    return (struct text){block, 0, cap, false};
}

static inline struct span text_span(const struct text *t)
{
    return (struct span){t->ptr, t->len};
}

static inline void text_bytes(struct text *t, const char *bytes, size_t len)
{
    PRE(t->len <= t->cap);
    if (len > t->cap - t->len) {
        t->overflow = true;
        t->cap = t->len;
        return;
    }
    if (len != 0)
        memcpy(t->ptr + t->len, bytes, len);
    t->len += len;
}

static inline void text_put(struct text *t, struct span s)
{
    text_bytes(t, s.ptr, s.len);
}

#define TEXT_LIT(t, literal) text_bytes((t), "" literal, sizeof(literal) - 1)

/* Decimal digits; `text_hex`: lower case, no leading zeros. */
void text_u64(struct text *t, uint64_t n);
void text_hex(struct text *t, uint64_t n);
/* Nanoseconds as milliseconds with up to three decimals: 1500000 -> "1.5". Negative ones keep their sign. */
void text_ms(struct text *t, int64_t ns);
/*
 * What a person is shown of bytes that may be anything: their first line, in printable ASCII, other bytes as \r, \t or
 * \x00, between quotes; TEXT_EXCERPT_MAX bytes at most, and dots behind it if that was not all of the line.
 */
void text_excerpt(struct text *t, struct span bytes);
#define TEXT_EXCERPT_MAX 80
/* For rare paths. Needs room for one byte more than it adds: printf's terminator, which is not counted. */
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
