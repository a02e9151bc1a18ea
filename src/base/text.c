#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

/* The digits of `n`, without leading zeros, to the end of `digits`; where they start. */
static char *put_digits(char *end, uint64_t n, unsigned base)
{
    do {
        *--end = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    return end;
}

void text_u64(struct text *t, uint64_t n)
{
    char digits[20];
    char *end = digits + sizeof(digits);
    char *start = put_digits(end, n, 10);

    text_bytes(t, start, (size_t)(end - start));
}

void text_hex(struct text *t, uint64_t n)
{
    char digits[16];
    char *end = digits + sizeof(digits);
    char *start = put_digits(end, n, 16);

    text_bytes(t, start, (size_t)(end - start));
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
