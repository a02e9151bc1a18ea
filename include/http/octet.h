#ifndef CURFEW_HTTP_OCTET_H
#define CURFEW_HTTP_OCTET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/span.h"

/* What a byte may be part of in an HTTP/1.x head: one look-up a byte. Pure, any thread. */
enum octet_class {
    OCTET_TOKEN = 1,  /* tchar, RFC 9110 5.6.2 */
    OCTET_TARGET = 2, /* visible ASCII but '#': no request target holds a fragment (RFC 9112 3.2) */
    OCTET_HOST = 4,   /* reg-name but for "%" and its digits (RFC 3986 3.2.2) */
    OCTET_DIGIT = 8,
    OCTET_HEX = 16,
    OCTET_LOWER_HEX = 32, /* HEXDIGLC of W3C Trace Context */
};

extern const uint8_t octet_classes[256];

static inline bool octet_is(char c, enum octet_class class)
{
    return (octet_classes[(uint8_t)c] & class) != 0;
}

/* Each byte of `s` is of the class; true of an empty one. No branch a byte: most texts are sound. */
static inline bool octet_all(struct span s, enum octet_class class)
{
    unsigned common = class;

    for (size_t i = 0; i < s.len; i++)
        common &= octet_classes[(uint8_t)s.ptr[i]];
    return common != 0;
}

/* 0x00 to 0x1f and 0x7f, which includes tab, CR and LF. */
static inline bool octet_is_control(char c)
{
    return (uint8_t)c < 0x20 || c == 0x7f;
}

/* Where the first control byte at or behind `at` lies; s.len if there is none. `at` is at most s.len. */
static inline size_t octet_find_control(struct span s, size_t at)
{
#ifdef __SSE2__
    const __m128i last = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

    for (; s.len - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at));
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, last), v), _mm_cmpeq_epi8(v, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);

        if (mask != 0)
            return at + (unsigned)__builtin_ctz(mask);
    }
#endif
    while (at < s.len && !octet_is_control(s.ptr[at]))
        at++;
    return at;
}

/*
 * Where the token at `at` ends: at the first byte that is no tchar (RFC 9110 5.6.2), or at s.len. Names of fields are
 * letters, digits and hyphens, which are passed over sixteen at a time. `at` is at most s.len.
 */
static inline size_t octet_find_token_end(struct span s, size_t at)
{
#ifdef __SSE2__
    for (; s.len - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at));
        __m128i lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
        __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                       _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
        __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('0' - 1)),
                                      _mm_cmplt_epi8(v, _mm_set1_epi8('9' + 1)));
        __m128i word = _mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
        unsigned others = (unsigned)_mm_movemask_epi8(word) ^ 0xffff;

        if (others != 0) {
            at += (unsigned)__builtin_ctz(others);
            break;
        }
    }
#endif
    while (at < s.len && octet_is(s.ptr[at], OCTET_TOKEN))
        at++;
    return at;
}

/* The same as octet_find_control, passing over tabs, which field values may hold. */
static inline size_t octet_find_line_end(struct span s, size_t at)
{
    at = octet_find_control(s, at);
    while (at < s.len && s.ptr[at] == '\t')
        at = octet_find_control(s, at + 1);
    return at;
}

/* Where the first CR or LF at or behind `at` lies; s.len if there is none. `at` is at most s.len. */
static inline size_t octet_find_line_break(struct span s, size_t at)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');

    for (; s.len - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at));
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, cr), _mm_cmpeq_epi8(v, lf)));

        if (mask != 0)
            return at + (unsigned)__builtin_ctz(mask);
    }
#endif
    while (at < s.len && s.ptr[at] != '\r' && s.ptr[at] != '\n')
        at++;
    return at;
}

#endif
