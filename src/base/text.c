#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/invariant.h"

static const char two_digits[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* The digits of `n`, most significant first in memory, all at once: each nibble has its byte. */
static uint64_t eight_hex(uint32_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = n, letters;

    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    letters = (x + 6 * ones) >> 4 & ones; /* 1 in each byte above 9 */
    x += '0' * ones + letters * ('a' - '0' - 10);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(x) : x;
}

void text_u64(struct text *t, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    for (; n >= 100; n /= 100) {
        at -= 2;
        memcpy(digits + at, two_digits + 2 * (n % 100), 2);
    }
    if (n >= 10) {
        at -= 2;
        memcpy(digits + at, two_digits + 2 * n, 2);
    } else {
        digits[--at] = (char)('0' + n);
    }
    text_bytes(t, digits + at, sizeof(digits) - at);
}

void text_hex(struct text *t, uint64_t n)
{
    unsigned len = n != 0 ? (67u - (unsigned)__builtin_clzll(n)) / 4 : 1;
    uint64_t halves[2] = {eight_hex((uint32_t)(n >> 32)), eight_hex((uint32_t)n)};

    text_bytes(t, (const char *)halves + sizeof(halves) - len, len);
}

void text_ms(struct text *t, int64_t ns)
{
    uint64_t us = (ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns) / 1000;
    char all[32];
    struct text number = text_over(all, sizeof(all));
    uint64_t part = us % 1000;

    if (ns < 0 && us != 0)
        TEXT_LIT(&number, "-");
    text_u64(&number, us / 1000);
    if (part != 0) {
        char decimals[4] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10),
                            (char)('0' + part % 10)};
        size_t len = 4;

        while (decimals[len - 1] == '0')
            len--;
        POST(len > 1); /* the dot never stands alone: part is not 0 */
        text_bytes(&number, decimals, len);
    }
    text_put(t, text_span(&number));
}

void text_printf(struct text *t, const char *format, ...)
{
    size_t room = t->cap - t->len;
    va_list args;
    int len;

    if (t->overflow)
        return;
    va_start(args, format);
    len = vsnprintf(room ? t->ptr + t->len : NULL, room, format, args);
    va_end(args);
    if (len == 0)
        return;
    if (len < 0 || (size_t)len >= room)
        t->overflow = true;
    else
        t->len += (size_t)len;
}

/* How a byte is shown: as it is, or as its escape. */
static struct span show_byte(char c, char block[4])
{
    static const char hex[] = "0123456789abcdef";
    unsigned byte = (unsigned char)c;

    switch (c) {
    case '\r': return SPAN_LIT("\\r");
    case '\t': return SPAN_LIT("\\t");
    case '"': return SPAN_LIT("\\\"");
    case '\\': return SPAN_LIT("\\\\");
    default: break;
    }
    block[0] = c;
    if (byte >= 0x20 && byte < 0x7f)
        return (struct span){block, 1};
    memcpy(block, (const char[]){'\\', 'x', hex[byte >> 4], hex[byte & 15]}, 4);
    return (struct span){block, 4};
}

void text_excerpt(struct text *t, struct span bytes)
{
    const char *end = bytes.len != 0 ? memchr(bytes.ptr, '\n', bytes.len) : NULL;
    size_t len = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len, at = 0, shown = 0;

    if (end != NULL && len != 0 && bytes.ptr[len - 1] == '\r')
        len--;
    TEXT_LIT(t, "\"");
    for (; at < len; at++) {
        char block[4];
        struct span byte = show_byte(bytes.ptr[at], block);

        if (shown + byte.len > TEXT_EXCERPT_MAX)
            break;
        shown += byte.len;
        text_put(t, byte);
    }
    TEXT_LIT(t, "\"");
    if (at < len)
        TEXT_LIT(t, "...");
}
