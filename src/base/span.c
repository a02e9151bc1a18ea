#include "base/span.h"

#include <stdint.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight at a time: of bytes from A to Z, and of no other, the bit is set that makes them small. */
static uint64_t lower_word(uint64_t word)
{
    uint64_t low = word & EACH_BYTE(0x7f);
    uint64_t from_a = low + EACH_BYTE(0x80 - 'A'), beyond_z = low + EACH_BYTE(0x7f - 'Z');

    return word | ((from_a ^ beyond_z) & ~word & EACH_BYTE(0x80)) >> 2;
}

static void lower_word_to(char *to, const char *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof(word));
    word = lower_word(word);
    memcpy(to, &word, sizeof(word));
}

struct span span_lower(struct span s, char *to)
{
    size_t at = 0;

    for (; s.len - at >= sizeof(uint64_t); at += sizeof(uint64_t))
        lower_word_to(to + at, s.ptr + at);
    if (at != 0) { /* the last word may have some bytes of the one before */
        lower_word_to(to + s.len - sizeof(uint64_t), s.ptr + s.len - sizeof(uint64_t));
        return (struct span){to, s.len};
    }
    for (; at < s.len; at++)
        to[at] = lower(s.ptr[at]);
    return (struct span){to, s.len};
}

static bool words_are_equal(const char *a, const char *b)
{
    uint64_t left, right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left == right || lower_word(left) == lower_word(right);
}

bool span_eq_nocase(struct span a, struct span b)
{
    size_t at = 0;

    if (a.len != b.len)
        return false;
    for (; a.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        if (!words_are_equal(a.ptr + at, b.ptr + at))
            return false;
    }
    if (at != 0) /* the last word may have some bytes of the one before */
        return words_are_equal(a.ptr + a.len - sizeof(uint64_t), b.ptr + a.len - sizeof(uint64_t));
    for (; at < a.len; at++) {
        if (lower(a.ptr[at]) != lower(b.ptr[at]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len != 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len != 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

size_t span_count(struct span s, char c)
{
    const char *at = s.ptr, *end = s.ptr + s.len;
    size_t count = 0;

    while (at != end && (at = memchr(at, c, (size_t)(end - at))) != NULL) {
        count++;
        at++;
    }
    return count;
}

/* Cuts *rest at its first comma; what stands before it. */
static struct span cut_at_comma(struct span *rest)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    struct span before = {rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len};
    size_t gone = before.len + (comma ? 1 : 0);

    rest->ptr += gone;
    rest->len -= gone;
    return before;
}

bool span_next_element(struct span *rest, struct span *element)
{
    while (rest->len != 0) {
        *element = span_trim(cut_at_comma(rest));
        if (element->len != 0)
            return true;
    }
    return false;
}
