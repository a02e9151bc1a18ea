#ifndef CURFEW_HTTP_OCTET_H
#define CURFEW_HTTP_OCTET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/span.h"

/*
 * What a byte may be part of in an HTTP/1.x head: one look-up a byte. Where a search begins, `at` is at most s.len.
 * Pure, any thread.
 */
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

static inline bool octet_is_line_end(char c)
{
    return octet_is_control(c) && c != '\t';
}

static inline bool octet_is_line_break(char c)
{
    return c == '\r' || c == '\n';
}

static inline bool octet_is_no_token(char c)
{
    return !octet_is(c, OCTET_TOKEN);
}

#ifdef __SSE2__
/* Of sixteen bytes, a bit for each that is one; of the last, for each that is no letter, digit or hyphen. */
static inline unsigned octet_line_ends(__m128i v)
{
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i control = _mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));

    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), control));
}

static inline unsigned octet_line_breaks(__m128i v)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'))));
}

static inline unsigned octet_no_words(__m128i v)
{
    __m128i lower = _mm_or_si128(v, _mm_set1_epi8(0x20));
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                   _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
    __m128i digit =
        _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(v, _mm_set1_epi8('9' + 1)));
    __m128i word = _mm_or_si128(_mm_or_si128(letter, digit), _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));

    return (unsigned)_mm_movemask_epi8(word) ^ 0xffff;
}

/*
 * The first byte at or behind `at` that `hits` has a bit for; s.len if there is none. Sixteen at a time, and the last
 * sixteen once more where fewer are left; of a text that is shorter than that, byte by byte, by `is_hit`. The bits may
 * be of more bytes than `is_hit` is true of: then it is for who asks to look on from there.
 */
static inline __attribute__((always_inline)) size_t octet_find(struct span s, size_t at,
                                                               unsigned (*hits)(__m128i),
                                                               bool (*is_hit)(char))
{
    unsigned mask;

    for (; s.len - at >= 16; at += 16) {
        mask = hits(_mm_loadu_si128((const __m128i *)(const void *)(s.ptr + at)));
        if (mask != 0)
            return at + (unsigned)__builtin_ctz(mask);
    }
    if (at == s.len)
        return at;
    if (s.len >= 16) {
        mask =
            hits(_mm_loadu_si128((const __m128i *)(const void *)(s.ptr + s.len - 16))) >> (16 - (s.len - at));
        return mask != 0 ? at + (unsigned)__builtin_ctz(mask) : s.len;
    }
    while (at < s.len && !is_hit(s.ptr[at]))
        at++;
    return at;
}
#else
#define octet_find(s, at, hits, is_hit) octet_find_bytes((s), (at), (is_hit))
static inline size_t octet_find_bytes(struct span s, size_t at, bool (*is_hit)(char))
{
    while (at < s.len && !is_hit(s.ptr[at]))
        at++;
    return at;
}
#endif

/* Where the first control byte but tab, which field values may hold, lies at or behind `at`; s.len if there is none. */
static inline size_t octet_find_line_end(struct span s, size_t at)
{
    return octet_find(s, at, octet_line_ends, octet_is_line_end);
}

/* Where the first CR or LF at or behind `at` lies; s.len if there is none. */
static inline size_t octet_find_line_break(struct span s, size_t at)
{
    return octet_find(s, at, octet_line_breaks, octet_is_line_break);
}

/*
 * Where the token at `at` ends: at the first byte that is no tchar (RFC 9110 5.6.2), or at s.len. Names of fields are
 * mostly letters, digits and hyphens.
 */
static inline size_t octet_find_token_end(struct span s, size_t at)
{
    at = octet_find(s, at, octet_no_words, octet_is_no_token);
    while (at < s.len && octet_is(s.ptr[at], OCTET_TOKEN))
        at++;
    return at;
}

#endif
