#ifndef CURFEW_BASE_SPAN_H
#define CURFEW_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A stretch of bytes that somebody else owns; not terminated, may hold any byte. Passed by value. */
struct span {
    const char *ptr;
    size_t len;
};

/* The span of a string literal, without its terminator. */
#define SPAN_LIT(literal) ((struct span){"" literal, sizeof(literal) - 1})
/* printf's "%.*s" arguments for a span. */
#define SPAN_FMT(s)       ((int)(s).len), ((s).ptr)

static inline struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Equal but for the case of ASCII letters, whatever the locale. */
bool span_eq_nocase(struct span a, struct span b);

/* How many of its bytes are `c`. */
size_t span_count(struct span s, char c);

/* Its copy at `to`, with ASCII letters in lower case, whatever the locale. */
struct span span_lower(struct span s, char *to);

/* Without the spaces and tabs (RFC 9110 5.6.3, OWS) at both ends. */
struct span span_trim(struct span s);

/*
 * Takes the next element of a comma-separated list (RFC 9110 5.6.1) off *rest, trimmed; empty elements are
 * passed over. False when none is left. Commas inside quoted strings are not looked at.
 */
bool span_next_element(struct span *rest, struct span *element);

#endif
